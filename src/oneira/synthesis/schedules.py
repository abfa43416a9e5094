"""Schedules: which sizes to visit, how long, and what goes from one to the next.

A journey is a schedule whose legs begin anew: each from a picture made of the last one (a Transition), perhaps under an
objective of its own. Dreams within dreams and endless zooms are journeys; the loop knows scales and nothing else.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from oneira.errors import PlanError, one_of
from oneira.objectives import Term
from oneira.synthesis.carrying import Blend, Carry, Mix, Transition, Zoom

__all__ = ["Blend", "Mix", "Scale", "Schedule", "Zoom", "journey", "octaves", "single"]


@dataclass(frozen=True)
class Scale:
    """`steps` at a long side of `size` pixels.

    `carry` is how the picture comes here from the scale before, or the Transition with which a leg begins; `rate`
    multiplies the optimiser's; `objective` stands in for the plan's; `stage` is the name of what is done after it.
    """

    size: int
    steps: int
    carry: Carry | Transition = "result"
    rate: float = 1.0
    objective: Term | None = None
    stage: str | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.carry, Blend | Transition):
            one_of("carry", self.carry, ("result", "detail"))
        if self.size < 1 or self.steps < 0:
            raise PlanError(f"a scale needs a size of at least 1 px and no fewer than 0 steps, not {self}")
        if not self.rate > 0:
            raise PlanError(f"the rate at a scale is multiplied by a number above 0, not {self.rate}")


@dataclass(frozen=True)
class Schedule:
    """Scales in order."""

    scales: tuple[Scale, ...]

    def __post_init__(self) -> None:
        if not self.scales:
            raise PlanError("a schedule needs at least one scale")

    @property
    def total(self) -> int:
        """Steps in all."""
        return sum(scale.steps for scale in self.scales)

    def __add__(self, other: "Schedule") -> "Schedule":
        """One after the other."""
        return Schedule(self.scales + other.scales)

    def leg(
        self, name: str | None = None, *, begins: Transition | None = None, objective: Term | None = None
    ) -> "Schedule":
        """The same as a leg of a journey: beginning with a Transition, under `objective`, its end a stage of `name`."""
        scales = [replace(scale, objective=objective) for scale in self.scales]
        scales[0] = replace(scales[0], carry=begins or scales[0].carry)
        scales[-1] = replace(scales[-1], stage=name)
        return Schedule(tuple(scales))


def journey(legs: Iterable[Schedule]) -> Schedule:
    """Legs, one after the other. Raises PlanError where there is none."""
    return Schedule(tuple(scale for leg in legs for scale in leg.scales))


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
    rates: Sequence[float] = (1.0,),
) -> Schedule:
    """Sizes that grow by `ratio` up to `largest`: `count` of them, or as many as stay at or above `smallest`.

    `steps` at each, or one number per size, the last one repeated; `rates` likewise. Raises PlanError where these do
    not go together.
    """
    if ratio <= 1:
        raise PlanError(f"sizes must grow: the ratio must be above 1, not {ratio}")
    if (smallest is None) == (count is None):
        raise PlanError("name either the smallest size or how many octaves there are")
    sizes = [largest]
    # From the unrounded size, so that rounding does not add up: the root of 2, four times from 512, is 128.
    while len(sizes) < count if count is not None else largest / ratio ** len(sizes) >= (smallest or 1) * (1 - 1e-6):
        sizes.insert(0, max(1, round(largest / ratio ** len(sizes))))
        if sizes[0] == 1 and count is None:
            break
    each = [steps] if isinstance(steps, int) else list(steps)
    if not each or not rates:
        raise PlanError(f"no number of {'steps' if rates else 'rates'} is given")
    return Schedule(
        tuple(
            Scale(size, each[min(i, len(each) - 1)], carry, rates[min(i, len(rates) - 1)])
            for i, size in enumerate(sizes)
        )
    )
