"""What training does to a batch of pictures: crops of random size and place, mirror images, light and colour."""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor


@dataclass(frozen=True)
class Augmentation:
    """Ranges are drawn from evenly, aspect and scale in their logarithm."""

    area: tuple[float, float] = (0.45, 1.0)
    aspect: tuple[float, float] = (0.82, 1.22)
    brightness: tuple[float, float] = (0.7, 1.3)
    saturation: tuple[float, float] = (0.6, 1.4)

    def __call__(self, pictures: Tensor, side: int, generator: torch.Generator) -> Tensor:
        """uint8 (n, 3, h, w) -> float32 (n, 3, side, side) in [0, 1]."""
        count = len(pictures)

        def between(low: float, high: float) -> Tensor:
            return torch.rand(count, generator=generator) * (high - low) + low

        area = between(*self.area)
        stretch = torch.exp(between(*(float(torch.tensor(a).log()) for a in self.aspect)) / 2)
        width, height = (area.sqrt() * stretch).clamp(max=1), (area.sqrt() / stretch).clamp(max=1)
        mirror = (between(0, 1) < 0.5).float() * 2 - 1
        left = (between(0, 1) * 2 - 1) * (1 - width)
        top = (between(0, 1) * 2 - 1) * (1 - height)
        zero = torch.zeros(count)
        theta = torch.stack([width * mirror, zero, left, zero, height, top], 1).view(count, 2, 3)
        grid = F.affine_grid(theta, [count, 3, side, side], align_corners=False)
        cropped = F.grid_sample(pictures.float().div_(255), grid, padding_mode="reflection", align_corners=False)
        grey = cropped.mean(1, keepdim=True)
        saturation = between(*self.saturation).view(count, 1, 1, 1)
        brightness = between(*self.brightness).view(count, 1, 1, 1)
        return (grey + (cropped - grey) * saturation).mul_(brightness).clamp_(0, 1)
