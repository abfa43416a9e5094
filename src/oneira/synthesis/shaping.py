"""What is done to the picture's gradient before the optimiser sees it: dreams need its direction, not its size."""

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from functools import lru_cache

import torch
import torch.nn.functional as F
from torch import Tensor

from oneira.errors import PlanError

SMALLEST = 1e-10  # a picture of one colour has no gradient; dividing by this leaves it at nothing


class Shaping(ABC):
    """A map from gradients to gradients, (b, 3, h, w)."""

    @abstractmethod
    def __call__(self, gradient: Tensor, progress: float) -> Tensor:
        """Of the same shape. `progress` in [0, 1): the step's index over the steps at this size."""


@dataclass(frozen=True)
class MeanAbs(Shaping):
    """Divide by the mean absolute value (google/deepdream): the rate is then how far a pixel moves on average."""

    def __call__(self, gradient: Tensor, progress: float) -> Tensor:
        """Each picture by its own mean."""
        return gradient / gradient.abs().mean((1, 2, 3), keepdim=True).clamp(min=SMALLEST)


@dataclass(frozen=True)
class Std(Shaping):
    """Divide by the standard deviation (Hvass; the TensorFlow tutorial)."""

    def __call__(self, gradient: Tensor, progress: float) -> Tensor:
        """Each picture by its own deviation."""
        return gradient / gradient.std((1, 2, 3), keepdim=True, unbiased=False).clamp(min=SMALLEST)


@dataclass(frozen=True)
class Blur(Shaping):
    """One Gaussian of `sigma` pixels: coarse before fine, so that noise does not grow.

    Without `kernel` it reaches 4 sigma each way and repeats the border's pixel when it reflects there, as
    `scipy.ndimage.gaussian_filter` does; with it, it is `kernel` pixels wide (odd) and reflects around the border's
    pixel, as torch's padding does. Raises PlanError for a width of nothing.
    """

    sigma: float = 1.0
    kernel: int | None = None

    def __post_init__(self) -> None:
        _require_sigma(self.sigma)
        _require_odd(self.kernel)

    def __call__(self, gradient: Tensor, progress: float) -> Tensor:
        """The same at every step."""
        return gaussian_blur(gradient, self.sigma, self.kernel)


@dataclass(frozen=True)
class GaussianCascade(Shaping):
    """The mean of Gaussian blurs of sigma times each of `factors`; sigma is `start` + `growth` * progress.

    The defaults are those of Hvass-Labs' TensorFlow tutorial 14; `growth=2, factors=(0.5, 1, 2), kernel=9` those of
    gordicaleksa/pytorch-deepdream, whose sigma is one step ahead. `kernel` as in `Blur`. Raises PlanError for a sigma
    that is not above 0 from beginning to end.
    """

    # Hvass adds the blurs up, and his filter also mixes the three colours; we take their mean, channel by channel, so
    # that the rate and the colours stay what they are.
    start: float = 0.5
    growth: float = 4.0
    factors: tuple[float, ...] = (1.0, 2.0, 0.5)
    kernel: int | None = None

    def __post_init__(self) -> None:
        if not self.factors:
            raise PlanError("a cascade needs at least one factor, such as 1.0")
        for sigma in (self.start, self.start + self.growth):
            for factor in self.factors:
                _require_sigma(sigma * factor)
        _require_odd(self.kernel)

    def __call__(self, gradient: Tensor, progress: float) -> Tensor:
        """Wider and wider as the steps go on."""
        sigma = self.start + self.growth * progress
        blurs = [gaussian_blur(gradient, sigma * factor, self.kernel) for factor in self.factors]
        return torch.stack(blurs).mean(0)


