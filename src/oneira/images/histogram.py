"""A picture's colours with another's distribution, channel by channel."""

import torch
from torch import Tensor


def match_histogram(image: Tensor, target: Tensor) -> Tensor:
    """`image` (..., 3, h, w) whose every channel has the distribution of the same channel of `target` (any size).

    Each value takes the target's value at its own level, the share of pixels that are at most as bright; in between,
    the target's levels are interpolated. Order stays, equal values stay equal, nothing leaves the target's range; a
    channel of one value becomes the target's brightest. There is no gradient.
    Gonzalez and Woods, "Digital Image Processing", section 3.3, as scikit-image's `match_histograms` has it.
    """
    channels = zip(image.detach().flatten(0, -3), target.detach().flatten(0, -3), strict=True)
    return torch.stack([_matched(ours, theirs) for ours, theirs in channels]).reshape(image.shape)


def _matched(channel: Tensor, target: Tensor) -> Tensor:
    """One channel (h, w) with the distribution of another."""
    _, level_of, levels = _levels(channel)
    known, _, known_levels = _levels(target)
    # What lies below the first level is the darkest value, too. The last level of both is exactly 1.
    known, known_levels = torch.cat([known[:1], known]), torch.cat([known_levels.new_zeros(1), known_levels])
    above = torch.searchsorted(known_levels, levels)
    # From above, so that a level that both have gives the target's value to the bit.
    share = (known_levels[above] - levels) / (known_levels[above] - known_levels[above - 1])
    return torch.lerp(known[above], known[above - 1], share)[level_of].to(channel.dtype)


def _levels(channel: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """(h, w) -> its different values, rising; for each pixel the index of its own (h, w); the share at or below each.

    In float64, where equal shares of pictures of two sizes are equal.
    """
    values, level_of, counts = channel.unique(return_inverse=True, return_counts=True)
    return values.double(), level_of, counts.cumsum(0).double() / channel.numel()
