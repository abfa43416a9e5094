"""The channels that answer to a place of a picture: which they are is found by looking, once, and then they grow."""

from dataclasses import dataclass, replace
from functools import cached_property
from typing import NamedTuple
from weakref import WeakKeyDictionary

import torch
from torch import Tensor

from oneira.errors import AddressError, PlanError
from oneira.features.address import Address
from oneira.features.description import field_of
from oneira.features.encoder import Encoder
from oneira.features.receptive_field import ReceptiveField, Window
from oneira.features.registry import resolve
from oneira.objectives.activity import Channel, Neuron
from oneira.objectives.term import BoundTerm, Size, Term, View

NOTHING = "none"  # what a term is called that has no channel left


@dataclass(frozen=True)
class Region:
    """A part of a picture, in shares of its width and height; a point where left is right and top is bottom.

    PlanError unless 0 <= left <= right <= 1, and from top to bottom likewise.
    """

    left: float
    top: float
    right: float
    bottom: float

    def __post_init__(self) -> None:
        if not (0 <= self.left <= self.right <= 1 and 0 <= self.top <= self.bottom <= 1):
            raise PlanError(f"a region lies between 0 and 1, left before right, top before bottom; not {self}")


class Fired(NamedTuple):
    """A channel, and its mean activation over the positions that lie in a region."""

    channel: int
    activation: float


@dataclass(frozen=True, eq=False)
class Look:
    """What the channels of `layers` answer at a `region` of `picture` (1, 3, h, w), of which each encoder sees it once.

    A position of a layer belongs to the region if the middle of what it depends on does; along an axis where none does,
    the nearest one. Padding moves no middle. Where a network mixes all positions on the way (so that each depends on
    the whole picture), the layer's grid is laid over the picture evenly.
    """

    picture: Tensor
    region: Region
    layers: tuple[str, ...]

    def firing(self, encoder: Encoder, layer: str) -> tuple[Fired, ...]:
        """The channels of one of the layers whose mean activation in the region is above 0, the strongest first.

        Of equal ones, the lower number comes first. Raises PlanError where a layer has no positions, or where no
        channel of one fires; AddressError and PlanError as the encoder does.
        """
        if encoder not in self._seen:
            self._seen[encoder] = self._ranked(encoder)
        return self._seen[encoder][resolve(layer)]

    @cached_property
    def _seen(self) -> WeakKeyDictionary[Encoder, dict[Address, tuple[Fired, ...]]]:
        """What there is to tell, for every encoder that has been asked."""
        return WeakKeyDictionary()

    @cached_property
    def _fields(self) -> dict[Address, ReceptiveField | None]:
        """What positions depend on; once, because a registered module is run for it."""
        return {address: field_of(address) for address in map(resolve, self.layers)}

    @torch.no_grad()
    def _ranked(self, encoder: Encoder) -> dict[Address, tuple[Fired, ...]]:
        found = encoder(self.picture.to(encoder.device), self._fields)
        return {address: self._order(address, found[address].float().cpu()) for address in self._fields}

    def _order(self, address: Address, features: Tensor) -> tuple[Fired, ...]:
        if features.ndim != 4:
            raise PlanError(f"{address} has no positions, and so nothing fires at a place; name a layer that has")
        means = self._within(address, features).mean((1, 2))
        order = means.argsort(descending=True, stable=True).tolist()
        firing = tuple(Fired(channel, float(means[channel])) for channel in order if means[channel] > 0)
        if not firing:
            raise PlanError(f"no channel of {address} fires there; name another place, or another layer")
        return firing

    def _within(self, address: Address, features: Tensor) -> Tensor:
        """(1, c, h, w) -> (c, rows, columns), what lies in the region."""
        height, width = self.picture.shape[2:]
        field = self._fields[address]
        if field is None:
            if features.shape[2:] == (1, 1):
                raise PlanError(f"{address} has no positions: it sees the whole picture; name a layer that has")
            middles = [(torch.arange(count) + 0.5) / count for count in features.shape[2:]]
        else:
            middles = [
                _middles(window, count) / side
                for window, count, side in zip(
                    (field.vertical, field.horizontal), features.shape[2:], (height, width), strict=True
                )
            ]
        rows = _inside(middles[0], self.region.top, self.region.bottom)
        columns = _inside(middles[1], self.region.left, self.region.right)
        return features[0][:, rows][:, :, columns]


@dataclass(frozen=True)
class Firing(Term):
    """The mean activation of the channel that fires as number `rank`, counted from 0, where a `look` falls on `layer`.

    Which one it is, is known once it is bound: the bound term is called by the channel's number and what it answered
    there, such as `185: 12.3`. Where fewer fire, there is nothing to minimise, and it is called `none`.
    `grown`: the layer whose channel of that number grows in place of that of `layer`, such as the one before a ReLU.
    `unit`: only the unit at this row and column of the grid grows (None: the middle), see `Neuron`.
    """

    look: Look
    layer: str
    rank: int
    grown: str | None = None
    unit: tuple[int | None, int | None] | None = None

    def __post_init__(self) -> None:
        if self.rank < 0:
            raise PlanError(f"channels that fire are counted from 0; there is no number {self.rank}")
        if self.layer not in self.look.layers:
            raise AddressError(f"the look falls on {', '.join(self.look.layers)}, not on {self.layer}")

    def bind(self, encoder: Encoder, size: Size) -> BoundTerm:
        """Looks, unless the encoder has; raises as `Look.firing` does, and as the terms of channels and units do."""
        firing = self.look.firing(encoder, self.layer)
        if self.rank >= len(firing):
            return BoundTerm(NOTHING, _nothing)
        channel, activation = firing[self.rank]
        layer = self.grown or self.layer
        term = Channel(layer, channel) if self.unit is None else Neuron(layer, channel, *self.unit)
        return replace(term.bind(encoder, size), name=f"{channel}: {activation:.3g}")


def _middles(window: Window, count: int) -> Tensor:
    """(count,): where the middles of what positions depend on lie along an axis, in pixels from its beginning."""
    return (window.first + window.last + 1) / 2 + torch.arange(count) * float(window.step)


def _inside(middles: Tensor, begin: float, end: float) -> Tensor:
    """The numbers of the positions from `begin` to `end`; of the one that is nearest to the middle if there is none."""
    inside = ((middles >= begin) & (middles < end)).nonzero().flatten()
    return inside if len(inside) else (middles - (begin + end) / 2).abs().argmin()[None]


def _nothing(view: View) -> Tensor:
    """0, with a gradient of 0: a batch may have no other term."""
    return view.image[:0].float().sum()
