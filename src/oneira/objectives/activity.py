"""Terms that make something respond more: layers, channels, neurons.

All are negatives of activity, because every term is minimised.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import torch
from torch import Tensor

from oneira.errors import AddressError, PlanError, one_of
from oneira.features.address import Address
from oneira.features.encoder import Encoder
from oneira.features.registry import resolve
from oneira.objectives.channels import ChannelChoice
from oneira.objectives.place import Sums
from oneira.objectives.shares import layer_weights
from oneira.objectives.term import BoundTerm, Size, Term, View, names_of

DreamLoss = Literal["l2", "mean", "norm"]


@dataclass(frozen=True)
class Dream(Term):
    """Whatever whole layers see, more of it (Mordvintsev et al. 2015), summed over layers with `weights` (1 each).

    `l2`: half the mean square, whose gradient is the activation itself; `mean`: the mean activation (the Keras
    tutorial's); `norm`: (mean |a|^p)^(1/p) over the layer, p being `power`, at least 1, whose gradient is as large for
    a faint layer as for a loud one. google/deepdream and neural-dream, whose norm has p = 2, sum over positions where
    we average; normalised gradients are the same. A negative weight calms a layer. `channels`: only these of each
    layer. Raises PlanError where weights, loss and power do not go together.
    """

    layers: str | Sequence[str] = "relu4_3"
    loss: DreamLoss = "l2"
    weights: Sequence[float] | None = None
    channels: ChannelChoice | None = None
    power: float = 2.0

    def __post_init__(self) -> None:
        one_of("loss", self.loss, get_args(DreamLoss))
        layer_weights(self.weights, names_of(self.layers))
        if not 1 <= self.power < math.inf:
            raise PlanError(f"the power of a norm is a number of at least 1, not {self.power}")
        if self.power != 2 and self.loss != "norm":
            raise PlanError(f"a power of {self.power} belongs to the loss 'norm', not to {self.loss!r}")

    def bind(self, encoder: Encoder, size: Size) -> BoundTerm:
        """No targets but the channels' numbers; raises AddressError as `ChannelChoice.choose` does."""
        addresses = [resolve(layer) for layer in names_of(self.layers)]
        weights = layer_weights(self.weights, names_of(self.layers))
        choice = self.channels
        selections = [None if choice is None else choice.select(encoder, address, size) for address in addresses]

        def chosen(view: View) -> Iterator[tuple[Address, float, Tensor]]:
            for address, weight, selection in zip(addresses, weights, selections, strict=True):
                features = view.activations[address]
                yield address, weight, (features if selection is None else selection(features)).float()

        def evaluate(view: View) -> Tensor:
            total = view.image.new_zeros(())
            for address, weight, features in chosen(view):
                total = total - weight * self._activity(view, features, address)
            return total

        if self.loss != "norm":
            return BoundTerm.by_position(self.name, evaluate, addresses)

        def gather(view: View) -> tuple[Tensor, ...]:
            # In float64, and in no unit: the largest activation is not known before all parts have been looked at.
            wide = ((address, features.double().abs()) for address, _, features in chosen(view))
            return tuple(view.mean(loudness.pow(self.power), address) for address, loudness in wide)

        def conclude(powers: tuple[Tensor, ...]) -> Tensor:
            norms = (torch.where(power > 0, power, 1) ** (1 / self.power) * (power > 0) for power in powers)
            total = sum(weight * norm for weight, norm in zip(weights, norms, strict=True))
            return -torch.as_tensor(total).float()

        return BoundTerm(self.name, evaluate, frozenset(addresses), sums=Sums(gather, conclude, len(addresses)))

    def _activity(self, view: View, features: Tensor, address: Address) -> Tensor:
        if self.loss == "l2":
            return view.mean(features.square() / 2, address)
        if self.loss == "mean":
            return view.mean(features, address)
        return _norm(view, features, self.power)


@dataclass(frozen=True)
class Channel(Term):
    """The mean activation of one channel, or of several channels, of a layer (Olah et al. 2017)."""

    layer: str
    channels: int | Sequence[int]

    def __post_init__(self) -> None:
        self._choice()

    def bind(self, encoder: Encoder, size: Size) -> BoundTerm:
        """Raises AddressError for a channel that is not there; of a registered module, when first evaluated."""
        address = resolve(self.layer)
        selection = self._choice().select(encoder, address, size)

        def evaluate(view: View) -> Tensor:
            return -view.mean(selection(view.activations[address]).float(), address)

        return BoundTerm.by_position(self.name, evaluate, [address])

    def _choice(self) -> ChannelChoice:
        return ChannelChoice("these", (self.channels,) if isinstance(self.channels, int) else tuple(self.channels))


@dataclass(frozen=True)
class Neuron(Term):
    """One unit: `channel` of `layer` at row `y` and column `x` of its grid, the middle unless told."""

    layer: str
    channel: int
    y: int | None = None
    x: int | None = None

    def __post_init__(self) -> None:
        ChannelChoice("these", (self.channel,))

    def bind(self, encoder: Encoder, size: Size) -> BoundTerm:
        """Raises AddressError for a channel that is not there; for a place that is not, when first evaluated."""
        address = resolve(self.layer)
        selection = ChannelChoice("these", (self.channel,)).select(encoder, address, size)

        def evaluate(view: View) -> Tensor:
            features = selection(view.activations[address])
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


def parse_place(text: str) -> tuple[int | None, int | None]:
    """`"3,4"` -> `(3, 4)`, a row and a column of a grid; `"middle"` -> `(None, None)`. PlanError for anything else."""
    if text == "middle":
        return None, None
    row, comma, column = text.partition(",")
    if not (comma and row.strip().isdecimal() and column.strip().isdecimal()):
        raise PlanError(f"--at takes ROW,COLUMN such as 3,4, or middle; not {text!r}")
    return int(row), int(column)


def _norm(view: View, features: Tensor, power: float) -> Tensor:
    """The p-norm of the mean of (b, c, ...), over channels and (masked) positions, summed over the batch."""
    weights = view.weights(features)
    loudness = features.abs() if weights is None else features.abs() * weights ** (1 / power)
    values = loudness.flatten(1)
    # In units of the largest, powers neither overflow nor vanish. The norm does not depend on the unit: no gradient.
    unit = values.detach().amax(1)
    mean = (values / torch.where(unit > 0, unit, 1).unsqueeze(1)).pow(power).mean(1)
    # Where all is silent the mean is 0, at which a root has no gradient.
    return (unit * torch.where(unit > 0, mean, 1) ** (1 / power)).sum()
