"""What all the ways of copying share: pictures in whole numbers, where a sample may be copied, and refusals."""

import torch
import torch.nn.functional as F
from torch import Tensor

from oneira.errors import PlanError


def eight_bits(picture: Tensor) -> Tensor:
    """The picture (1, 3, h, w) in [0, 1] as whole numbers from 0 to 255, (3, h, w) float64.

    Sums of products of such numbers stay below 2^53, so that float64 holds them exactly in any order of summation: the
    same patch is the nearest for any number of threads. Only what is compared is rounded, never what is copied.
    """
    return (picture[0].double() * 255).round()


def shown(sample: Tensor, places: Tensor) -> Tensor:
    """The picture (1, 3, h, w) of the pixels of the sample (1, 3, h', w') at `places` (h, w), counted row by row.

    Black where the place is -1: nothing is there yet.
    """
    return (sample[0].flatten(1)[:, places.clamp(min=0)] * (places >= 0))[None]


def wholly_inside(inside: Tensor, side: int) -> Tensor:
    """Where squares of `side` pixels begin that are all True: (h, w) -> (h - side + 1, w - side + 1)."""
    outside = F.pad((~inside).long().cumsum(0).cumsum(1), (1, 0, 1, 0))
    counts = outside[side:, side:] - outside[:-side, side:] - outside[side:, :-side] + outside[:-side, :-side]
    return counts == 0


def largest_square(inside: Tensor) -> int:
    """The side of the largest square that is all True in (h, w); 0 where nothing is."""
    fits, too_large = 0, min(inside.shape) + 1
    while too_large - fits > 1:
        side = (fits + too_large) // 2
        if wholly_inside(inside, side).any():
            fits = side
        else:
            too_large = side
    return fits


def check_picture(what: str, picture: Tensor) -> None:
    """Raise PlanError unless this is one colour picture, (1, 3, h, w), of values in [0, 1]."""
    if picture.ndim != 4 or picture.shape[:2] != (1, 3) or picture.numel() == 0:
        raise PlanError(f"the {what} is one colour picture (1, 3, height, width), not {tuple(picture.shape)}")
    if not ((picture >= 0) & (picture <= 1)).all():
        raise PlanError(f"the {what} has values that are not between 0 and 1; clamp it first")


def check_odd(window: int, smallest: int = 3) -> None:
    """Raise PlanError unless the window has a middle, and at least `smallest` pixels a side."""
    if window < smallest or window % 2 == 0:
        raise PlanError(f"a window is an odd number of pixels from {smallest}, so that it has a middle, not {window}")


def check_tolerance(tolerance: float) -> None:
    """Raise PlanError unless it is a finite number of at least 0."""
    if not 0 <= tolerance < torch.inf:
        raise PlanError(f"a tolerance is a number of at least 0 (0.1 in the papers), not {tolerance}")
