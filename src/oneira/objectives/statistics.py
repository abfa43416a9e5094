"""Summaries of a layer that forget where things are, and how far apart two of them are.

All of them follow from two raw moments, each channel's mean and the mean products of channels (the Gram matrix), which
are means over positions, so that pictures of any two sizes can be compared, and summaries averaged.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from types import MappingProxyType
from typing import Any, Literal

import torch
from torch import Tensor

Statistics = Literal["gram", "moments", "wasserstein"]

# Half-precision products are summed over runs of so many positions at most, and the runs' sums added up in float32:
# the matrix unit's speed with hardly its rounding.
LONGEST_RUN = 4096


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
        return (squares - self.mean.square()).clamp(min=0).add(1e-6).sqrt()

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


def gram(features: Tensor) -> Tensor:
    """(b, c, h, w) -> (b, c, c) in float32: products of channels, averaged over positions (Gatys et al. 2015)."""
    return summarise(features).second


class _RawMoments(torch.autograd.Function):
    """Both moments in one look at the activations, and both gradients in one matrix product.

    Activations lie channels-last, so that (positions, channels) is a view of them; written with ordinary operations,
    the same costs several passes over memory each way, as long as the convolutions around it.
    """

    @staticmethod
    def forward(ctx: Any, features: Tensor, weights: Tensor | None) -> tuple[Tensor, Tensor]:
        rows = features.permute(0, 2, 3, 1).flatten(1, 2)  # (b, positions, c)
        share = None if weights is None else weights.flatten().to(rows.dtype)[None, :, None]
        weighted = rows if share is None else rows * share
        ctx.save_for_backward(rows, share)
        ctx.shape = features.shape
        positions = rows.shape[1]
        ones = rows.new_ones(1, 1, 1).expand(rows.shape[0], positions, 1)
        mean = _products(ones, weighted)[:, 0] / positions
        return mean, _products(weighted, rows) / positions

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        rows, share = ctx.saved_tensors
        by_mean, by_second = (gradient / rows.shape[1] for gradient in gradients)
        symmetric = (by_second + by_second.mT).to(rows.dtype)
        by_rows = torch.baddbmm(by_mean.unsqueeze(1).to(rows.dtype), rows, symmetric)
        if share is not None:
            by_rows = by_rows * share
        batch, _, height, width = ctx.shape
        return by_rows.view(batch, height, width, -1).permute(0, 3, 1, 2), None


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
    return (summary.second - target.second).square().flatten(1).mean(1)


def _moments_distance(summary: Summary, target: Summary) -> Tensor:
    means = (summary.mean - target.mean).square().mean(1)
    return means + (summary.deviation - target.deviation).square().mean(1)


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
    covariances: Tensor = ((traces - 2 * crossed) / channels).to(summary.mean.dtype)
    return (summary.mean - target.mean).square().mean(-1) + covariances


@dataclass(frozen=True)
class Distance:
    """`between(summary, target)` gives (b,); `size(target)` is what makes it relative, a scalar."""

    between: Callable[[Summary, Summary], Tensor]
    size: Callable[[Summary], Tensor]


DISTANCES: Mapping[Statistics, Distance] = MappingProxyType(
    {
        "gram": Distance(_gram_distance, lambda target: target.second.square().mean()),
        "moments": Distance(
            _moments_distance, lambda target: target.mean.square().mean() + target.deviation.square().mean()
        ),
        "wasserstein": Distance(_wasserstein_distance, lambda target: target.second.diagonal(dim1=1, dim2=2).mean()),
    }
)
