"""Other sizes of the same picture."""

import math
from typing import Literal

import torch.nn.functional as F
from torch import Tensor

from oneira.images.wrapping import wrap

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


def resize(
    image: Tensor, size: tuple[int, int], *, method: Method = "bicubic", bounded: bool = True, wraps: bool = False
) -> Tensor:
    """(b, c, h, w) in [0, 1] -> (b, c, *size) in [0, 1], where `size` is (height, width); differentiable.

    "bicubic" is antialiased when it makes smaller. It overshoots at edges, so its result is clamped to [0, 1], which
    is where images, alphas and masks live; with `bounded` False it is not, for differences. "area" averages what falls
    on each pixel and repeats when it makes larger.
    `wraps`: the picture is one period of a pattern without end, and so is the result; else it ends at its border.
    The size that the picture has already gives the picture itself.
    """
    if tuple(image.shape[-2:]) == tuple(size):
        return image
    if method == "area":
        return F.interpolate(image, size, mode="area")  # which does not look over the border
    # bfloat16 is coarser than a level of 255, and antialiasing sums many neighbours: done in float32.
    wide = image if image.dtype.itemsize >= 4 else image.float()
    resized = _along(_along(wide, 2, size[0]), 3, size[1]) if wraps else _bicubic(wide, size)
    return (resized.clamp(0, 1) if bounded else resized).to(image.dtype)


def _bicubic(image: Tensor, size: tuple[int, int]) -> Tensor:
    if size[1] == 1 and size[0] != image.shape[2]:
        # Down a single column, torch 2.13 repeats its first pixel; along a single row it does what it should.
        return _bicubic(_bicubic(image, (image.shape[2], 1)).mT, (1, size[0])).mT
    return F.interpolate(image, size, mode="bicubic", align_corners=False, antialias=True)


def _along(image: Tensor, axis: int, side: int) -> Tensor:
    """One `axis` resized to `side` pixels as a period.

    What is put around the picture for the kernel to see is as many of its pixels as make whole new ones: only then do
    the new pixels lie where they lie in the picture alone, and what they become around it can be cut off.
    """
    extent = image.shape[axis]
    if extent == side:
        return image
    common = math.gcd(extent, side)
    reach = 2 * max(1.0, extent / side) + 1  # of the kernel, and half a pixel on either side of it
    steps = math.ceil(reach * common / extent)
    around, cut = steps * extent // common, steps * side // common
    vertical, horizontal = ((around, around), (0, 0)) if axis == 2 else ((0, 0), (around, around))
    wrapped = wrap(image, vertical, horizontal)
    height, width = image.shape[2:]
    size = (side + 2 * cut, width) if axis == 2 else (height, side + 2 * cut)
    return _bicubic(wrapped, size).narrow(axis, cut, side)
