"""What a picture is painted on: a plain colour or noise to begin with, and the part that may change."""

from collections.abc import Mapping
from types import MappingProxyType

import torch
from torch import Tensor

from oneira.errors import PlanError
from oneira.synthesis.canvas import Noise

PLAIN: Mapping[str, float] = MappingProxyType({"white": 1.0, "black": 0.0, "grey": 0.5})
NOISES: Mapping[str, Noise] = MappingProxyType({"white-noise": "white", "pink-noise": "pink"})


def plain(start: str, like: Tensor) -> Tensor:
    """The colour named `start`, or the mid-grey on which noise of that name lies, in the shape of `like`."""
    return torch.full_like(like, PLAIN.get(start, 0.5))


def mask_for(picture: Tensor, drawn: Tensor, path: str, option: str = "--mask") -> Tensor:
    """How light `drawn` (1, 3, h, w), the picture at `path`, is: (1, 1, h, w), a mask for `picture` (1, 3, h, w).

    `option` is what named it, for errors.

    Raises PlanError where the two differ in proportions by more than rounding.
    """
    height, width = picture.shape[2:]
    rows, columns = drawn.shape[2:]
    if abs(rows * width - columns * height) > max(height, width):
        raise PlanError(
            f"{option} {path!r} is {columns}x{rows}, the picture {width}x{height}: "
            "give a mask of the picture's proportions"
        )
    return drawn.mean(1, keepdim=True)
