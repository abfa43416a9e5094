"""Labelled pictures in memory: a folder of class folders, or the packed .npz layout, decoded once to one size."""

import mimetypes
import os
import warnings
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from oneira.errors import DataError, ImageError, PlanError, nearest
from oneira.features.training.packed import find_class_names, read_packed
from oneira.images import ImageWarning, Picture, resize

Progress = Callable[[int, int], None]  # how many of how many

MAX_PIXELS = 50_000_000  # of one picture in a data set: several are decoded at once
UNREADABLE = 10  # one picture in so many may be unreadable
TOGETHER = 256  # pictures between two calls of `progress`


@dataclass(frozen=True)
class LabelledPictures:
    """`pictures` uint8 (n, 3, side, side), sRGB; `labels` int64 (n,).

    `classes`: the names that labels stand for, as far as they are known. `skipped`: one line for every picture that
    could not be read.
    """

    pictures: Tensor
    labels: Tensor
    classes: tuple[str, ...] = ()
    skipped: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def side(self) -> int:
        """Height and width of the pictures, in pixels."""
        return self.pictures.shape[-1]

    def thinned(self, count: int) -> "LabelledPictures":
        """At most `count` of the pictures, evenly spaced, so that data sorted by class keeps all classes."""
        if count >= len(self):
            return self
        chosen = torch.arange(count) * len(self) // count
        return LabelledPictures(self.pictures[chosen], self.labels[chosen], self.classes, self.skipped)


@dataclass(frozen=True)
class Entry:
    """A picture that has not been decoded: a file, or bytes that `name` tells from others."""

    source: Path | bytes
    name: str
    label: int

    def picture(self) -> Picture:
        """Decoded. Raises ImageError where it cannot be."""
        if isinstance(self.source, Path):
            return Picture.open(self.source, max_pixels=MAX_PIXELS)
        return Picture.decode(self.source, name=self.name, max_pixels=MAX_PIXELS)


