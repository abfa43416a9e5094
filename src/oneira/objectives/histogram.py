"""How far each channel's activations are from having a style's histogram (Risser, Wilmot, Barnes 2017)."""

from collections.abc import Sequence

import torch
from torch import Tensor

from oneira.objectives.squares import sum_of_squares

MOST_LEVELS = 2**16  # of a channel that are kept: a quarter of a megabyte; pictures of 256 x 256 lose nothing
LARGEST_RUN = 2**22  # activations that are sorted at a time; their order takes twice to four times their own memory


def quantiles(
    features: Tensor, weights: Tensor | None = None, *, most: int = MOST_LEVELS, largest: int = LARGEST_RUN
) -> Tensor:
    """Activations (b, c, h, w) -> every channel's quantiles (b, c, levels), rising, at least float32.

    Of k levels, the i-th is at (i + 1/2) / k. There is one for every position that counts, at most `most`. `weights`
    are (1, 1, h, w), at least 0 and not all 0, or None.
    """
    rows = features.flatten(2).flatten(0, 1)
    rows = rows.to(torch.promote_types(rows.dtype, torch.float32))
    if weights is not None:
        counting = weights.flatten() > 0
        rows, weights = rows[:, counting], weights.flatten()[counting]
    positions = rows.shape[1]
    levels = min(positions, most)
    places = _level_places(levels, positions, rows.device)
    found = [
        _between(some.sort(1).values, places) if weights is None else _weighted_levels(some, weights, levels)
        for some in rows.split(max(1, largest // positions))
    ]
    return torch.cat(found).view(*features.shape[:2], -1)


def resampled(known: Tensor, levels: int) -> Tensor:
    """Quantiles (..., k) -> (..., levels)."""
    return _between(known, _level_places(levels, known.shape[-1], known.device))


def average_quantiles(pictures: Sequence[Tensor], shares: Sequence[float]) -> Tensor:
    """Several pictures' quantiles and their shares, which add up to 1 -> those of the histogram in their middle.

    Averaged level by level: the histogram whose squared distances to theirs add up, by share, to the least.
    """
    levels = max(picture.shape[2] for picture in pictures)
    first, *others = (share * resampled(picture, levels) for picture, share in zip(pictures, shares, strict=True))
    return sum(others, first)


def histogram_distance(features: Tensor, target: Tensor, weights: Tensor | None = None) -> Tensor:
    """The mean squared difference between activations (b, c, h, w) and what `matched` makes of them, summed over b.

    `target` are quantiles (1 or b, c, levels), `weights` are (1, 1, h, w) of mean 1, or None. The match is held
    constant in the gradient, which loses nothing: it changes only where two activations of a channel are equal.

    Risser et al. sum over positions where we average. They match values, so that equal ones stay equal; we match ranks,
    which makes this the squared Wasserstein distance of the channel's two distributions.
    """
    difference = features - matched(features, target, weights)
    return sum_of_squares(difference, weights) / features[0].numel()


def size_of_histogram(target: Tensor) -> Tensor:
    """The mean square of activations with these quantiles; a scalar."""
    return target.square().mean()


@torch.no_grad()
def matched(features: Tensor, target: Tensor, weights: Tensor | None = None, largest: int = LARGEST_RUN) -> Tensor:
    """What the activations (b, c, h, w) would be, in the same order, with the quantiles `target`; same shape.

    Each takes the quantile at its own level: the share of (weighted) positions below it, and half its own. Quantiles
    are interpolated, so that pictures of any two sizes can be matched. At most `largest` activations, or one channel's,
    are sorted at a time.
    """
    values = features.flatten(2)
    positions = values.shape[2]
    result = torch.empty(values.shape, dtype=target.dtype, device=values.device)
    run = max(1, largest // positions)
    for picture, goal, written in zip(values, target.expand(len(values), -1, -1), result, strict=True):
        for some, goals, matches in zip(picture.split(run), goal.split(run), written.split(run), strict=True):
            order = some.argsort(dim=1, stable=True)
            if weights is None:
                places = _level_places(positions, goals.shape[1], values.device)
            else:
                places = _weighted_places(weights.flatten()[order], goals.shape[1])
            matches.scatter_(1, order, _between(goals, places))
    return result.view(features.shape)


def _level_places(levels: int, known: int, device: torch.device) -> Tensor:
    """Where the levels (i + 1/2) / `levels` lie in a list of `known` quantiles; float64, exact where both are equal."""
    return (torch.arange(levels, dtype=torch.float64, device=device) + 0.5) * known / levels - 0.5


def _weighted_places(weights: Tensor, known: int) -> Tensor:
    """Weights (c, positions) in the order of activations -> where each lies in a list of `known` quantiles."""
    wide = weights.double()
    below = wide.cumsum(1) - wide / 2
    return below * (known / wide.sum(1, keepdim=True).clamp(min=1e-12)) - 0.5


def _weighted_levels(rows: Tensor, weights: Tensor, levels: int) -> Tensor:
    """Rows (n, positions) and what each position weighs -> (n, levels): their quantiles."""
    order = rows.argsort(dim=1, stable=True)
    below = _weighted_places(weights[order], rows.shape[1])  # where each value lies in a list of equally heavy ones
    wanted = _level_places(levels, rows.shape[1], rows.device).expand(len(rows), -1).contiguous()
    above = torch.searchsorted(below, wanted).clamp(1 if rows.shape[1] > 1 else 0, rows.shape[1] - 1)
    under = (above - 1).clamp(min=0)
    low, high = below.gather(1, under), below.gather(1, above)
    share = ((wanted - low) / (high - low).clamp(min=1e-12)).clamp(0, 1)
    values = rows.gather(1, order)
    return torch.lerp(values.gather(1, under), values.gather(1, above), share.to(rows.dtype))


def _between(rows: Tensor, places: Tensor) -> Tensor:
    """(..., k) rising, and places (n) or (..., n) in [-1/2, k - 1/2] -> (..., n), interpolated; flat at both ends."""
    last = rows.shape[-1] - 1
    inside = places.clamp(0, last)
    low = inside.long()
    shape = (*rows.shape[:-1], places.shape[-1])
    below = rows.gather(-1, low.expand(shape))
    above = rows.gather(-1, (low + 1).clamp(max=last).expand(shape))
    return torch.lerp(below, above, (inside - low).to(rows.dtype).expand(shape))
