"""Growing along a direction in the space of a layer's channels: mixtures of features, and what opposes them."""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from oneira.errors import PlanError
from oneira.features.address import Address
from oneira.features.encoder import Encoder
from oneira.features.registry import resolve
from oneira.objectives.channels import Selection, channels_known, require_channels
from oneira.objectives.term import BoundTerm, Size, Term, View

WEIGHTED_CHANNEL = re.compile(r"(-?[0-9]{1,18})\s*:\s*([-+]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][-+]?[0-9]+)?)")
WRITTEN = "write channel:weight, with commas between, such as '12:1, 40:-0.5'"


@dataclass(frozen=True, eq=False)
class Direction(Term):
    """The mean dot product with a direction, scaled to length 1.

    `vector`: (c,), a number for each of the layer's channels, or weights by the channels' numbers, 0 for the others.
    Raises PlanError where it has no length, or is no vector.
    """

    layer: str
    vector: Tensor | Mapping[int, float]

    def __post_init__(self) -> None:
        weights = self._weights()
        if weights.ndim != 1:
            raise PlanError(f"a direction is one number per channel, (c,), not {tuple(weights.shape)}")
        length = float(weights.norm())
        if not 0 < length < math.inf:
            raise PlanError(f"a direction has a length above 0, not {length:g}; give one channel a weight")

    def bind(self, encoder: Encoder, size: Size) -> BoundTerm:
        """PlanError where the direction has another number of channels, AddressError where it names one too many.

        Of a registered module, when first evaluated.
        """
        address = resolve(self.layer)
        weights = self._weights()
        unit = (weights / weights.norm()).to(encoder.device)
        selection = None if isinstance(self.vector, Tensor) else Selection(address, list(self.vector), encoder.device)

        def require(count: int) -> None:
            if selection is not None:
                require_channels(selection.numbers, count, address)
            elif count != len(unit):
                raise PlanError(f"a direction in {address} has {count} numbers, not {len(unit)}")

        def evaluate(view: View) -> Tensor:
            features = view.activations[address]
            require(features.shape[1])
            return -mean_product(view, features if selection is None else selection(features), unit, address)

        known = channels_known(encoder, address, size)
        if known is not None:
            require(known)
        return BoundTerm.by_position(self.name, evaluate, [address])

    def _weights(self) -> Tensor:
        if isinstance(self.vector, Tensor):
            return self.vector.float()
        return torch.tensor(list(self.vector.values()), dtype=torch.float32)


def mean_product(view: View, features: Tensor, vector: Tensor, address: Address) -> Tensor:
    """A layer's (b, c, ...) times (c,), the mean of it over (masked) positions, summed over the batch; float32."""
    return view.mean(torch.einsum("bc...,c->b...", features.float(), vector).unsqueeze(1), address)


def parse_direction(text: str) -> dict[int, float]:
    """`"12:1, 40:-0.5"` -> `{12: 1.0, 40: -0.5}`: weights by channels' numbers.

    Raises PlanError for what is written otherwise, for a channel named twice, and where all weights are 0.
    """
    weights: dict[int, float] = {}
    for part in text.split(","):
        read = WEIGHTED_CHANNEL.fullmatch(part.strip())
        if read is None:
            raise PlanError(f"cannot read {part.strip()!r} in the direction {text!r}; {WRITTEN}")
        channel, value = int(read[1]), float(read[2])
        if channel < 0:
            raise PlanError(f"channels are counted from 0; there is no channel {channel}")
        if channel in weights:
            raise PlanError(f"channel {channel} is named twice in the direction {text!r}; name it once")
        if not math.isfinite(value):
            raise PlanError(f"the weight of channel {channel} is too large: {read[2]}")
        weights[channel] = value
    if not any(weights.values()):
        raise PlanError(f"all weights of the direction {text!r} are 0; give one channel another")
    return weights
