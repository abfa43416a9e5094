"""What a dream amplifies."""

from collections.abc import Sequence
from functools import reduce
from operator import add
from typing import Literal, Self

from pydantic import Field, model_validator
from torch import Tensor

from oneira.errors import PlanError
from oneira.objectives import (
    AlphaNorm,
    ChannelChoice,
    ClassLogit,
    Direction,
    Guided,
    Neuron,
    SeenClass,
    Term,
    TotalVariation,
    parse_direction,
    parse_place,
)
from oneira.objectives import Dream as DreamTerm
from oneira.objectives import Style as StyleTerm
from oneira.techniques.layers import DREAM_LAYERS, layers_for, style_layers
from oneira.techniques.likeness import Likeness
from oneira.techniques.technique import ImagePath


class Wishes(Likeness):
    """Options that say what grows, and the objective that they make."""

    layer: tuple[str, ...] = Field((), description="layer whose activity grows; may be repeated (default: by model)")
    layer_weight: tuple[float, ...] = Field(
        (), description="one number per layer; below 0 calms a layer (default: 1 each)"
    )
    loss: Literal["l2", "mean", "norm"] = Field(
        "l2", description="l2: the strong grow stronger; mean: all alike; norm: the root of the sum of powers"
    )
    power: float = Field(2.0, ge=1, le=64, description="with --loss norm: the power")
    channels: str | None = Field(
        None,
        description="of each layer only these: 3,7,9 or all-but:3,4 or first:8, random:5, strongest:5, weakest:5, "
        "typical:5 (for this picture)",
    )
    channels_once: bool = Field(False, description="choose channels once, not anew at each size")
    channels_seed: int = Field(0, ge=0, lt=2**63, description="decides which channels are random")
    at: str | None = Field(
        None, description="only the unit at this ROW,COLUMN of the layer's grid; middle: its middle one"
    )
    class_: tuple[str, ...] = Field(
        (), description="a class by name or number, such as banana; auto: what is seen already; may be repeated"
    )
    class_against: float = Field(
        0.0, ge=0, le=1, description="how much all classes are held against a named one; 1: its log-probability"
    )
    direction: str | None = Field(
        None, description="a direction among the layer's channels, such as 12:1,40:-0.5 (CHANNEL:WEIGHT)"
    )
    guide: ImagePath | None = Field(None, description="a picture whose features are sought in this one")
    guide_by: Literal["match", "mean"] = Field(
        "match", description="match: each place seeks what fits it best in the guide; mean: the guide's mean feature"
    )
    style: ImagePath | None = Field(None, description="a picture whose manner is taken on while dreaming")
    style_weight: float = Field(1.0, gt=0, description="how firmly the manner is taken on")
    smoothness: float = Field(0.0, ge=0, description="weight of total variation: larger is smoother")
    restraint: float = Field(0.0, ge=0, description="weight of the squared distance from mid-grey: larger is paler")

    @model_validator(mode="after")
    def _by_likeness(self) -> Self:
        self.require_alone("channels", "direction", "at", "layer_weight")
        return self

    def objective(self, picture: Tensor | None, layers: Sequence[str] = (), channels: str | None = None) -> Term:
        """All wishes as a sum; `layers` and `channels` stand in for the options' own in a leg of a journey."""
        names = layers or self.layer
        if not names and (self.guide is not None or not self.like):  # what is liked may lie in any layer
            names = layers_for(self.model, DREAM_LAYERS)
        addresses = [self.address(name) for name in names]
        wishes = [
            *self._classes(picture),
            *self._guided(addresses),
            *self._directed(addresses),
            *self._units(addresses),
            *self._liked(),
        ]
        if not wishes or (self.class_ and not self.like and (layers or self.layer)):
            choice = self._choice(channels or self.channels, picture)
            wishes.append(DreamTerm(addresses, self.loss, self.layer_weight or None, choice, self.power))
        return reduce(add, [*wishes, *self._manner(), *self._restraints()])

    def _choice(self, text: str | None, picture: Tensor | None) -> ChannelChoice | None:
        if text is None:
            return None
        return ChannelChoice.parse(text, picture=picture, seed=self.channels_seed, once=self.channels_once)

    def _classes(self, picture: Tensor | None) -> list[Term]:
        if "auto" in self.class_ and picture is None:
            raise PlanError("--class auto amplifies what is seen in a picture: name one, or a class")
        return [
            SeenClass(picture, self.model)
            if name == "auto" and picture is not None
            else ClassLogit(name, self.model, self.class_against)
            for name in self.class_
        ]

    def _guided(self, addresses: Sequence[str]) -> list[Term]:
        if self.guide is None:
            return []
        return [Guided(self.picture(self.guide).image, addresses, self.guide_by, self.layer_weight or None)]

    def _directed(self, addresses: Sequence[str]) -> list[Term]:
        if self.direction is None:
            return []
        vector = parse_direction(self.direction)
        return [Direction(address, vector) for address in addresses]

    def _units(self, addresses: Sequence[str]) -> list[Term]:
        if self.at is None:
            return []
        choice = None if self.channels is None or ":" in self.channels else ChannelChoice.parse(self.channels)
        if choice is None:
            raise PlanError("--at names one unit of a channel: say which by --channels, such as --channels 12")
        row, column = parse_place(self.at)
        return [Neuron(address, number, row, column) for address in addresses for number in choice.numbers]

    def _liked(self) -> list[Term]:
        if not self.like:
            return []
        by_layer: dict[str, list[int]] = {}
        for unit in self.likes([self.address(name) for name in self.layer]):
            by_layer.setdefault(unit.layer, []).append(unit.channel)
        count = sum(map(len, by_layer.values()))
        return [
            len(numbers) / count * DreamTerm(layer, self.loss, None, ChannelChoice("these", numbers), self.power)
            for layer, numbers in by_layer.items()
        ]

    def _manner(self) -> list[Term]:
        if self.style is None:
            return []
        names, weights = style_layers(self.model)
        layers = [self.address(name) for name in names]
        term = StyleTerm(self.picture(self.style).image, layers, ("gram", "moments"), "relative", weights)
        return [self.style_weight * term]

    def _restraints(self) -> list[Term]:
        restraints: list[Term] = []
        if self.smoothness:
            restraints.append(self.smoothness * TotalVariation())
        if self.restraint:
            restraints.append(self.restraint * AlphaNorm(2.0))
        return restraints
