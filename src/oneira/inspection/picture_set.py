"""Pictures to look through one by one: a folder of any depth, or the packed .npz layout of training data."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from oneira.errors import DataError, ImageError
from oneira.features.training.dataset import Entry, middle_square, picture_files, require_memory
from oneira.features.training.packed import read_packed
from oneira.images.opening import sha256_of


@dataclass(frozen=True, eq=False)
class PictureSet:
    """Pictures in an order that is always the same, decoded when they are asked for.

    `identity`: the SHA-256 of an .npz file, or of the names and sizes of a folder's files; what decides whether what
    was measured on these pictures still holds. A file that was changed but kept its name and size goes unnoticed:
    reading gigabytes to learn that nothing changed would take longer than most measurements.
    """

    entries: Sequence[Entry]
    identity: str

    @classmethod
    def open(cls, path: Path) -> "PictureSet":
        """The pictures under a folder (hidden ones are left out), or in an .npz file with `jpeg`, `offset`, `label`.

        Nothing is decoded yet. Raises DataError, in one line, where there is neither, or no picture in it.
        """
        if path.is_dir():
            return cls._of_folder(path)
        if path.suffix.lower() != ".npz":
            what = "is no folder and no .npz file" if path.exists() else "is not there"
            raise DataError(f"cannot look through {path}: it {what}; name a folder of pictures, or an .npz file")
        try:
            identity = sha256_of(path)
        except ImageError as error:
            raise DataError(f"cannot look through {path}: {error}") from error
        packed = read_packed(path, require_memory)
        numbered = enumerate(zip(packed.files(), packed.labels, strict=True))
        return cls([Entry(data, f"{path}, picture {number}", label) for number, (data, label) in numbered], identity)

    @classmethod
    def _of_folder(cls, folder: Path) -> "PictureSet":
        files = [file for file in picture_files(folder) if not _hidden(file.relative_to(folder))]
        if not files:
            raise DataError(f"{folder} holds no picture, at any depth; name a folder of pictures, or an .npz file")
        try:
            told = [(file.relative_to(folder).as_posix(), file.stat().st_size) for file in files]
        except OSError as error:
            raise DataError(f"cannot look into {folder} ({error.strerror})") from error
        identity = hashlib.sha256(json.dumps(told).encode()).hexdigest()
        return cls([Entry(file, str(file), 0) for file in files], identity)

    def __len__(self) -> int:
        """How many there are, readable or not."""
        return len(self.entries)

    def name(self, index: int) -> str:
        """What to call a picture: its file, or its number in the .npz file."""
        return self.entries[index].name

    def square(self, index: int, side: int) -> Tensor:
        """The middle square of a picture, (1, 3, side, side) float32 in [0, 1], in steps of 1 / 255.

        Whole pictures would each have a grid of their own. Squares of one size count alike in every mean, cost alike,
        and let the network's kernels be prepared once. Raises ImageError where the picture cannot be read.
        """
        return middle_square(self.entries[index].picture().image, side, 1.0)[None].to(torch.float32).div_(255)


def _hidden(path: Path) -> bool:
    return any(part.startswith(".") for part in path.parts)
