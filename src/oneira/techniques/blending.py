"""How much each of several pictures counts, as `--blend` tells it."""

from collections.abc import Sequence

from oneira.errors import PlanError
from oneira.objectives.shares import picture_shares


def blend_shares(blend: Sequence[float], count: int, what: str) -> tuple[float, ...]:
    """The shares of `count` pictures, each a `what`; they add up to 1, and are equal where `blend` tells none.

    PlanError where it does not go with them.
    """
    if blend and len(blend) != count:
        raise PlanError(f"--blend needs one number per {what}: {count}, not {len(blend)}")
    if blend and not any(blend):
        raise PlanError(f"--blend leaves no {what} anything: give at least one of them a number above 0")
    return picture_shares(blend or None, count)
