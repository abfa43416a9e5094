"""What a picture goes through before the network sees it, anew at each step, so that what it shows holds anywhere.

An augmentation draws a Move from the generator that it is given: a differentiable map that does the same to whatever
it is applied to, so that a picture and its masks stay together.
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from oneira.synthesis.turning import turn

Move = Callable[[Tensor], Tensor]  # (b, c, h, w) -> (b, c, h', w')


class Augmentation(ABC):
    """One random change of the picture."""

    @abstractmethod
    def draw(self, generator: torch.Generator) -> Move:
        """What happens this time."""

    def __call__(self, image: Tensor, generator: torch.Generator) -> Tensor:
        """(b, c, h, w) -> (b, c, h', w'): draw, and apply once."""
        return self.draw(generator)(image)


def _uniform(low: float, high: float, generator: torch.Generator) -> float:
    return low + (high - low) * float(torch.rand((), generator=generator))


@dataclass(frozen=True)
class Jitter(Augmentation):
    """Roll by up to `reach` pixels each way, what leaves on one side coming back on the other (google/deepdream)."""

    reach: int = 32

    def draw(self, generator: torch.Generator) -> Move:
        """Same size."""
        dy, dx = torch.randint(-self.reach, self.reach + 1, (2,), generator=generator).tolist()
        return lambda image: image.roll((dy, dx), (2, 3))


@dataclass(frozen=True)
class Pad(Augmentation):
    """A border of `width` pixels of `value`, or of the reflected picture: room for what follows (lucid: 12 of grey)."""

    width: int = 12
    value: float | None = 0.5

    def draw(self, generator: torch.Generator) -> Move:
        """Larger by twice the width; nothing about it is random."""
        return self._padded

    def _padded(self, image: Tensor) -> Tensor:
        amounts = (self.width,) * 4
        if self.value is None:
            fits = min(image.shape[2:]) > self.width
            return F.pad(image, amounts, mode="reflect" if fits else "replicate")
        return F.pad(image, amounts, value=self.value)


@dataclass(frozen=True)
class Scale(Augmentation):
    """Resize by a factor between `low` and `high`."""

    low: float = 0.9
    high: float = 1.1

    def draw(self, generator: torch.Generator) -> Move:
        """Another size, at least one pixel."""
        factor = _uniform(self.low, self.high, generator)

        def resized(image: Tensor) -> Tensor:
            size = [max(1, round(side * factor)) for side in image.shape[2:]]
            return F.interpolate(image, size, mode="bilinear", align_corners=False)

        return resized


@dataclass(frozen=True)
class Rotate(Augmentation):
    """Turn by up to `degrees` either way; corners are filled by reflection."""

    degrees: float = 10.0

    def draw(self, generator: torch.Generator) -> Move:
        """Same size."""
        angle = math.radians(_uniform(-self.degrees, self.degrees, generator))
        return lambda image: turn(image, angle)


@dataclass(frozen=True)
class Chain(Augmentation):
    """Several, one after the other."""

    parts: tuple[Augmentation, ...]

    def draw(self, generator: torch.Generator) -> Move:
        """All are drawn at once, in order."""
        moves = [part.draw(generator) for part in self.parts]

        def moved(image: Tensor) -> Tensor:
            for move in moves:
                image = move(image)
            return image

        return moved


# What lucid does to every picture (Olah et al. 2017): room to move in, then shifts around a change of size and angle.
ROBUST: tuple[Augmentation, ...] = (Pad(12), Jitter(8), Scale(0.9, 1.1), Rotate(10.0), Jitter(4))
