"""Checkpoints on the disk: the newest and the one before it, each written whole, each known to be undamaged."""

import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any, cast

import torch

from oneira.errors import CheckpointError
from oneira.files import write_whole


def write_checkpoint(path: Path, previous: Path, state: Mapping[str, Any]) -> None:
    """Write `state` to `path`; what was there moves to `previous`. CheckpointError where the disk refuses."""
    refusals: list[OSError] = []
    try:
        if path.exists():
            path.replace(previous)
        write_whole(path, lambda file: torch.save(dict(state), cast(IO[bytes], _Watched(file, refusals))))
    except (OSError, RuntimeError) as error:
        reason = refusals[0] if refusals else error
        raise CheckpointError(f"cannot write the checkpoint {path} ({_first_line(reason)})") from error


def read_checkpoint(path: Path) -> dict[str, Any]:
    """What was written, on the CPU. Only tensors and plain values are read: a checkpoint can run no code.

    Raises CheckpointError where it is damaged.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            # torch reads past flipped bits in a tensor; the checksums that it wrote know better.
            broken = archive.testzip()
        state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:
        # zipfile and torch's readers raise whatever a damaged file makes them stumble over.
        raise CheckpointError(f"{path} is damaged: {_first_line(error)}") from error
    if broken is not None:
        raise CheckpointError(f"{path} is damaged: {broken} is not what was written")
    if not isinstance(state, dict):
        raise CheckpointError(f"{path} is no checkpoint: it holds {type(state).__name__}")
    return state


def read_newest(path: Path, previous: Path) -> tuple[dict[str, Any], Path, tuple[str, ...]]:
    """The newest state that is undamaged, which of the two files it is, and what is wrong with the other.

    A damaged newest file is removed, so that it does not take the place of the good one. Raises CheckpointError where
    neither can be read.
    """
    problems: list[str] = []
    for candidate in (path, previous):
        if not candidate.exists():
            continue
        try:
            state = read_checkpoint(candidate)
        except CheckpointError as error:
            problems.append(str(error))
            continue
        if candidate != path:
            path.unlink(missing_ok=True)
        return state, candidate, tuple(problems)
    raise CheckpointError("; ".join(problems) or f"there is no checkpoint {path} to go on from")


class _Watched:
    """A file to write to that remembers why it refused: torch's own error speaks of positions in an archive."""

    def __init__(self, file: IO[bytes], refusals: list[OSError]) -> None:
        self._file = file
        self._refusals = refusals

    def write(self, data: bytes) -> int:
        try:
            return self._file.write(data)
        except OSError as error:
            self._refusals.append(error)
            raise

    def flush(self) -> None:
        self._file.flush()


def _first_line(error: Exception) -> str:
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return (str(error).strip() or type(error).__name__).splitlines()[0]
