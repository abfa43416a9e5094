"""What a picture goes through before the network sees it, anew at each step, so that what it shows holds anywhere.

Each is differentiable and draws from the generator that it is given.
"""

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor


class Augmentation(ABC):
    """One random change of the picture."""

    @abstractmethod
    def __call__(self, image: Tensor, generator: torch.Generator) -> Tensor:
        """(b, 3, h, w) -> (b, 3, h', w')."""


def _uniform(low: float, high: float, generator: torch.Generator) -> float:
    return low + (high - low) * float(torch.rand((), generator=generator))


@dataclass(frozen=True)
class Jitter(Augmentation):
    """Roll by up to `reach` pixels each way, what leaves on one side coming back on the other (google/deepdream)."""

    reach: int = 32

    def __call__(self, image: Tensor, generator: torch.Generator) -> Tensor:
        """Same size."""
        dy, dx = torch.randint(-self.reach, self.reach + 1, (2,), generator=generator).tolist()
        return image.roll((dy, dx), (2, 3))


@dataclass(frozen=True)
class Pad(Augmentation):
    """A border of `width` pixels of `value`, or of the reflected picture: room for what follows (lucid: 12 of grey)."""

    width: int = 12
    value: float | None = 0.5

    def __call__(self, image: Tensor, generator: torch.Generator) -> Tensor:
        """Larger by twice the width."""
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

    def __call__(self, image: Tensor, generator: torch.Generator) -> Tensor:
        """Another size, at least one pixel."""
        factor = _uniform(self.low, self.high, generator)
        size = [max(1, round(side * factor)) for side in image.shape[2:]]
        return F.interpolate(image, size, mode="bilinear", align_corners=False)


@dataclass(frozen=True)
class Rotate(Augmentation):
    """Turn by up to `degrees` either way; corners are filled by reflection."""

    degrees: float = 10.0

    def __call__(self, image: Tensor, generator: torch.Generator) -> Tensor:
        """Same size."""
        angle = math.radians(_uniform(-self.degrees, self.degrees, generator))
        height, width = image.shape[2:]
        cos, sin = math.cos(angle), math.sin(angle)
        # affine_grid's coordinates run from -1 to 1 on both axes, whatever the proportions.
        theta = torch.tensor([[cos, -sin * height / width, 0.0], [sin * width / height, cos, 0.0]], device=image.device)
        grid = F.affine_grid(theta.expand(len(image), 2, 3), list(image.shape), align_corners=False)
        return F.grid_sample(image, grid, padding_mode="reflection", align_corners=False)


@dataclass(frozen=True)
class Chain:
    """Several, one after the other."""

    parts: tuple[Augmentation, ...]

    def __call__(self, image: Tensor, generator: torch.Generator) -> Tensor:
        """(b, 3, h, w) -> (b, 3, h', w')."""
        for part in self.parts:
            image = part(image, generator)
        return image
