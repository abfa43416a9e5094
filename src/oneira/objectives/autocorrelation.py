"""How far each channel is from repeating itself as a style's does (Sendik and Cohen-Or 2017, "Deep correlations")."""

from collections.abc import Iterator, Sequence
from itertools import count
from typing import Any

import torch
from torch import Tensor

from oneira.objectives.squares import sum_of_squares

# Numbers in a run's spectra: 8 MB in float32, of which about four are alive at a time; larger ones are slower.
LARGEST_RUN = 2**20
# Shifts at which less of a masked region meets itself than this share of the whole are left out: they tell nothing.
LEAST_OVERLAP = 1e-3

Pair = tuple[int, int]  # down and to the right


def autocorrelation(features: Tensor, weights: Tensor | None = None) -> Tensor:
    """Activations (b, c, h, w) -> every channel's A (b, c, 2 (h // 2) + 1, w // 2 + 1), at least float32.

    With f a channel less its (weighted) mean, A(dy, dx) = sum_p w(p) w(p + d) f(p) f(p + d) / sum_p w(p) w(p + d), over
    the positions p for which p + d is in the map too: the covariance of places that lie (dy, dx) apart. Rows are the
    shifts dy from -(h // 2) to h // 2, columns dx from 0 to w // 2; the other half mirrors these. `weights` are
    (1, 1, h, w), at least 0 and not all 0, or None. NaN where (hardly) any of the region that they mark meets itself.

    Sendik and Cohen-Or take products of activations as they are; we take the mean away first, which Gram matrices and
    moments compare already and which would hide the pattern. Like theirs, it is no circular correlation.
    """
    weights = _map_of(features, weights)
    reach = features.shape[2] // 2, features.shape[3] // 2
    overlap = _overlap(weights, reach)
    products = _apply(features, weights, overlap, reach)
    return products.masked_fill(overlap.isinf(), torch.nan)


def average_autocorrelations(pictures: Sequence[Tensor], shares: Sequence[float]) -> Tensor:
    """Several pictures' autocorrelations, shares that add up to 1 -> their mean, at the shifts that all have."""
    reach = _common_reach(pictures)
    first, *others = (share * _within(picture, reach) for picture, share in zip(pictures, shares, strict=True))
    return sum(others, first)


