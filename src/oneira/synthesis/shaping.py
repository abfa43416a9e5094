"""What is done to the picture's gradient before the optimiser sees it: dreams need its direction, not its size."""

from abc import ABC, abstractmethod
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

SMALLEST = 1e-10  # a picture of one colour has no gradient; dividing by this leaves it at nothing


class Shaping(ABC):
    """A map from gradients to gradients, (b, 3, h, w)."""

    @abstractmethod
    def __call__(self, gradient: Tensor) -> Tensor:
        """Of the same shape."""


@dataclass(frozen=True)
class MeanAbs(Shaping):
    """Divide by the mean absolute value (google/deepdream): the rate is then how far a pixel moves on average."""

    def __call__(self, gradient: Tensor) -> Tensor:
        """Each picture by its own mean."""
        return gradient / gradient.abs().mean((1, 2, 3), keepdim=True).clamp(min=SMALLEST)


@dataclass(frozen=True)
class Std(Shaping):
    """Divide by the standard deviation (Hvass; the TensorFlow tutorial)."""

    def __call__(self, gradient: Tensor) -> Tensor:
        """Each picture by its own deviation."""
        return gradient / gradient.std((1, 2, 3), keepdim=True, unbiased=False).clamp(min=SMALLEST)


@dataclass(frozen=True)
class LaplacianPyramid(Shaping):
    """Split into bands of frequency, scale each to root mean square 1, add them up (TensorFlow's first tutorial).

    Low frequencies, which the gradient slights, then count as much as high ones: smoother, larger dreams.
    """

    levels: int = 4

    def __call__(self, gradient: Tensor) -> Tensor:
        """Pictures too small for another level stop there."""
        bands = []
        low = gradient
        for _ in range(self.levels):
            if min(low.shape[2:]) < 2:
                break
            lower = _blur(low, stride=2)
            bands.append(low - _expand(lower, low))
            low = lower
        merged = _unit(low)
        for band in reversed(bands):
            merged = _expand(merged, band) + _unit(band)
        return merged


def _unit(band: Tensor) -> Tensor:
    return band / band.square().mean((1, 2, 3), keepdim=True).sqrt().clamp(min=SMALLEST)


def _kernel(like: Tensor) -> Tensor:
    line = torch.tensor([1.0, 4.0, 6.0, 4.0, 1.0], dtype=like.dtype, device=like.device)
    square = line[:, None] * line
    return (square / square.sum()).expand(like.shape[1], 1, 5, 5)


def _blur(image: Tensor, stride: int) -> Tensor:
    return F.conv2d(image, _kernel(image), stride=stride, padding=2, groups=image.shape[1])


def _expand(low: Tensor, like: Tensor) -> Tensor:
    """Twice the size, cut to the shape of `like`; each pixel's weights add up to one, so four times the kernel."""
    extra = [like.shape[i] - (2 * low.shape[i] - 1) for i in (2, 3)]
    return F.conv_transpose2d(low, 4 * _kernel(low), stride=2, padding=2, output_padding=extra, groups=low.shape[1])
