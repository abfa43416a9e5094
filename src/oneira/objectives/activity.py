"""Terms that make something respond more: layers, channels, neurons, classes, directions.

All are negatives of activity, because every term is minimised.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import torch
from torch import Tensor

from oneira.errors import AddressError, PlanError, one_of
from oneira.features.address import Address
from oneira.features.encoder import Encoder
from oneira.features.registry import find_backbone, resolve
from oneira.objectives.term import BoundTerm, Size, Term, View, names_of

DreamLoss = Literal["l2", "mean"]


@dataclass(frozen=True)
class Dream(Term):
    """Whatever whole layers see, more of it (Mordvintsev et al. 2015).

    `l2`: half the mean square, whose gradient is the activation itself; `mean`: the mean activation (the Keras
    tutorial's). google/deepdream sums over positions where we average; its normalised gradient is the same.
    """

    layers: str | Sequence[str] = "relu4_3"
    loss: DreamLoss = "l2"

    def __post_init__(self) -> None:
        one_of("loss", self.loss, get_args(DreamLoss))

    def bind(self, encoder: Encoder, size: Size) -> BoundTerm:
        """No targets: the layers' own activity."""
        addresses = [resolve(layer) for layer in names_of(self.layers)]

        def evaluate(view: View) -> Tensor:
            total = view.image.new_zeros(())
            for address in addresses:
                features = view.activations[address].float()
                grown = features.square() / 2 if self.loss == "l2" else features
                total = total - view.mean(grown)
            return total

        return BoundTerm(self.name, evaluate, frozenset(addresses))


@dataclass(frozen=True)
class Channel(Term):
    """The mean activation of one channel, or of several channels, of a layer (Olah et al. 2017)."""

    layer: str
    channels: int | Sequence[int]

    def bind(self, encoder: Encoder, size: Size) -> BoundTerm:
        """Raises AddressError, when first evaluated, for a channel that the layer does not have."""
        address = resolve(self.layer)
        chosen = [self.channels] if isinstance(self.channels, int) else list(self.channels)
        if not chosen:
            raise PlanError(f"no channel of {self.layer} is named")

        def evaluate(view: View) -> Tensor:
            features = _channels(view.activations[address], chosen, address)
            return -view.mean(features.float())

        return BoundTerm(self.name, evaluate, frozenset([address]))


@dataclass(frozen=True)
class Neuron(Term):
    """One unit: `channel` of `layer` at row `y` and column `x` of its grid, the middle unless told."""

    layer: str
    channel: int
    y: int | None = None
    x: int | None = None

    def bind(self, encoder: Encoder, size: Size) -> BoundTerm:
        """Raises AddressError, when first evaluated, for a place outside the layer's grid."""
        address = resolve(self.layer)

        def evaluate(view: View) -> Tensor:
            features = _channels(view.activations[address], [self.channel], address)
            view.require_no_mask(address)
            if features.ndim == 2:
                return -features.float().sum()
            height, width = features.shape[2:]
            y = height // 2 if self.y is None else self.y
            x = width // 2 if self.x is None else self.x
            if not (0 <= y < height and 0 <= x < width):
                raise AddressError(f"({y}, {x}) lies outside {address}, which is {height} high and {width} wide here")
            return -features[:, 0, y, x].float().sum()

        return BoundTerm(self.name, evaluate, frozenset([address]))


@dataclass(frozen=True)
class ClassLogit(Term):
    """The logit of a class, before the softmax (Simonyan et al. 2013): raising one need not lower the others."""

    index: int
    backbone: str = "pocket"

    @property
    def name(self) -> str:
        """`class`, which Python keeps for itself."""
        return "class"

    def bind(self, encoder: Encoder, size: Size) -> BoundTerm:
        """Raises AddressError, when first evaluated, where there is no such class."""
        address = resolve(f"{self.backbone}:{find_backbone(self.backbone).logits}")

        def evaluate(view: View) -> Tensor:
            view.require_no_mask(address)
            return -_channels(view.activations[address], [self.index], address).float().sum()

        return BoundTerm(self.name, evaluate, frozenset([address]))


@dataclass(frozen=True, eq=False)
class Direction(Term):
    """The mean dot product with a direction (c,) in the space of a layer's channels, scaled to length 1."""

    layer: str
    vector: Tensor

    def bind(self, encoder: Encoder, size: Size) -> BoundTerm:
        """Raises PlanError, when first evaluated, where the direction has another number of channels."""
        address = resolve(self.layer)
        unit = (self.vector.float() / self.vector.float().norm().clamp(min=1e-12)).to(encoder.device)

        def evaluate(view: View) -> Tensor:
            features = view.activations[address].float()
            if features.shape[1] != len(unit):
                raise PlanError(f"a direction in {address} has {features.shape[1]} numbers, not {len(unit)}")
            return -view.mean(torch.einsum("bc...,c->b...", features, unit).unsqueeze(1))

        return BoundTerm(self.name, evaluate, frozenset([address]))


def _channels(features: Tensor, chosen: list[int], address: Address) -> Tensor:
    count = features.shape[1]
    for channel in chosen:
        if not 0 <= channel < count:
            raise AddressError(f"{address} has channels 0 to {count - 1}, not {channel}")
    return features[:, chosen]
