"""Summaries of a layer that forget where things are, and how far apart two of them are.

Those of DISTANCES follow from two raw moments, each channel's mean and the mean products of channels (the Gram matrix),
which are means over positions, so that pictures of any two sizes can be compared, and summaries averaged. Those of
MEASURES are measured on the activations themselves.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from types import MappingProxyType
from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from oneira.objectives.autocorrelation import (
    autocorrelation,
    autocorrelation_distance,
    average_autocorrelations,
    size_of_autocorrelation,
)
from oneira.objectives.histogram import average_quantiles, histogram_distance, quantiles, size_of_histogram
from oneira.objectives.squares import sum_of_squares

Statistics = Literal["gram", "moments", "wasserstein", "histogram", "autocorrelation"]

# Half-precision products are summed over runs of about so many positions, and the runs' sums added up in float32:
# the matrix unit's speed with hardly its rounding. Accelerators compute many runs at once, processors few.
LONGEST_RUN = 4096
LONGEST_RUN_ON_CPU = 65536


@dataclass(frozen=True, eq=False)
class Summary:
    """Raw moments, float32: `mean` (b, c), and `second` (b, c, c), the Gram matrix averaged over positions."""

    mean: Tensor
    second: Tensor

    @property
    def covariance(self) -> Tensor:
        """(b, c, c)"""
        return self.second - self.mean.unsqueeze(2) * self.mean.unsqueeze(1)

    @cached_property
    def deviation(self) -> Tensor:
        """(b, c): each channel's standard deviation; a root has no gradient at zero, where dead channels are."""
        squares = self.second.diagonal(dim1=1, dim2=2)
        return torch.addcmul(squares, self.mean, self.mean, value=-1).clamp(min=0).add(1e-6).sqrt()

    @cached_property
    def covariance_root(self) -> Tensor:
        """(b, c, c), float64: the symmetric square root of the covariance; of a target, needed at every step."""
        values, vectors = torch.linalg.eigh(_lifted(self.covariance))
        root: Tensor = vectors * values.clamp(min=0).sqrt().unsqueeze(-2) @ vectors.mT
        return root


def _lifted(covariance: Tensor) -> Tensor:
    """Float64, and a little above singular: dead channels have no spread."""
    return covariance.double() + 1e-4 * torch.eye(covariance.shape[-1], dtype=torch.float64, device=covariance.device)


def summarise(features: Tensor, weights: Tensor | None = None) -> Summary:
    """Activations (b, c, h, w), any precision, and weights (1, 1, h, w) of mean 1 or None -> their Summary."""
    mean, second = _RawMoments.apply(features, weights)  # type: ignore[no-untyped-call]
    return Summary(mean, second)


def average(summaries: Sequence[Summary], shares: Sequence[float]) -> Summary:
    """Several pictures' Summaries and their shares, which add up to 1 -> the Summary of all of them together.

    Raw moments are averaged, so that the covariance is that of the mixture: one picture's spread about its own mean,
    and the spread of the means.
    """
    mean, *means = (share * summary.mean for share, summary in zip(shares, summaries, strict=True))
    second, *seconds = (share * summary.second for share, summary in zip(shares, summaries, strict=True))
    return Summary(sum(means, mean), sum(seconds, second))


def gram(features: Tensor) -> Tensor:
    """(b, c, h, w) -> (b, c, c) in float32: products of channels, averaged over positions (Gatys et al. 2015)."""
    return summarise(features).second


class _RawMoments(torch.autograd.Function):
    """Both moments in one look at the activations, and both gradients in another.

    Written with ordinary operations, the same costs several passes over memory each way, as long as the convolutions
    around it.
    """

    @staticmethod
    def forward(ctx: Any, features: Tensor, weights: Tensor | None) -> tuple[Tensor, Tensor]:
        share = None if weights is None else weights.to(features.dtype)
        weighted = features if share is None else features * share
        ctx.save_for_backward(features, share)
        sums = _sums_by_convolution if features.device.type == "cpu" else _sums_by_product
        positions = features.shape[2:].numel()
        mean, second = sums(weighted, features)
        return mean / positions, second / positions

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        features, share = ctx.saved_tensors
        by_mean, by_second = (gradient / features.shape[2:].numel() for gradient in gradients)
        matrices = (by_second + by_second.mT).to(features.dtype)[..., None, None]
        # At every position, a matrix times its activations: a convolution of 1x1, which adds a bias in the same pass.
        pictures = zip(features.split(1), matrices, by_mean.to(features.dtype), strict=True)
        by_picture = [F.conv2d(picture, matrix, bias) for picture, matrix, bias in pictures]
        by_features = by_picture[0] if len(by_picture) == 1 else torch.cat(by_picture)
        return by_features if share is None else by_features * share, None


