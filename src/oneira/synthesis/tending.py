"""What the picture itself goes through after a step: the priors of Yosinski et al. 2015, section 3, as one writes them.

All work on the distance of each value from mid-grey. The paper's picture is what is left when the training pictures'
mean is taken away; which mean that was, differs from network to network, and lies near mid-grey.
"""

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass

from torch import Tensor

from oneira.errors import PlanError
from oneira.synthesis.shaping import gaussian_blur

MID_GREY = 0.5


class Tending(ABC):
    """A map from pictures to pictures, (b, 3, h, w), as distances from mid-grey; each of a batch on its own."""

    @abstractmethod
    def __call__(self, picture: Tensor, gradient: Tensor, index: int) -> Tensor:
        """Of the same shape. `gradient`: the step's, shaped; `index`: how many steps came before it at this size."""


@dataclass(frozen=True)
class Decay(Tending):
    """Take away `share` of each value (the paper's L2 decay): extreme values do not last. PlanError outside [0, 1)."""

    share: float

    def __post_init__(self) -> None:
        if not 0 <= self.share < 1:
            raise PlanError(f"a decay takes away a share of at least 0 and below 1, not {self.share}")

    def __call__(self, picture: Tensor, gradient: Tensor, index: int) -> Tensor:
        """The same at every step."""
        return (1 - self.share) * picture


@dataclass(frozen=True)
class Blur(Tending):
    """A Gaussian of `width` pixels: high frequencies, which excite units more than they please, do not grow.

    At the first step and each `every`-th behind it, as in the authors' code, whose border is this one too: the mirror
    stands behind the outermost pixel, also where a canvas wraps. Raises PlanError for a width of nothing, and for fewer
    steps than one.
    """

    width: float
    every: int = 4

    def __post_init__(self) -> None:
        if not (math.isfinite(self.width) and self.width > 0):
            raise PlanError(f"a blur is some pixels wide, not {self.width}")
        if self.every < 1:
            raise PlanError(f"a blur comes at every step or less often, not every {self.every} steps")

    def __call__(self, picture: Tensor, gradient: Tensor, index: int) -> Tensor:
        """Unchanged between blurs."""
        return picture if index % self.every else gaussian_blur(picture, self.width)


@dataclass(frozen=True)
class SmallNorms(Tending):
    """Pixels whose norm over the colours is below the `percentile` turn grey: what need not be there, is not.

    Raises PlanError for a percentile outside [0, 100].
    """

    percentile: float

    def __post_init__(self) -> None:
        _require_percentile(self.percentile)

    def __call__(self, picture: Tensor, gradient: Tensor, index: int) -> Tensor:
        """Of the percentile of each picture."""
        return _clipped(picture, picture.square().sum(1, keepdim=True), self.percentile)


@dataclass(frozen=True)
class SmallContributions(Tending):
    """Pixels that contribute little to what is sought turn grey: |sum over colours of value x gradient|.

    That is how much the loss would change, to first order, if the pixel were grey; "little" is below the `percentile`.
    The loss is the sum of all terms, where the paper has the unit's activation alone: a weight of 0.1 for smoothness
    hardly tells. Raises PlanError for a percentile outside [0, 100].
    """

    percentile: float

    def __post_init__(self) -> None:
        _require_percentile(self.percentile)

    def __call__(self, picture: Tensor, gradient: Tensor, index: int) -> Tensor:
        """Of the percentile of each picture."""
        return _clipped(picture, (picture * gradient).sum(1, keepdim=True).abs(), self.percentile)


def _clipped(picture: Tensor, sizes: Tensor, percentile: float) -> Tensor:
    """`picture` without the pixels whose size (b, 1, h, w) is below the percentile of its own sizes."""
    every = sizes.flatten(1)
    # The percentile lies between two sizes, and is below the same ones as the larger of them.
    place = math.ceil(percentile * (every.shape[1] - 1) / 100)
    threshold = every.sort(1).values[:, place].view(-1, 1, 1, 1)
    return picture.masked_fill(sizes < threshold, 0)


def _require_percentile(percentile: float) -> None:
    if not 0 <= percentile <= 100:
        raise PlanError(f"a percentile lies between 0 and 100, not at {percentile}")
