"""How much each of several counts: layers of a term, pictures of a style."""

import math
from collections.abc import Sequence

from oneira.errors import PlanError


def layer_weights(weights: Sequence[float] | None, layers: Sequence[str]) -> tuple[float, ...]:
    """One weight per layer, 1 each unless told; PlanError for a wrong count or what is no finite number."""
    if weights is None:
        return (1.0,) * len(layers)
    if len(weights) != len(layers):
        raise PlanError(f"there is one weight per layer: {len(layers)} here, not {len(weights)}")
    for weight in weights:
        if not math.isfinite(weight):
            raise PlanError(f"a layer's weight is a finite number, not {weight}")
    return tuple(weights)


def layer_shares(weights: Sequence[float] | None, layers: Sequence[str]) -> tuple[float, ...]:
    """One weight per layer, equal shares that add up to 1 unless told; raises PlanError as `layer_weights` does."""
    return (1 / len(layers),) * len(layers) if weights is None else layer_weights(weights, layers)


def picture_shares(shares: Sequence[float] | None, pictures: int) -> tuple[float, ...]:
    """One share per picture, equal unless told, divided by their sum.

    Raises PlanError for a wrong count, and for shares that are negative, not finite, or all 0.
    """
    if shares is None:
        return (1 / pictures,) * pictures
    if len(shares) != pictures:
        raise PlanError(f"every style picture needs one share: {pictures}, not {len(shares)}")
    for share in shares:
        if not 0 <= share < math.inf:
            raise PlanError(f"a picture's share is a number of at least 0, not {share}")
    total = sum(shares)
    if not 0 < total < math.inf:
        raise PlanError(f"the pictures' shares add up to {total}; give at least one of them a share, such as 1")
    return tuple(share / total for share in shares)
