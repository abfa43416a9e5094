"""Which pictures a job is about: single ones, folders, patterns such as photos/*.jpg."""

import glob
import os
from collections.abc import Sequence
from itertools import takewhile
from pathlib import Path

from oneira.errands import lies_in, named_pictures
from oneira.errors import PlanError, nearest

MAGIC = "*?["  # what makes a pattern of a name


def pictures_among(words: Sequence[str], folder: Path) -> list[tuple[Path, Path]]:
    """Each picture that `words` mean, once, with its name below the folder, or pattern, it was found by.

    A file that is called like a pattern is that file. What `folder` holds, where the results go, is no input, unless
    the words lead into it. Raises PlanError for a word that means nothing, and where there is no picture at all.
    """
    found: dict[Path, Path] = {}
    for word in words:
        for source, name in _meant(word, folder):
            found.setdefault(source, name)
    if not found:
        raise PlanError(f"no picture in {', '.join(map(repr, words))}; name pictures, a folder or a pattern")
    return list(found.items())


def _meant(word: str, folder: Path) -> list[tuple[Path, Path]]:
    if os.path.lexists(word):
        return named_pictures(Path(word), folder)
    if any(sign in word for sign in MAGIC):
        return _matching(word, folder)
    path = Path(word)
    beside = [entry.name for entry in path.parent.iterdir()] if path.parent.is_dir() else []
    raise PlanError(f"there is no picture, and no folder, {word!r}{nearest(path.name, beside)}")


def _matching(pattern: str, folder: Path) -> list[tuple[Path, Path]]:
    plain = takewhile(lambda part: not any(sign in part for sign in MAGIC), Path(pattern).parts)
    root = Path(*plain)
    within = lies_in(root, folder)
    found = []
    for match in sorted(glob.glob(pattern, recursive=True)):  # noqa: PTH207 - a pattern may be absolute
        for source, _ in named_pictures(Path(match), folder):
            if within or not lies_in(source, folder):
                found.append((source, source.relative_to(root)))
    if not found:
        raise PlanError(f"no picture fits {pattern!r}")
    return found
