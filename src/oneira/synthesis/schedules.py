"""Schedules: which sizes to visit, how long, and what goes from one to the next."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import get_args

from oneira.errors import PlanError, one_of
from oneira.synthesis.canvas import Carry

__all__ = ["Scale", "Schedule", "octaves", "single"]


@dataclass(frozen=True)
class Scale:
    """`steps` at a long side of `size` pixels."""

    size: int
    steps: int


@dataclass(frozen=True)
class Schedule:
    """Scales in order, and what carries over: the whole `result`, or only the `detail` added to the start."""

    scales: tuple[Scale, ...]
    carry: Carry = "result"

    def __post_init__(self) -> None:
        one_of("carry", self.carry, get_args(Carry))
        if not self.scales:
            raise PlanError("a schedule needs at least one scale")
        for scale in self.scales:
            if scale.size < 1 or scale.steps < 0:
                raise PlanError(f"a scale needs a size of at least 1 px and no fewer than 0 steps: {scale}")

    @property
    def total(self) -> int:
        """Steps in all."""
        return sum(scale.steps for scale in self.scales)


def single(size: int, steps: int) -> Schedule:
    """One size from beginning to end."""
    return Schedule((Scale(size, steps),))


def octaves(
    largest: int,
    *,
    smallest: int | None = None,
    count: int | None = None,
    ratio: float = 1.4,
    steps: int | Sequence[int] = 12,
    carry: Carry = "result",
) -> Schedule:
    """Sizes that grow by `ratio` up to `largest`: `count` of them, or as many as stay at or above `smallest`.

    `steps` at each, or one number per size, the last one repeated. Raises PlanError where these do not go together.
    """
    if ratio <= 1:
        raise PlanError(f"sizes must grow: the ratio must be above 1, not {ratio}")
    if (smallest is None) == (count is None):
        raise PlanError("name either the smallest size or how many octaves there are")
    sizes = [largest]
    while len(sizes) < count if count is not None else sizes[0] / ratio >= (smallest or 1) * (1 - 1e-6):
        # From the unrounded size, so that rounding does not add up.
        sizes.insert(0, max(1, round(largest / ratio ** len(sizes))))
        if sizes[0] == 1 and count is None:
            break
    each = [steps] if isinstance(steps, int) else list(steps)
    if not each:
        raise PlanError("no number of steps is given")
    return Schedule(tuple(Scale(s, each[min(i, len(each) - 1)]) for i, s in enumerate(sizes)), carry)
