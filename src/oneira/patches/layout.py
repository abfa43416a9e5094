"""A picture whose layout a quilt follows: how light it is, in the tones of the sample, and how closely it is followed.

A. A. Efros and W. T. Freeman, "Image quilting for texture synthesis and transfer", SIGGRAPH 2001, section 3.
"""

import math
from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F
from torch import Tensor

from oneira.patches.matching import eight_bits
from oneira.patches.seams import Differences


@dataclass(frozen=True)
class Layout:
    """What the sample's places are compared with: `target` (1, h, w), how light the picture is there.

    `neighbours` in [0, 1] is the share of the blocks laid already, the layout's being the rest.
    """

    sample: Differences
    target: Tensor
    neighbours: float

    @classmethod
    def of(cls, sample: Tensor, inside: Tensor, picture: Tensor, neighbours: float) -> "Layout":
        """Of pictures (1, 3, h, w) in [0, 1]; `inside` (h, w): what may be copied of the sample.

        The picture's luminance is given the mean and deviation of what may be copied, as in Hertzmann et al. 2001
        and unlike Efros and Freeman: a dark picture would otherwise get nothing but the darkest block.
        """
        own = luminance(eight_bits(sample))
        return cls(Differences(own), _toned(luminance(eight_bits(picture)), own[:, inside]), neighbours)

    def reaching(self, height: int, width: int) -> "Layout":
        """For blocks that reach past the picture: nothing is asked for there."""
        return replace(self, target=reaching(self.target, height, width))

    def weighed(self, errors: Tensor, top: int, left: int, side: int) -> Tensor:
        """The errors (h, w) towards the neighbours, with those towards the layout under a block at `top` and `left`."""
        wanted = self.target[:, top : top + side, left : left + side]
        # A difference of luminance counts three times, as much as the three colours of an overlap.
        unlike = self.sample.to(wanted, wanted[0] >= 0) * 3
        return errors * self.neighbours + unlike * (1 - self.neighbours)


def luminance(levels: Tensor) -> Tensor:
    """(3, h, w) -> (1, h, w), by the weights of Rec. 601 in thousandths; whole numbers throughout."""
    weights = torch.tensor([299.0, 587.0, 114.0], dtype=torch.float64)[:, None, None]
    return (((levels * weights).sum(0, keepdim=True) + 500) / 1000).floor()


def reaching(plane: Tensor, height: int, width: int) -> Tensor:
    """A copy of (..., h, w) that reaches as far as `height` and `width`, with -1 for nothing."""
    return F.pad(plane, (0, width - plane.shape[-1], 0, height - plane.shape[-2]), value=-1)


def _toned(wanted: Tensor, own: Tensor) -> Tensor:
    """`wanted` (1, h, w) with the mean and deviation of `own` (1, n); whole numbers from 0 to 255."""
    mean, deviation = _moments(wanted)
    new_mean, new_deviation = _moments(own)
    contrast = new_deviation / deviation if deviation > 0 else 1.0
    return ((wanted - mean) * contrast + new_mean).round().clamp(0, 255)


def _moments(levels: Tensor) -> tuple[float, float]:
    # Sums of whole numbers: the same in any order.
    count, total, squares = levels.numel(), int(levels.sum()), int(levels.square().sum())
    return total / count, math.sqrt(count * squares - total**2) / count
