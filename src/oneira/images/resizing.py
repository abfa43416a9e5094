"""Other sizes of the same picture."""

from typing import Literal

import torch.nn.functional as F
from torch import Tensor

Method = Literal["bicubic", "area"]


def fit(height: int, width: int, long_side: int) -> tuple[int, int]:
    """The (height, width) of the same shape whose longer side is `long_side` pixels; no side falls below 1."""
    longest = max(height, width)
    # In whole numbers, halves up: the same on every machine.
    return (
        max(1, (2 * height * long_side + longest) // (2 * longest)),
        max(1, (2 * width * long_side + longest) // (2 * longest)),
    )


def fit_area(height: int, width: int, area: float) -> tuple[int, int]:
    """The (height, width) of the same shape with about `area` pixels; no side falls below 1."""
    factor = (area / (height * width)) ** 0.5
    return max(1, round(height * factor)), max(1, round(width * factor))


def resize(image: Tensor, size: tuple[int, int], *, method: Method = "bicubic", bounded: bool = True) -> Tensor:
    """(b, c, h, w) in [0, 1] -> (b, c, *size) in [0, 1], where `size` is (height, width); differentiable.

    "bicubic" is antialiased when it makes smaller. It overshoots at edges, so its result is clamped to [0, 1], which
    is where images, alphas and masks live; with `bounded` False it is not, for differences. "area" averages what falls
    on each pixel and repeats when it makes larger.
    The size that the picture has already gives the picture itself.
    """
    if tuple(image.shape[-2:]) == tuple(size):
        return image
    if method == "area":
        return F.interpolate(image, size, mode="area")
    # bfloat16 is coarser than a level of 255, and antialiasing sums many neighbours: done in float32.
    wide = image if image.dtype.itemsize >= 4 else image.float()
    resized = F.interpolate(wide, size, mode="bicubic", align_corners=False, antialias=True)
    return (resized.clamp(0, 1) if bounded else resized).to(image.dtype)
