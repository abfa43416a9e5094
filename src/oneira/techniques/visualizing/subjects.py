"""What is to be seen: channels, units, classes, directions, and what lies between two of them."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import torch
from pydantic import Field

from oneira.errors import PlanError
from oneira.features.description import before_relu
from oneira.objectives import Channel, ClassLogit, Direction, Firing, Neuron, Term, parse_direction, parse_place
from oneira.techniques.channel_numbers import count_channels, parse_channels
from oneira.techniques.layers import DREAM_LAYERS, layers_for, meant
from oneira.techniques.likeness import Likeness
from oneira.techniques.visualizing.firing import Watching

MOST = 100_000  # pictures of one run
CLASSES = "classes"  # the row of subjects that have no layer of their own
FEW = 16  # channels, where none are named
ALL = "all"  # in place of a layer's name


@dataclass(frozen=True, eq=False)
class Subject:
    """One thing to be seen: its caption, the term, and a term that wakes it where noise does not (None: the same).

    A channel behind a ReLU that is silent has no gradient, whatever the picture: what lies before the ReLU has.
    `found`: what it is, is found out when the term is bound, whose name then is the caption.
    """

    row: str
    caption: str
    term: Term
    waking: Term | None = None
    found: bool = False


class Subjects(Watching, Likeness):
    """Options that say what is to be seen."""

    layer: tuple[str, ...] = Field(
        (), description="whose channels are seen; may be repeated; `all`: every layer's (default: by model)"
    )
    channels: str | None = Field(
        None, description="which of each layer's, such as 17 or 3,7,32-47, or all (default: the first 16)"
    )
    at: str | None = Field(
        None, description="one unit of each channel: at this ROW,COLUMN of the layer's grid, or in the middle"
    )
    class_: tuple[str, ...] = Field((), description="a class by name or number, before the softmax; may be repeated")
    class_against: float = Field(
        0.0, ge=0, le=1, description="how much all classes are held against a named one; 1: its log-probability"
    )
    direction: tuple[str, ...] = Field(
        (), description="a direction among the layer's channels: CHANNEL:WEIGHT,..., or random; may be repeated"
    )
    random_seed: int = Field(0, ge=0, lt=2**63, description="decides the directions that are random")

    def subjects(self) -> list[Subject]:
        """All of them, in order. PlanError for what is not there, and for options that do not go together."""
        if self.direction and (self.channels is not None or self.at is not None):
            raise PlanError("--direction mixes channels, --channels and --at see them one by one: choose one")
        if self.fires is not None:
            return list(self._firing(self.fires))
        found = list(self._classes())
        # A class needs no layer: who names both wants both.
        if self.like:
            found += self._liked()
        elif not self.class_ or self.layer or self.direction or {self.channels, self.at} != {None}:
            for layer in self.layers():
                found += self._directions(layer) if self.direction else self._channels(layer)
        if len(found) > MOST:
            raise PlanError(f"{len(found)} pictures are more than one run makes ({MOST}): name fewer channels")
        return found

    def layers(self) -> tuple[str, ...]:
        """The addresses of the layers."""
        return tuple(map(self.address, meant(self.layer or layers_for(self.model, DREAM_LAYERS)[:1], self.model)))

    def _firing(self, path: str) -> Iterator[Subject]:
        layers = self.layers()
        look = self.look(path, layers)
        unit = None if self.at is None else parse_place(self.at)
        for layer in layers:
            count = count_channels(layer)
            before = before_relu(layer)
            for rank in range(self.top if count is None else min(self.top, count)):
                term = Firing(look, layer, rank, unit=unit)
                waking = None if before is None else replace(term, grown=before)
                yield Subject(layer, f"#{rank + 1}", term, waking, found=True)

    def _classes(self) -> Iterator[Subject]:
        for name in self.class_:
            yield Subject(CLASSES, name, ClassLogit(name, self.model, self.class_against))

    def _liked(self) -> Iterator[Subject]:
        everywhere = self.layer in ((), (ALL,))
        for unit in self.likes(() if everywhere else self.layers()):
            yield self._channel(unit.layer, unit.channel)

    def _channels(self, layer: str) -> Iterator[Subject]:
        for number in self._numbers(layer):
            yield self._channel(layer, number)

    def _channel(self, layer: str, number: int) -> Subject:
        before = before_relu(layer)
        waking = None if before is None else self._term(before, number)
        return Subject(layer, str(number), self._term(layer, number), waking)

    def _numbers(self, layer: str) -> Sequence[int]:
        if self.channels is not None:
            return parse_channels(self.channels, layer)
        count = count_channels(layer)
        return range(FEW if count is None else min(FEW, count))

    def _term(self, layer: str, channel: int) -> Term:
        if self.at is None:
            return Channel(layer, channel)
        return Neuron(layer, channel, *parse_place(self.at))

    def _directions(self, layer: str) -> Iterator[Subject]:
        generator = torch.Generator().manual_seed(self.random_seed)
        drawn = 0
        for text in self.direction:
            if text != "random":
                yield Subject(layer, text, Direction(layer, parse_direction(text)))
                continue
            count = count_channels(layer)
            if count is None:
                raise PlanError(f"how many channels {layer} has is not known: write the direction, CHANNEL:WEIGHT,...")
            drawn += 1  # each is another, and is called so
            caption = "random" if drawn == 1 else f"random {drawn}"
            yield Subject(layer, caption, Direction(layer, torch.randn(count, generator=generator)))
