"""Everything that Oneira raises on purpose.

OneiraError
├── ImageError          a picture cannot be read, decoded or written
│   ├── RecipeError     the recipe inside a file is absent, damaged or not to be trusted
│   └── FilmError       a film, or a file of optical flow, cannot be read, decoded or written
├── AddressError        no such backbone, layer, channel or class
├── WeightsError        weights are missing, damaged or do not fit
├── StyleFileError      a saved style is damaged, or cannot be written
├── DataError           training data cannot be read
├── BatchError          a batch cannot go on: its manifest is damaged, of another, or at work already
├── PlanError           options that do not go together; nothing has been computed yet
└── SynthesisError      the optimisation cannot go on
    └── CheckpointError a checkpoint is damaged or belongs to another plan
"""

import difflib
from collections.abc import Iterable


class OneiraError(Exception):
    """Root of the tree. The message is one line: what came, what is allowed, what to do."""


class ImageError(OneiraError):
    """A picture cannot be read, decoded or written."""


class RecipeError(ImageError):
    """The recipe inside a file is absent, damaged or not to be trusted."""


class FilmError(ImageError):
    """A film, or a file of optical flow, cannot be read, decoded or written."""


class AddressError(OneiraError):
    """No such backbone, layer, channel or class."""


class WeightsError(OneiraError):
    """Weights are missing, damaged or do not fit."""


class StyleFileError(OneiraError):
    """A saved style is damaged, or cannot be written."""


class DataError(OneiraError):
    """Training data cannot be read."""


class BatchError(OneiraError):
    """A batch cannot go on: its manifest is damaged, of another, or at work already."""


class PlanError(OneiraError):
    """Options that do not go together; nothing has been computed yet."""


class SynthesisError(OneiraError):
    """The optimisation cannot go on."""


class CheckpointError(SynthesisError):
    """A checkpoint is damaged or belongs to another plan."""


def nearest(word: str, known: Iterable[str]) -> str:
    """`; did you mean 'x'?` for the closest of `known`, or nothing where none is close."""
    close = difflib.get_close_matches(word, list(known), n=1, cutoff=0.6)
    return f"; did you mean {close[0]!r}?" if close else ""


def one_of(what: str, chosen: str, allowed: Iterable[str]) -> None:
    """Raise PlanError, naming the nearest, unless `chosen` is one of `allowed`."""
    known = list(allowed)
    if chosen not in known:
        raise PlanError(f"unknown {what} {chosen!r}{nearest(str(chosen), known)}: {', '.join(known)}")