@dataclass(frozen=True)
class LaplacianPyramid(Shaping):
    """Split into bands of frequency, scale each to root mean square 1, add them up (TensorFlow's first tutorial).

    Low frequencies, which the gradient slights, then count as much as high ones: smoother, larger dreams. Bands are
    parted by the tutorial's 5 x 5 binomial kernel, or by a Gaussian of `sigma` pixels on as many.
    """

    levels: int = 4
    sigma: float | None = None

    def __post_init__(self) -> None:
        if self.sigma is not None:
            _require_sigma(self.sigma)

    def __call__(self, gradient: Tensor, progress: float) -> Tensor:
        """Pictures too small for another level stop there."""
        line = _binomial(gradient.dtype, gradient.device)
        if self.sigma is not None:
            line = _gaussian(self.sigma, 2, gradient.dtype, gradient.device)
        kernel = (line[:, None] * line).expand(gradient.shape[1], 1, -1, -1)
        bands = []
        low = gradient
        for _ in range(self.levels):
            if min(low.shape[2:]) < 2:
                break
            lower = F.conv2d(low, kernel, stride=2, padding=2, groups=low.shape[1])
            bands.append(low - _expand(lower, low, kernel))
            low = lower
        merged = _unit(low)
        for band in reversed(bands):
            merged = _expand(merged, band, kernel) + _unit(band)
        return merged


def _unit(band: Tensor) -> Tensor:
    return band / band.square().mean((1, 2, 3), keepdim=True).sqrt().clamp(min=SMALLEST)


def _expand(low: Tensor, like: Tensor, kernel: Tensor) -> Tensor:
    """Twice the size, cut to the shape of `like`; each pixel's weights add up to one, so four times the kernel."""
    extra = [like.shape[i] - (2 * low.shape[i] - 1) for i in (2, 3)]
    return F.conv_transpose2d(low, 4 * kernel, stride=2, padding=2, output_padding=extra, groups=low.shape[1])


def gaussian_blur(image: Tensor, sigma: float, kernel: int | None = None) -> Tensor:
    """(b, c, h, w) -> the same shape, under a Gaussian of `sigma` pixels; `kernel` as in `Blur`."""
    reach = int(4 * sigma + 0.5) if kernel is None else kernel // 2
    channels = image.shape[1]
    line = _gaussian(sigma, reach, image.dtype, image.device).expand(channels, 1, 1, -1)
    for axis, weights in ((2, line.mT), (3, line)):
        index = _reflected(image.shape[axis], reach, image.device, repeat=kernel is None)
        image = F.conv2d(image.index_select(axis, index), weights, groups=channels)
    return image


def _reflected(extent: int, reach: int, device: torch.device, *, repeat: bool) -> Tensor:
    """Which of `extent` pixels stand at -reach ... extent - 1 + reach; mirrored as often as a wide reach asks for.

    With `repeat` the mirror stands on the border, behind the outermost pixel; without, on that pixel.
    """
    period = max(1, 2 * extent if repeat else 2 * extent - 2)
    place = torch.arange(-reach, extent + reach, device=device) % period
    return torch.minimum(place, period - place - (1 if repeat else 0))


# Kept, because a new one at each step would make an accelerator wait for its numbers.
@lru_cache(maxsize=64)
def _gaussian(sigma: float, reach: int, dtype: torch.dtype, device: torch.device) -> Tensor:
    offsets = torch.arange(-reach, reach + 1, dtype=torch.float64) / sigma
    weights = torch.exp(offsets.square() / -2)
    return (weights / weights.sum()).to(dtype=dtype, device=device)


@lru_cache(maxsize=8)
def _binomial(dtype: torch.dtype, device: torch.device) -> Tensor:
    return torch.tensor([1.0, 4.0, 6.0, 4.0, 1.0], dtype=dtype, device=device) / 16


def _require_sigma(sigma: float) -> None:
    if not (math.isfinite(sigma) and sigma > 0):
        raise PlanError(f"a blur needs a sigma above 0 pixels, not {sigma}")


def _require_odd(kernel: int | None) -> None:
    if kernel is not None and (kernel < 1 or kernel % 2 == 0):
        raise PlanError(f"a kernel has a middle: an odd number of pixels from 1 on, not {kernel}")
