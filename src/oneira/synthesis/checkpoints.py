"""The checkpoints of a picture in the making: where they lie, and which one to go on from."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from oneira.checkpoints import read_newest, write_checkpoint
from oneira.files import remove_halves


def checkpoint_of(output: Path) -> Path:
    """Where the checkpoint of the picture `output` lies: beside it."""
    return output.with_name(output.name + ".checkpoint")


def has_checkpoint(path: Path) -> bool:
    """Whether there is something to go on from: who is killed while writing leaves only the one before."""
    return path.exists() or _before(path).exists()


def save_checkpoint(path: Path, state: Mapping[str, Any]) -> None:
    """Write `state`; what was there becomes the one before. CheckpointError where the disk refuses."""
    write_checkpoint(path, _before(path), state)


def load_checkpoint(path: Path) -> tuple[dict[str, Any], str | None]:
    """The newest state that can be read, and a note if that is not the newest there is.

    Raises CheckpointError where none can.
    """
    state, _, problems = read_newest(path, _before(path))
    return state, f"{path} is damaged: going on from the one before" if problems else None


def remove_checkpoint(path: Path) -> None:
    """Delete both, once the picture is safe, and what writers that were killed have left half written."""
    for candidate in (path, _before(path)):
        candidate.unlink(missing_ok=True)
    remove_halves(path)


def _before(path: Path) -> Path:
    return path.with_name(path.name + ".before")
