"""The packed layout of a data set: many small pictures in one .npz file. Its bytes are not to be trusted."""

import json
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from oneira.errors import DataError

PARTS = ("jpeg", "offset", "label")
MAX_CLASSES = 100_000
MAX_NAMES = 16 * 2**20  # bytes of a file of class names


@dataclass(frozen=True)
class Packed:
    """Pictures `data[offset[i] : offset[i + 1]]` (uint8) with `labels[i]`."""

    data: npt.NDArray[np.uint8]
    offset: list[int]
    labels: list[int]

    def files(self) -> list[bytes]:
        """The encoded pictures, one after the other."""
        return [self.data[a:b].tobytes() for a, b in pairwise(self.offset)]


def read_packed(path: Path, require_memory: Callable[[int, str], None]) -> Packed:
    """Read `jpeg`, `offset` and `label` of an .npz file; DataError, in one line, for anything wrong with them.

    `require_memory(bytes, what)` raises where they would not fit, before anything is read.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            require_memory(sum(_declared(archive, part) for part in PARTS), f"the arrays of {path}")
        with np.load(path, allow_pickle=False) as arrays:
            data, offset, labels = (arrays[part] for part in PARTS)
    except DataError:
        raise
    except KeyError as error:
        raise DataError(f"{path} has no array {error}; needed are {', '.join(PARTS)}") from error
    except zipfile.BadZipFile as error:
        raise DataError(f"{path} is no .npz file, or a damaged one ({error})") from error
    except Exception as error:
        # numpy and zipfile raise nearly everything that Python has over hostile bytes.
        raise DataError(f"{path} cannot be read: {_first_line(error)}") from error
    return Packed(data, _offsets(path, data, offset), _labels(path, labels, len(offset) - 1))


def _declared(archive: zipfile.ZipFile, part: str) -> int:
    name = f"{part}.npy"
    if name not in archive.namelist():
        raise KeyError(part)
    return archive.getinfo(name).file_size


def _offsets(path: Path, data: npt.NDArray[Any], offset: npt.NDArray[Any]) -> list[int]:
    if data.dtype != np.uint8 or data.ndim != 1:
        raise DataError(f"{path}: jpeg is {_form(data)}, where bytes end to end are needed, uint8 (n,)")
    if offset.dtype.kind not in "iu" or offset.ndim != 1 or len(offset) < 2:
        raise DataError(f"{path}: offset is {_form(offset)}, where integers (pictures + 1,) are needed")
    ordered: list[int] = offset.tolist()  # as Python's integers, which cannot overflow
    if ordered[0] < 0 or ordered[-1] > len(data) or any(a > b for a, b in pairwise(ordered)):
        raise DataError(f"{path}: the offsets do not rise from 0 or above to at most {len(data)}, the bytes there are")
    return ordered


def _labels(path: Path, labels: npt.NDArray[Any], count: int) -> list[int]:
    if labels.dtype.kind not in "iu" or labels.shape != (count,):
        raise DataError(f"{path}: label is {_form(labels)}, where an integer for each of {count} pictures is needed")
    if labels.min() < 0 or labels.max() >= MAX_CLASSES:
        raise DataError(
            f"{path}: labels are {labels.min()} to {labels.max()}; allowed are 0 to {MAX_CLASSES - 1}, one per class"
        )
    listed: list[int] = labels.tolist()
    return listed


def find_class_names(path: Path) -> tuple[str, ...]:
    """The classes' names from a file beside `path`, or none where there is no such file.

    For `tiny-imagenet-train-0.npz` it is looked for under `tiny-imagenet-train-0-classes.json`, then with less and less
    of the name, down to `tiny-classes.json` and `classes.json`. It holds a list of names, or of objects with a `name`.
    Raises DataError where it holds anything else.
    """
    words = path.stem.split("-")
    stems = ["-".join([*words[:count], "classes"]) for count in range(len(words), -1, -1)]
    for candidate in (path.with_name(f"{stem}.json") for stem in stems):
        if candidate.is_file():
            return _class_names(candidate)
    return ()


def _class_names(path: Path) -> tuple[str, ...]:
    try:
        if path.stat().st_size > MAX_NAMES:
            raise DataError(f"{path} is too large for a list of class names: over {MAX_NAMES:,} bytes")
        listed = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise DataError(f"{path} holds no class names: {_first_line(error)}") from error
    entries = listed if isinstance(listed, list) else []
    told = [entry.get("name") if isinstance(entry, dict) else entry for entry in entries]
    names = tuple(name for name in told if isinstance(name, str))
    if not names or len(names) < len(entries):
        raise DataError(f"{path} holds no class names: a list of names is needed, or of objects that have a name")
    return names


def _form(array: npt.NDArray[Any]) -> str:
    return f"{array.dtype} {array.shape}"


def _first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]
