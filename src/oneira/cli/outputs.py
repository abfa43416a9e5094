"""Where a picture goes."""

import os
from collections.abc import Iterable, Mapping
from pathlib import Path

from oneira.errors import CheckpointError, DataError, ImageError, OneiraError, PlanError
from oneira.images import check_output
from oneira.motion.writing import check_film, useless
from oneira.synthesis.checkpoints import checkpoint_of, has_checkpoint


def free_output(folder: Path, stem: str, extension: str, *, resume: bool) -> Path:
    """`stem.png`, or the first of `stem-2.png`, ... that is free; when resuming, the first with a checkpoint.

    Raises OneiraError where none has.
    """
    number = 1
    while True:
        candidate = folder / f"{stem}{f'-{number}' if number > 1 else ''}{extension}"
        stopped = has_checkpoint(checkpoint_of(candidate))
        if resume and stopped:
            return candidate
        if not candidate.exists() and not stopped:
            if resume:
                raise OneiraError(f"there is no checkpoint of {stem}{extension} to go on from; name the picture by -o")
            return candidate
        number += 1


def require_output(output: Path, inputs: Iterable[Path], depth: int, *, film: bool = False) -> None:
    """See, before anything is computed, that the picture, or film, can be written there, and over none that goes in.

    Raises ImageError where it cannot be, PlanError where it is one of `inputs`.
    """
    if film:
        check_film(output)
    else:
        check_output(output, depth=depth)
    for path in inputs:
        if output.exists() and path.exists() and output.samefile(path):
            raise PlanError(f"--output {str(output)!r} is the input {str(path)!r}; name another file")


def require_use(film: Path, told: Mapping[str, str]) -> None:
    """PlanError for what is `told` of a film's look, options by FilmLook's fields, that such a film has no use for."""
    for name in useless(film, told):
        raise PlanError(f"{told[name]} is nothing that a film in {film.suffix.lower()} can have: leave it out")


def require_folder(folder: Path) -> None:
    """See, before anything is computed, that pictures can be put there, though it may yet have to be made.

    Raises ImageError where they cannot.
    """
    there = next(p for p in (folder, *folder.parents) if p.exists() or p.is_symlink())
    if not (there.is_dir() and os.access(there, os.W_OK | os.X_OK)):
        raise ImageError(f"cannot write into {str(folder)!r}: {str(there)!r} is no folder that may be written to")


def require_training_folder(folder: Path, *, begun: bool, resume: bool) -> None:
    """See, before anything is read, that a training can be kept there; `begun`: the folder holds one.

    Raises PlanError where it does and it is not to be resumed, CheckpointError where there is none to go on from,
    DataError where the folder cannot be made.
    """
    if begun and not resume:
        raise PlanError(f"{folder} holds a training already: go on with --resume, or name another folder")
    if resume and not begun:
        raise CheckpointError(f"there is no checkpoint in {folder} to go on from")
    there = next(path for path in (folder.absolute(), *folder.absolute().parents) if path.exists())
    if not (there.is_dir() and os.access(there, os.W_OK | os.X_OK)):
        raise DataError(f"cannot make the folder {folder}: {there} is no folder that may be written to")
