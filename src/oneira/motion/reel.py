"""Frames in order, of which none is in memory before it is looked at."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from itertools import accumulate
from typing import overload

from torch import Tensor

from oneira.errors import PlanError
from oneira.motion.frame import Frame

Still = Callable[[], Tensor]  # -> (1, 3, h, w), the same whenever it is asked for


@dataclass(frozen=True, eq=False)
class Reel(Sequence[Frame]):
    """`stills`, one after the other, each seen for as long as its place in `durations` says, in seconds.

    Raises PlanError where there is no still, or not a duration above 0 for each.
    """

    stills: Sequence[Still]
    durations: Sequence[Fraction]

    def __post_init__(self) -> None:
        if not self.stills:
            raise PlanError("a film needs at least one picture")
        if len(self.stills) != len(self.durations) or min(self.durations) <= 0:
            raise PlanError("every picture of a film needs a duration above 0")

    @classmethod
    def steady(cls, stills: Sequence[Still], rate: Fraction) -> "Reel":
        """`rate` frames a second; PlanError where that is not above 0."""
        if rate <= 0:
            raise PlanError(f"a film needs a rate above 0 frames a second, not {rate}")
        return cls(stills, [1 / rate] * len(stills))

    def __len__(self) -> int:
        return len(self.stills)

    @overload
    def __getitem__(self, index: int) -> Frame: ...

    @overload
    def __getitem__(self, index: slice) -> "Reel": ...

    def __getitem__(self, index: "int | slice") -> "Frame | Reel":
        if isinstance(index, slice):
            return Reel(self.stills[index], self.durations[index])
        place = range(len(self))[index]
        return Frame(self.stills[place](), self._starts[place], self.durations[place])

    @cached_property
    def _starts(self) -> list[Fraction]:
        return list(accumulate(self.durations, initial=Fraction(0)))

    def boomerang(self) -> "Reel":
        """Forth, and back again to just before the beginning, so that it can be played without end."""
        return Reel([*self.stills, *self.stills[-2:0:-1]], [*self.durations, *self.durations[-2:0:-1]])
