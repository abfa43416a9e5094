"""Pictures to be worked on, and where what is made of them goes: of single ones, and of folders at any depth."""

import mimetypes
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from oneira.errors import PlanError
from oneira.features.training.dataset import picture_files
from oneira.images.formats import FORMATS

EXTENSIONS = frozenset(extension for known in FORMATS for extension in known.extensions)


@dataclass(frozen=True)
class Errand:
    """A picture to be worked on, and where what is made of it goes."""

    source: Path
    target: Path


def errands_for(inputs: Iterable[Path], folder: Path) -> list[Errand]:
    """Pictures, and all those in folders at any depth but hidden ones, into `folder` under the names they have there.

    What `folder` holds itself is no input, so that a job may be repeated. Raises PlanError as `errands_apart`, and
    where there is no picture at all.
    """
    inputs = list(inputs)
    named = [pair for path in inputs for pair in named_pictures(path, folder)]
    if not named:
        raise PlanError(f"no picture in {', '.join(repr(str(path)) for path in inputs)}; name a folder that holds some")
    return errands_apart((Errand(source, folder / name) for source, name in named), "work on them apart")


def errands_apart(errands: Iterable[Errand], advice: str) -> list[Errand]:
    """Each of `errands` once.

    Raises PlanError where two pictures would become the same file, which tells `advice`, or where one would be written
    over a picture that is yet to be read.
    """
    sources: dict[Path, Path] = {}
    for errand in errands:
        before = sources.setdefault(errand.target, errand.source)
        if before != errand.source:
            told = f"{str(before)!r} and {str(errand.source)!r} would both become {str(errand.target)!r}"
            raise PlanError(f"{told}; {advice}")
    read = {source.resolve() for source in sources.values()}
    for target in sources:
        if target.resolve() in read:
            raise PlanError(f"{str(target)!r} is one of the pictures to be worked on; name another folder by --output")
    return [Errand(source, target) for target, source in sources.items()]


def named_pictures(path: Path, folder: Path) -> list[tuple[Path, Path]]:
    """The picture at `path`, or those in it that are not in `folder`, each with the name that it has there."""
    if not path.is_dir():
        return [(path, Path(path.name))]
    named = [(file, file.relative_to(path)) for file in picture_files(path)]
    return [(file, name) for file, name in named if _is_picture(name) and not lies_in(file, folder)]


def _is_picture(name: Path) -> bool:
    kind, _ = mimetypes.guess_type(name.name)
    hidden = any(part.startswith(".") for part in name.parts)
    return not hidden and (name.suffix.lower() in EXTENSIONS or (kind or "").startswith("image/"))


def lies_in(path: Path, folder: Path) -> bool:
    """Whether `path` is `folder`, or somewhere in it."""
    return path.resolve().is_relative_to(folder.resolve())
