"""Projections made visible: as colours around grey, or as how much each pixel matters."""

from torch import Tensor

from oneira.errors import PlanError

SILENT_GREY = 0.93  # of the tile in place of what has nothing to show


def shown(projection: Tensor, *, percentile: float = 99.5) -> Tensor:
    """(b, 3, h, w) -> a picture (b, 3, h, w) in [0, 1]: 0 is middle grey, and signs keep their side of it.

    One scale for the whole: the `percentile` of the absolute values that are not 0 becomes black and white, and what is
    beyond is cut. Zeros do not count: of a low layer's projection they are nearly all. Hand in pictures one by one for
    a scale each. Raises PlanError for a percentile that is not above 0 and at most 100.
    """
    if not 0 < percentile <= 100:
        raise PlanError(f"a percentile is above 0 and at most 100, not {percentile}")
    sizes = projection.abs().flatten()
    sizes = sizes[sizes > 0].float()
    if not sizes.numel():
        return (projection.float() * 0).add(0.5)
    # kthvalue, since quantile refuses more than 16 million numbers.
    scale = sizes.kthvalue(max(1, round(percentile / 100 * sizes.numel()))).values
    return (0.5 + projection.float() / (2 * scale)).clamp(0, 1)


def magnified(picture: Tensor, factor: int) -> Tensor:
    """(..., h, w), larger by a whole number: a value stays a square of its own."""
    return picture.repeat_interleave(factor, -2).repeat_interleave(factor, -1)


def saliency(projection: Tensor) -> Tensor:
    """(b, 3, h, w) -> (b, 1, h, w): the largest absolute value of a pixel's colours (Simonyan et al. 2014)."""
    return projection.abs().amax(1, keepdim=True)