def _sums_by_convolution(left: Tensor, right: Tensor) -> tuple[Tensor, Tensor]:
    """(b, c, h, w) twice -> the first's sums over positions (b, c), those of both's products (b, c, c), in float32.

    They are what a convolution of 1x1 hands back to its bias and its weights. Processors take two thirds of a matrix
    product's time for it where there are few channels and many positions.
    """
    batch, channels, height, width = right.shape
    half = right.dtype.itemsize < 4
    rows = max(1, LONGEST_RUN_ON_CPU // width) if half else height
    kernel = right.new_empty(channels, channels, 1, 1)
    handed = [
        # The bias comes for nothing in half precision only.
        torch.ops.aten.convolution_backward(
            *run, kernel, [channels], [1, 1], [0, 0], [1, 1], False, [0, 0], 1, [False, True, half]
        )
        for picture in zip(left.split(1), right.split(1), strict=True)
        for run in zip(*(side.split(rows, 2) for side in picture), strict=True)
    ]
    products = torch.stack([by_kernel for _, by_kernel, _ in handed]).view(batch, -1, channels, channels)
    if not half:
        return left.sum((2, 3)), products.sum(1)
    sums = torch.stack([by_bias for _, _, by_bias in handed]).view(batch, -1, channels)
    return sums.sum(1, dtype=torch.float32), products.sum(1, dtype=torch.float32)


def _sums_by_product(left: Tensor, right: Tensor) -> tuple[Tensor, Tensor]:
    """The same on accelerators, whose convolutions would add up in another order every time."""
    left, right = (side.permute(0, 2, 3, 1).flatten(1, 2) for side in (left, right))  # (b, positions, c)
    ones = left.new_ones(1, 1, 1).expand(*left.shape[:2], 1)
    return _products(ones, left)[:, 0], _products(left, right)


def _products(left: Tensor, right: Tensor) -> Tensor:
    """(b, n, c), (b, n, d) -> left^T right (b, c, d) in float32."""
    if left.dtype.itemsize >= 4:
        return left.mT @ right
    batch, positions = left.shape[:2]
    runs = positions // LONGEST_RUN
    total = torch.zeros(batch, left.shape[2], right.shape[2], device=left.device)
    if runs:
        whole = [side[:, : runs * LONGEST_RUN].reshape(batch * runs, LONGEST_RUN, -1) for side in (left, right)]
        total = (whole[0].mT @ whole[1]).float().view(batch, runs, *total.shape[1:]).sum(1)
    rest = [side[:, runs * LONGEST_RUN :] for side in (left, right)]
    return total + (rest[0].mT @ rest[1]).float() if rest[0].shape[1] else total


def _gram_distance(summary: Summary, target: Summary) -> Tensor:
    return sum_of_squares(summary.second - target.second) / summary.second[0].numel()


def _moments_distance(summary: Summary, target: Summary) -> Tensor:
    squares = sum_of_squares(summary.mean - target.mean) + sum_of_squares(summary.deviation - target.deviation)
    return squares / summary.mean.shape[1]


def _wasserstein_distance(summary: Summary, target: Summary) -> Tensor:
    """The squared 2-Wasserstein distance of two Gaussians over the number of channels (crowsonkb's W2 style loss).

    tr((B^1/2 A B^1/2)^1/2) is taken from eigenvalues, which is exact and whose gradient stays finite where eigenvalues
    coincide; crowsonkb iterates Newton and Schulz instead. In float64: near the optimum, float32's roots leave a
    gradient of which a tenth is noise.
    """
    channels = target.mean.shape[1]
    covariance, root = _lifted(summary.covariance), target.covariance_root
    inner = root @ covariance @ root
    crossed = torch.linalg.eigvalsh((inner + inner.mT) / 2).clamp(min=1e-12).sqrt().sum(-1)
    traces = covariance.diagonal(dim1=-2, dim2=-1).sum(-1) + root.square().sum((-2, -1))
    covariances: Tensor = (traces - 2 * crossed).sum().to(summary.mean.dtype)
    return (sum_of_squares(summary.mean - target.mean) + covariances) / channels


@dataclass(frozen=True)
class Distance:
    """`between(summary, target)`, summed over the pictures; `size(target)` is what makes it relative. Scalars."""

    between: Callable[[Summary, Summary], Tensor]
    size: Callable[[Summary], Tensor]


DISTANCES: Mapping[str, Distance] = MappingProxyType(
    {
        "gram": Distance(_gram_distance, lambda target: target.second.square().mean()),
        "moments": Distance(
            _moments_distance, lambda target: target.mean.square().mean() + target.deviation.square().mean()
        ),
        "wasserstein": Distance(_wasserstein_distance, lambda target: target.second.diagonal(dim1=1, dim2=2).mean()),
    }
)


@dataclass(frozen=True)
class Measure:
    """What is measured on activations (b, c, h, w), with weights (1, 1, h, w) of mean 1 or None.

    `of(features, weights)` is a picture's, `average(pictures, shares)` that of several, whose shares add up to 1;
    `between(features, target, weights)` and `size(target)` are scalars, as those of a Distance.
    """

    of: Callable[[Tensor, Tensor | None], Tensor]
    average: Callable[[Sequence[Tensor], Sequence[float]], Tensor]
    between: Callable[[Tensor, Tensor, Tensor | None], Tensor]
    size: Callable[[Tensor], Tensor]


MEASURES: Mapping[str, Measure] = MappingProxyType(
    {
        "histogram": Measure(quantiles, average_quantiles, histogram_distance, size_of_histogram),
        "autocorrelation": Measure(
            autocorrelation, average_autocorrelations, autocorrelation_distance, size_of_autocorrelation
        ),
    }
)
