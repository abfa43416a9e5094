"""Where a part of a picture lies in the whole, and what parts add up to."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import torch
from torch import Tensor

if TYPE_CHECKING:
    from oneira.objectives.term import View


@dataclass(frozen=True)
class Span:
    """Positions of a part along an axis of `whole` positions, each from one to before another, counted in the whole.

    `first` to `last` are its own: every position is one part's. `begin` to `end` are those that it holds: its own, and
    neighbours that are needed to compute something on its own. Of a torus, neighbours may lie before 0 and behind
    `whole`.
    """

    first: int
    last: int
    begin: int
    end: int
    whole: int

    def own(self, more: int = 0) -> tuple[int, int]:
        """In a map that has `more` positions than this one, in the whole; where the last part ends, the map does."""
        last = self.last + more if self.last == self.whole else self.last
        return min(self.first, self.whole + more), min(last, self.whole + more)

    def held_of(self, values: Tensor, axis: int) -> Tensor:
        """What the part holds of all the values along `axis`."""
        if self.begin >= 0 and self.end <= self.whole:
            return values.narrow(axis, self.begin, self.end - self.begin)
        return values.index_select(axis, self.indices(values.device))

    def indices(self, device: torch.device) -> Tensor:
        """Which positions of the whole it holds, one after the other."""
        return torch.arange(self.begin, self.end, device=device) % self.whole


@dataclass(frozen=True)
class Place:
    """Which rows and columns of a map are a part's."""

    rows: Span
    columns: Span

    @property
    def share(self) -> float:
        """How much of the whole is the part's own."""
        own = (self.rows.last - self.rows.first) * (self.columns.last - self.columns.first)
        return own / (self.rows.whole * self.columns.whole)

    def grid(self, values: Tensor) -> tuple[int, int]:
        """The size of the whole of what the part holds, which may have some rows and columns more or less than this."""
        down, right = self._more(values)
        return self.rows.whole + down, self.columns.whole + right

    def held_of(self, whole: Tensor) -> Tensor:
        """(..., h, w) -> (..., h', w'): what the part holds of it."""
        return self.columns.held_of(self.rows.held_of(whole, -2), -1)

    def own_of(self, whole: Tensor, values: Tensor) -> Tensor:
        """What is the part's own of all that `values`, which it holds, are held of."""
        down, right = self._more(values)
        (top, bottom), (left, end) = self.rows.own(down), self.columns.own(right)
        return whole[..., top:bottom, left:end]

    def trimmed(self, values: Tensor) -> Tensor:
        """What is its own of the values that it holds."""
        down, right = self._more(values)
        (top, bottom), (left, end) = self.rows.own(down), self.columns.own(right)
        before, ahead = self.rows.begin, self.columns.begin
        return values[..., top - before : bottom - before, left - ahead : end - ahead]

    def _more(self, values: Tensor) -> tuple[int, int]:
        height, width = self.rows.end - self.rows.begin, self.columns.end - self.columns.begin
        return values.shape[-2] - height, values.shape[-1] - width


@dataclass(frozen=True)
class Sums:
    """How a loss follows from what the parts of a picture add up to.

    `gather`: `count` tensors, such that those of parts which make up the whole add up to those of the whole.
    `conclude`: the loss of the sums. Without it the one sum is the loss, so that no part has to know of the others.
    """

    gather: "Callable[[View], tuple[Tensor, ...]]"
    conclude: Callable[[tuple[Tensor, ...]], Tensor] | None = None
    count: int = 1

    def loss(self, sums: tuple[Tensor, ...]) -> Tensor:
        """What the sums of the whole come to."""
        return sums[0] if self.conclude is None else self.conclude(sums)

    def seeing(self, look: "Callable[[View], View]") -> "Sums":
        """Of what is seen in another way."""
        gather = self.gather
        return replace(self, gather=lambda view: gather(look(view)))

    def times(self, factor: float) -> "Sums":
        """Of the loss multiplied."""
        gather = self.gather
        if self.conclude is not None:
            return self.then(lambda loss: factor * loss)
        return replace(self, gather=lambda view: (factor * gather(view)[0],))

    def then(self, change: Callable[[Tensor], Tensor]) -> "Sums":
        """Of the loss changed."""
        return replace(self, conclude=lambda sums: change(self.loss(sums)))


def added(several: list[Sums]) -> Sums:
    """Of the sum of several losses."""

    def gather(view: "View") -> tuple[Tensor, ...]:
        return tuple(tensor for sums in several for tensor in sums.gather(view))

    def conclude(tensors: tuple[Tensor, ...]) -> Tensor:
        rest, losses = list(tensors), []
        for sums in several:
            losses.append(sums.loss(tuple(rest[: sums.count])))
            del rest[: sums.count]
        return torch.stack(losses).sum()

    return Sums(gather, conclude, sum(sums.count for sums in several))