def load_labelled(
    paths: Path | Sequence[Path],
    side: int,
    *,
    resized: int | None = None,
    classes: Sequence[str] | None = None,
    progress: Progress | None = None,
) -> LabelledPictures:
    """Read a folder of class folders, or one or more .npz files, and decode all pictures to `side` x `side` pixels.

    Of each picture the middle square is taken; with `resized`, the shorter side is first brought to so many pixels, so
    that the square is the share side / resized of it (`resized=256, side=224` is the custom of ImageNet).

    A folder's classes are its folders' names in alphabetical order. An .npz file holds `jpeg` (pictures end to end,
    uint8), `offset` (n + 1 integers) and `label` (n integers); names of its classes are looked for in a .json file
    beside it (`find_class_names`). `classes` gives the names instead, such as those of the training data for the data
    to validate on: labels then stand for them, and others are refused.

    Some pictures may be unreadable: `skipped` names them. Raises DataError, in one line, where more than a tenth of
    them or all are, where there are none, where a path is neither a folder nor such a file, and where they would take
    more than half of the machine's memory.
    """
    if resized is not None and resized < side:
        raise PlanError(f"cannot cut {side} pixels out of pictures resized to {resized}")
    chosen = [paths] if isinstance(paths, Path) else list(paths)
    entries, names = _entries(chosen, classes)
    require_memory(len(entries) * 3 * side * side, f"{len(entries):,} pictures at {side} x {side} pixels")
    pictures, skipped = _decoded(entries, side, side / resized if resized is not None else 1.0, progress)
    unreadable = len(skipped)
    if unreadable > max(1, len(entries) // UNREADABLE) or unreadable == len(entries):
        raise DataError(f"{unreadable} of {len(entries)} pictures cannot be read, the first: {skipped[min(skipped)]}")
    kept = [index for index in range(len(entries)) if index not in skipped]
    labels = torch.tensor([entries[index].label for index in kept])
    return LabelledPictures(
        pictures[kept] if skipped else pictures, labels, names, tuple(skipped[index] for index in sorted(skipped))
    )


def _entries(paths: Sequence[Path], classes: Sequence[str] | None) -> tuple[list[Entry], tuple[str, ...]]:
    if len(paths) == 1 and paths[0].is_dir():
        return _folder_entries(paths[0], classes)
    for path in paths:
        if not path.is_file():
            what = "a folder among several paths" if path.is_dir() else "no such file"
            raise DataError(f"cannot train on {path}: {what}; name one folder of class folders, or .npz files")
    if not paths:
        raise DataError("no training data is named; name a folder of class folders, or .npz files")
    return _packed_entries(paths, classes)


def _folder_entries(folder: Path, classes: Sequence[str] | None) -> tuple[list[Entry], tuple[str, ...]]:
    try:
        found = {child.name: child for child in folder.iterdir() if child.is_dir() and not child.name.startswith(".")}
    except OSError as error:
        raise DataError(f"cannot look into {folder} ({error.strerror})") from error
    if not found:
        raise DataError(f"{folder} has no folders in it; one folder of pictures for each class is needed")
    names = tuple(sorted(found)) if classes is None else tuple(classes)
    labels = {name: label for label, name in enumerate(names)}
    entries = []
    for name in sorted(found):
        if name not in labels:
            raise DataError(f"{found[name]} is none of the {len(names)} classes{nearest(name, names)}")
        files = picture_files(found[name])
        if classes is None and not files:
            raise DataError(f"the class folder {found[name]} holds no picture; fill it or remove it")
        entries += [Entry(file, str(file), labels[name]) for file in files]
    if not entries:
        raise DataError(f"the class folders of {folder} hold no picture")
    return entries, names


def picture_files(folder: Path) -> list[Path]:
    """All files at any depth but hidden ones and those whose names say that they are something else (.txt, .xml)."""

    def candidate(path: Path) -> bool:
        kind, _ = mimetypes.guess_type(path.name)
        return not path.name.startswith(".") and (kind is None or kind.startswith("image/")) and path.is_file()

    return sorted(path for path in folder.rglob("*") if candidate(path))


def _packed_entries(paths: Iterable[Path], classes: Sequence[str] | None) -> tuple[list[Entry], tuple[str, ...]]:
    entries: list[Entry] = []
    names = tuple(classes) if classes is not None else None
    for path in paths:
        packed = read_packed(path, require_memory)
        if names is None:
            names = find_class_names(path)
        if names and max(packed.labels) >= len(names):
            raise DataError(f"{path} has a label {max(packed.labels)}, but there are {len(names)} classes")
        numbered = enumerate(zip(packed.files(), packed.labels, strict=True))
        entries += [Entry(file, f"{path}, picture {number}", label) for number, (file, label) in numbered]
    return entries, names or ()


def _decoded(
    entries: Sequence[Entry], side: int, share: float, progress: Progress | None
) -> tuple[Tensor, dict[int, str]]:
    """Pictures (n, 3, side, side), and by index what is wrong with those that could not be read."""
    pictures = torch.empty(len(entries), 3, side, side, dtype=torch.uint8)
    skipped: dict[int, str] = {}

    def decode(index: int) -> None:
        try:
            pictures[index] = middle_square(entries[index].picture().image, side, share)
        except ImageError as error:
            skipped[index] = str(error)

    with warnings.catch_warnings(), ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as pool:
        warnings.simplefilter("ignore", ImageWarning)  # such as an odd colour profile, a thousand times over
        # In handfuls, so that an interruption need not wait for all the rest.
        for start in range(0, len(entries), TOGETHER):
            stop = min(start + TOGETHER, len(entries))
            list(pool.map(decode, range(start, stop)))
            if progress is not None:
                progress(stop, len(entries))
    return pictures, skipped


def middle_square(image: Tensor, side: int, share: float) -> Tensor:
    """(1, 3, h, w) in [0, 1] -> uint8 (3, side, side): the middle square of `share` of the shorter side."""
    height, width = image.shape[2:]
    cut = max(1, round(min(height, width) * share))
    top, left = (height - cut) // 2, (width - cut) // 2
    scaled = resize(image[:, :, top : top + cut, left : left + cut], (side, side))
    return scaled[0].mul(255).round_().to(torch.uint8)


def require_memory(needed: int, what: str) -> None:
    """DataError where `needed` bytes are more than half of the machine's memory (where that can be asked for)."""
    if not hasattr(os, "sysconf"):
        return
    there = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    if needed > there / 2:
        raise DataError(
            f"{what} take {needed / 1e9:.1f} GB of memory, where this machine has {there / 1e9:.1f} GB: "
            "choose a smaller side or fewer pictures"
        )