def autocorrelation_distance(features: Tensor, target: Tensor, weights: Tensor | None = None) -> Tensor:
    """The mean squared difference, over channels and shifts, between `autocorrelation` and `target`, summed over b.

    `target` is (1, c, ...), as `autocorrelation` gives it, of a picture of any size: compared are the shifts, counted
    in positions, that both have, which are those up to half of the smaller map. Sendik and Cohen-Or sum over shifts and
    know one size only; we average, so that weights hold at any size.
    """
    weights = _map_of(features, weights)
    height, width = features.shape[2:]
    reach = min(height // 2, target.shape[2] // 2), min(width // 2, target.shape[3] - 1)
    overlap, goal = _overlap(weights, reach), _within(target, reach)
    # Shifts are missing in all channels at once. What is no number in one only is a fault, and is to be seen as one.
    known = overlap.isfinite() & ~goal.isnan().all(1, keepdim=True)
    difference = (_apply(features, weights, overlap, reach) - goal).masked_fill(~known, 0)
    return sum_of_squares(difference) / (features.shape[1] * known.sum().clamp(min=1))


def size_of_autocorrelation(target: Tensor) -> Tensor:
    """The mean of its squares over channels and the shifts that it has; a scalar."""
    return target.square().nanmean()


def _map_of(features: Tensor, weights: Tensor | None) -> Tensor:
    """What every position counts, (1, 1, h, w), in the precision that is computed in."""
    exact = torch.promote_types(features.dtype, torch.float32)
    if weights is None:
        return torch.ones(1, 1, *features.shape[2:], dtype=exact, device=features.device)
    return weights.to(exact)


def _overlap(weights: Tensor, reach: Pair) -> Tensor:
    """How much of a region meets itself at every shift, (1, 1, 2 y + 1, x + 1); infinite where hardly any does."""
    torus = _torus(weights, reach)
    spectrum = torch.fft.rfft2(weights.double(), torus)
    overlap = _by_shift(torch.fft.irfft2(spectrum * spectrum.conj(), torus), reach)
    whole = overlap[..., reach[0], :1].unsqueeze(-1)
    return overlap.masked_fill(overlap <= LEAST_OVERLAP * whole, torch.inf).to(weights.dtype)


def _apply(features: Tensor, weights: Tensor, overlap: Tensor, reach: Pair) -> Tensor:
    products: Tensor = _Autocorrelation.apply(features, weights, overlap, reach)  # type: ignore[no-untyped-call]
    return products


class _Autocorrelation(torch.autograd.Function):
    """Mean products by shift: 0 where `overlap` is infinite.

    By spectra, of a few channels at a time, that are not kept: the gradient computes them again, which takes a third
    of its time, where all of them would take several times the activations' memory.
    """

    @staticmethod
    def forward(ctx: Any, features: Tensor, weights: Tensor, overlap: Tensor, reach: Pair) -> Tensor:
        ctx.save_for_backward(features, weights, overlap)
        ctx.reach = reach
        torus = _torus(features, reach)
        result = torch.empty(*features.shape[:2], *overlap.shape[2:], dtype=weights.dtype, device=features.device)
        for some, written in _runs(torus, features, result):
            spectrum = torch.fft.rfft2(_centred(some, weights[0]), torus)
            by_shift = _by_shift(torch.fft.irfft2(spectrum * spectrum.conj(), torus), reach)
            torch.div(by_shift, overlap[0], out=written)
        return result

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        features, weights, overlap = ctx.saved_tensors
        torus, (down, right) = _torus(features, ctx.reach), ctx.reach
        height, width = features.shape[2:]
        result = torch.empty_like(features)
        for some, gradient, written in _runs(torus, features, gradients[0], result):
            placed = weights.new_zeros(len(some), *torus)
            placed[:, _rows(down, some.device), : right + 1] = gradient / overlap[0]
            # Of g(p) g(p + d): what either factor hands to the other, forwards and backwards, are conjugates.
            both = 2 * torch.fft.rfft2(placed).real
            by_place = torch.fft.irfft2(both * torch.fft.rfft2(_centred(some, weights[0]), torus), torus)
            by_values = by_place[:, :height, :width] * weights[0]
            share = weights[0] / weights.sum().clamp(min=1e-12)
            written.copy_(by_values - share * by_values.sum((1, 2), keepdim=True))
        return result, None, None, None


def _centred(maps: Tensor, weights: Tensor) -> Tensor:
    """Maps (n, h, w) less their weighted means, times the weights (1, h, w)."""
    exact = maps.to(weights.dtype)
    mean = (exact * weights).sum((1, 2), keepdim=True) / weights.sum().clamp(min=1e-12)
    return (exact - mean) * weights


def _runs(torus: Pair, *tensors: Tensor) -> Iterator[tuple[Tensor, ...]]:
    """Views (n, h, w) of so many channels of each (b, c, h, w) that their spectra have at most LARGEST_RUN numbers."""
    channels = max(1, LARGEST_RUN // (torus[0] * (torus[1] // 2 + 1)))
    for pictures in zip(*tensors, strict=True):
        yield from zip(*(picture.split(channels) for picture in pictures), strict=True)


def _torus(maps: Tensor, reach: Pair) -> Pair:
    """Sides around which no position of (..., h, w) meets another that is within `reach`."""
    return _quick(maps.shape[-2] + reach[0]), _quick(maps.shape[-1] + reach[1])


def _quick(side: int) -> int:
    """The first number from `side` on without prime factors above 5, of which transforms are fast."""
    return next(number for number in count(side) if 30 ** number.bit_length() % number == 0)


def _rows(down: int, device: torch.device) -> Tensor:
    """Where the shifts from -down to down lie on a torus."""
    return torch.arange(-down, down + 1, device=device)


def _by_shift(torus: Tensor, reach: Pair) -> Tensor:
    """(..., height, width) -> (..., 2 y + 1, x + 1): no shift's row comes into the middle."""
    return torus[..., _rows(reach[0], torus.device), : reach[1] + 1]


def _common_reach(pictures: Sequence[Tensor]) -> Pair:
    return min(picture.shape[2] // 2 for picture in pictures), min(picture.shape[3] - 1 for picture in pictures)


def _within(known: Tensor, reach: Pair) -> Tensor:
    """Autocorrelations at the shifts that are within `reach` alone."""
    middle = known.shape[2] // 2
    return known[:, :, middle - reach[0] : middle + reach[0] + 1, : reach[1] + 1]
