"""Whether a checkpoint belongs to the training that would go on from it."""

from collections.abc import Mapping
from typing import Any

from oneira.errors import CheckpointError


def require_equal(theirs: Mapping[str, Any], ours: Mapping[str, Any]) -> None:
    """CheckpointError where a checkpoint's settings are not the ones asked for; it says which differ."""
    differing = [
        f"{name} was {_short(theirs.get(name))} and is {_short(value)}"
        for name, value in ours.items()
        if theirs.get(name) != value
    ]
    if differing:
        raise CheckpointError(f"the checkpoint was made with other settings: {'; '.join(differing)}")


def _short(value: object) -> str:
    text = str(value)
    return text if len(text) <= 100 else f"{text[:97]}..."
