"""A picture of a film: what is seen, from when, for how long."""

from dataclasses import dataclass
from fractions import Fraction

from torch import Tensor


@dataclass(frozen=True, eq=False)
class Frame:
    """`image` (1, 3, h, w), sRGB in [0, 1], is seen from `start` for `duration`, in seconds, both exact."""

    image: Tensor
    start: Fraction
    duration: Fraction
