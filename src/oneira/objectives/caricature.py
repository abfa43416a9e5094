"""Caricatures: what a layer sees in a picture, exaggerated."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from oneira.errors import PlanError
from oneira.features.encoder import Encoder
from oneira.features.registry import resolve
from oneira.images import resize
from oneira.objectives.shares import layer_shares
from oneira.objectives.term import BoundTerm, Size, Term, View, names_of

LEAST_COSINE = 0.1  # lucid's: where canvas and picture have nothing in common yet, a gradient is left


@dataclass(frozen=True, eq=False)
class Caricature(Term):
    """The negative of likeness: at every position, the dot product with a picture's activations times cosine^power.

    Unlike a distance it has no end: what the layer sees in the picture grows. `image` (1, 3, h, w) is resized to the
    canvas. `power` 0 is the dot product alone, which loudness raises as well as likeness; the higher it is, the more
    the direction counts. Averaged over positions, over the mean of the picture's own squared lengths: -1 at the picture
    itself in every layer of every network. Summed over layers with `weights`, which default to equal shares that add
    up to 1.

    After lucid's feature inversion (`dot_compare`, Olah et al. 2018, "The building blocks of interpretability"), whose
    cosine has the same floor of 0.1 but is one for all positions, over the canvas's length only; by position, a loud
    corner does not decide for the others. lucid moves picture and canvas together before it compares them; here the
    term is aligned, and sees both unmoved.

    Raises PlanError for a power that is negative or not finite, and for weights that do not go with the layers.
    """

    image: Tensor
    layers: str | Sequence[str] = "relu4_3"
    power: float = 1.0
    weights: Sequence[float] | None = None

    def __post_init__(self) -> None:
        if not 0 <= self.power < math.inf:
            raise PlanError(f"the power of a caricature's cosine is a number of at least 0, not {self.power}")
        layer_shares(self.weights, names_of(self.layers))

    def bind(self, encoder: Encoder, size: Size) -> BoundTerm:
        """Targets: the picture's activations at `size`."""
        addresses = [resolve(layer) for layer in names_of(self.layers)]
        weights = torch.tensor(layer_shares(self.weights, names_of(self.layers)), device=encoder.device)
        with torch.no_grad():
            seen = encoder(resize(self.image, size).to(encoder.device), addresses)
            targets = {address: seen[address].float() for address in addresses}
            units = {address: max(float(_lengths(targets[address]).square().mean()), 1e-12) for address in addresses}

        def evaluate(view: View) -> Tensor:
            likenesses = [
                view.mean(self._likeness(view.activations[a].float(), view.alongside(targets[a], a)), a) / units[a]
                for a in addresses
            ]
            return -(torch.stack(likenesses) * weights).sum()

        return BoundTerm.by_position(self.name, evaluate, addresses, aligned=True)

    def _likeness(self, features: Tensor, target: Tensor) -> Tensor:
        """(b, c, ...), (1, c, ...) -> (b, 1, ...), in float32."""
        products = (features * target).sum(1, keepdim=True)
        if self.power == 0:
            return products
        # Clamped, where lucid adds a small number: in networks whose activations are faint that would count.
        lengths = _lengths(features).clamp(min=1e-12) * _lengths(target).clamp(min=1e-12)
        cosines = (products / lengths).clamp(min=LEAST_COSINE)
        likeness: Tensor = products * cosines**self.power
        return likeness


def _lengths(features: Tensor) -> Tensor:
    """(b, c, ...) -> (b, 1, ...): the length of the activations at each position."""
    lengths: Tensor = torch.linalg.vector_norm(features, dim=1, keepdim=True)
    return lengths
