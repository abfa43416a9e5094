"""Pictures to train on, decoded when they are asked for: a folder, packed JPEGs, or the frames of a clip."""

from abc import ABC, abstractmethod
from dataclasses import dataclass

from torch import Tensor

from oneira.errors import DataError, ImageError
from oneira.inspection.picture_set import PictureSet

UNREADABLE = 10  # pictures in a row after which nothing readable is expected any more


class Pictures(ABC):
    """Numbered pictures; `identity` tells them from others in a checkpoint."""

    identity: str

    @abstractmethod
    def __len__(self) -> int:
        """How many there are, readable or not."""

    @abstractmethod
    def picture(self, index: int) -> Tensor:
        """(1, 3, h, w) float32, sRGB in [0, 1]. Raises ImageError where it cannot be read."""


@dataclass(frozen=True, eq=False)
class Files(Pictures):
    """Those of a folder, at any depth, or of an .npz file of packed JPEGs."""

    files: PictureSet

    @property
    def identity(self) -> str:  # type: ignore[override]
        """The file set's own."""
        return self.files.identity

    def __len__(self) -> int:
        """How many files there are."""
        return len(self.files)

    def picture(self, index: int) -> Tensor:
        """Decoded anew each time."""
        return self.files.entries[index].picture().image


def readable(pictures: Pictures, index: int) -> Tensor:
    """The picture, or the next one that can be read: a run that is resumed must find the same.

    Raises DataError where none of the next few can be.
    """
    problems: list[ImageError] = []
    for number in range(index, index + min(UNREADABLE, len(pictures))):
        try:
            return pictures.picture(number % len(pictures))
        except ImageError as error:
            problems.append(error)
    raise DataError(f"{len(problems)} pictures in a row cannot be read, the first: {problems[0]}") from problems[0]
