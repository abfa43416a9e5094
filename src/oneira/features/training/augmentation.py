"""What training does to a batch of pictures: crops of random size and place, mirror images, light and colour."""

import math
from typing import Annotated

import torch
import torch.nn.functional as F
from pydantic import AfterValidator, BaseModel, ConfigDict, Field
from torch import Tensor


def _ordered(interval: tuple[float, float]) -> tuple[float, float]:
    low, high = interval
    if not 0 < low <= high < math.inf:
        raise ValueError(f"{low:g} to {high:g} is no range: give two positive numbers, the lower one first")
    return interval


def _share(interval: tuple[float, float]) -> tuple[float, float]:
    if interval[1] > 1:
        raise ValueError(f"a crop cannot keep {interval[1]:g} of a picture's area; at most 1")
    return interval


Interval = Annotated[tuple[float, float], AfterValidator(_ordered)]


class Augmentation(BaseModel):
    """Ranges to draw from, evenly (the aspect in its logarithm); each picture of a batch draws its own."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    area: Annotated[Interval, AfterValidator(_share)] = Field((0.45, 1.0), description="share of the area that is kept")
    aspect: Interval = Field((0.82, 1.22), description="width over height of what is kept, before it is made square")
    mirror: float = Field(0.5, ge=0, le=1, description="share of the pictures that are mirrored")
    brightness: Interval = Field((0.7, 1.3), description="factor on all values")
    contrast: Interval = Field((1.0, 1.0), description="factor on the distance from the picture's mean")
    saturation: Interval = Field((0.6, 1.4), description="factor on the distance from grey")
    hue: float = Field(0.0, ge=0, le=180, description="most that colours turn about the grey axis, in degrees")

    def __call__(self, pictures: Tensor, side: int, generator: torch.Generator) -> Tensor:
        """uint8 (n, 3, h, w) -> float32 (n, 3, side, side) in [0, 1], on the pictures' device.

        The numbers are drawn on the generator's device, so that an accelerator sees what a CPU would see.
        """
        where = self._places(len(pictures), generator).to(pictures.device, non_blocking=True)
        how = self._colours(len(pictures), generator).to(pictures.device, non_blocking=True)
        return _coloured(_cropped(self._within_reach(pictures.float().div_(255), side), where, side), how)

    def _within_reach(self, pictures: Tensor, side: int) -> Tensor:
        # Bilinear sampling sees two pixels each way: much larger pictures would alias, so they are averaged down
        # first, as far as leaves the smallest crop with `side` pixels.
        factor = int(min(pictures.shape[2:]) * math.sqrt(self.area[0]) / side)
        return F.avg_pool2d(pictures, factor) if factor > 1 else pictures

    def _places(self, count: int, generator: torch.Generator) -> Tensor:
        """(n, 2, 3): for `affine_grid`, where each crop lies in its picture's own coordinates, -1 to 1."""
        root = _between(self.area, count, generator).sqrt()
        low, high = self.aspect
        stretch = _between((math.log(low), math.log(high)), count, generator).div(2).exp()
        width, height = (root * stretch).clamp(max=1), (root / stretch).clamp(max=1)
        mirrored = torch.where(_between((0, 1), count, generator) < self.mirror, -1.0, 1.0)
        left = _between((-1, 1), count, generator) * (1 - width)
        top = _between((-1, 1), count, generator) * (1 - height)
        zero = torch.zeros_like(width)
        return torch.stack([width * mirrored, zero, left, zero, height, top], 1).view(count, 2, 3)

    def _colours(self, count: int, generator: torch.Generator) -> Tensor:
        """(n, 3, 4): per picture a matrix of the colours, and how much of the mean of the picture is added."""
        gain = _between(self.brightness, count, generator).view(count, 1, 1)
        contrast = _between(self.contrast, count, generator).view(count, 1, 1)
        saturation = _between(self.saturation, count, generator).view(count, 1, 1)
        angle = torch.deg2rad(_between((-self.hue, self.hue), count, generator)).view(count, 1, 1)
        grey = torch.full((3, 3), 1 / 3)
        across = torch.tensor([[0.0, -1.0, 1.0], [1.0, 0.0, -1.0], [-1.0, 1.0, 0.0]]) / math.sqrt(3)
        # Rodrigues' rotation about the grey axis; what is not grey is scaled besides.
        turned = grey + saturation * (angle.cos() * (torch.eye(3) - grey) + angle.sin() * across)
        return torch.cat([gain * contrast * turned, (gain * (1 - contrast)).expand(count, 3, 1)], 2)


# A change of size and nothing else.
AS_THEY_ARE = Augmentation(area=(1.0, 1.0), aspect=(1.0, 1.0), mirror=0.0, brightness=(1.0, 1.0), saturation=(1.0, 1.0))


def _between(interval: tuple[float, float], count: int, generator: torch.Generator) -> Tensor:
    low, high = interval
    return torch.rand(count, generator=generator, device=generator.device) * (high - low) + low


def _cropped(pictures: Tensor, where: Tensor, side: int) -> Tensor:
    grid = F.affine_grid(where, [len(pictures), 3, side, side], align_corners=False)
    # A crop never leaves its picture by more than half a pixel, which the border fills.
    return F.grid_sample(pictures, grid, padding_mode="border", align_corners=False)


def _coloured(pictures: Tensor, how: Tensor) -> Tensor:
    flat = pictures.flatten(2)
    shift = how[:, :, 3:] * flat.mean((1, 2), keepdim=True)
    return torch.baddbmm(shift, how[:, :, :3], flat).view_as(pictures).clamp_(0, 1)
