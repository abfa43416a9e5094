"""Keeping what a picture shows: feature reconstruction."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import torch
from torch import Tensor

from oneira.errors import one_of
from oneira.features.address import Address
from oneira.features.encoder import Encoder
from oneira.features.registry import resolve
from oneira.images import resize
from oneira.objectives.shares import layer_shares
from oneira.objectives.squares import sum_of_squares
from oneira.objectives.term import BoundTerm, Size, Term, View, names_of

ContentNormalization = Literal["average", "gatys", "relative"]


@dataclass(frozen=True, eq=False)
class Content(Term):
    """The distance to a picture's activations, position by position (Gatys et al. 2016, equation 1).

    `image` (1, 3, h, w) is resized to the canvas. `average`: the mean squared difference; `gatys`: half the sum of
    squares, which grows with the picture; `relative`: the squared difference over the target's squares, which means
    the same in every layer of every network. Summed over layers with `weights`, which default to equal shares that add
    up to 1.

    Raises PlanError for a normalization that is not there, and for weights that do not go with the layers.
    """

    image: Tensor
    layers: str | Sequence[str] = "relu4_2"
    normalization: ContentNormalization = "average"
    weights: Sequence[float] | None = None

    def __post_init__(self) -> None:
        one_of("normalization", self.normalization, get_args(ContentNormalization))
        layer_shares(self.weights, names_of(self.layers))

    def bind(self, encoder: Encoder, size: Size) -> BoundTerm:
        """Targets: the picture's activations at `size`."""
        with torch.no_grad():
            return self.toward(encoder(resize(self.image, size).to(encoder.device), self.addresses))

    @property
    def addresses(self) -> list[Address]:
        """Where it compares."""
        return [resolve(layer) for layer in names_of(self.layers)]

    def toward(self, seen: Mapping[Address, Tensor]) -> BoundTerm:
        """The bound term, where the picture's activations at the canvas's size are known already."""
        addresses = self.addresses
        targets = {address: seen[address].detach().float() for address in addresses}
        sizes = {address: self._size(targets[address]) for address in addresses}
        device = targets[addresses[0]].device
        weights = torch.tensor(layer_shares(self.weights, names_of(self.layers)), device=device)

        def evaluate(view: View) -> Tensor:
            losses = [self._distance(view, a, targets[a]) / sizes[a] for a in addresses]
            return (torch.stack(losses) * weights).sum()

        return BoundTerm.by_position(self.name, evaluate, addresses, aligned=True)

    def _size(self, target: Tensor) -> Tensor | float:
        """What the distance is divided by; left on the device, where reading it would make the host wait."""
        return target.square().mean().clamp(min=1e-12) if self.normalization == "relative" else 1.0

    def _distance(self, view: View, address: Address, target: Tensor) -> Tensor:
        # In float32 from the difference on: it is small against both.
        difference = view.activations[address] - view.alongside(target, address)
        total = sum_of_squares(difference, view.weights(difference, address))
        return total / (2 if self.normalization == "gatys" else target.numel())
