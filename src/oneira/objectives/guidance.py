"""Dreams guided by a picture: what the canvas shows grows where it is like something in the guide."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import torch
from torch import Tensor

from oneira.errors import one_of
from oneira.features.address import Address
from oneira.features.encoder import Encoder
from oneira.features.registry import resolve
from oneira.images import fit_area, resize
from oneira.objectives.direction import mean_product
from oneira.objectives.shares import layer_weights
from oneira.objectives.term import BoundTerm, Size, Term, View, names_of

GuidedBy = Literal["match", "mean"]

LARGEST_MATRIX = 64 * 2**20  # bytes of dot products, positions by the guide's positions, that are held at a time


@dataclass(frozen=True, eq=False)
class Guided(Term):
    """The activity of layers in the direction of a guide's, summed over layers with `weights` (1 each).

    `match`: each position's largest dot product with a position of the guide, whose gradient is that position's
    features (Mordvintsev et al. 2015, google/deepdream's `objective_guide`, which sums over positions where we
    average); `mean`: the dot product with the guide's mean features.

    The guide (1, 3, h, w) is resized, in its own proportions, to the canvas's area.
    """

    image: Tensor
    layers: str | Sequence[str] = "relu4_3"
    by: GuidedBy = "match"
    weights: Sequence[float] | None = None

    def __post_init__(self) -> None:
        one_of("way of guiding", self.by, get_args(GuidedBy))
        layer_weights(self.weights, names_of(self.layers))

    def bind(self, encoder: Encoder, size: Size) -> BoundTerm:
        """Targets: the guide's activations at the canvas's area."""
        addresses = [resolve(layer) for layer in names_of(self.layers)]
        weights = layer_weights(self.weights, names_of(self.layers))
        fitted = fit_area(self.image.shape[2], self.image.shape[3], size[0] * size[1])
        with torch.no_grad():
            seen = encoder(resize(self.image, fitted).to(encoder.device), addresses)
            guides = {address: _rows(seen[address]).float() for address in addresses}
            means = {address: guide.mean(0) for address, guide in guides.items()}

        def evaluate(view: View) -> Tensor:
            total = view.image.new_zeros(())
            for address, weight in zip(addresses, weights, strict=True):
                features = view.activations[address]
                if self.by == "match":
                    total = total - weight * _mean_match(view, features, guides[address], address)
                else:
                    total = total - weight * mean_product(view, features, means[address], address)
            return total

        return BoundTerm.by_position(self.name, evaluate, addresses)


def best_matches(rows: Tensor, guide: Tensor, largest: int = LARGEST_MATRIX) -> Tensor:
    """(n, c), (m, c), float32 -> (n,): for each row, which row of `guide` has the largest dot product with it.

    At most `largest` bytes of products are held at a time, but one row's.
    """
    run = max(1, largest // (guide.element_size() * len(guide)))
    return torch.cat([(some @ guide.mT).argmax(1) for some in rows.split(run)])


def _mean_match(view: View, features: Tensor, guide: Tensor, address: Address) -> Tensor:
    """The mean over (masked) positions of (b, c, ...), summed over the batch, of the largest dot products."""
    rows = _rows(features).float()
    # The gradient of a maximum is that of the product which is largest: only that one need be differentiated.
    matches = guide[best_matches(rows.detach(), guide)]
    products = (rows * matches).sum(1)
    return view.mean(products.view(len(features), 1, *features.shape[2:]), address)


def _rows(features: Tensor) -> Tensor:
    """(b, c, ...) -> (b * positions, c); a layer without positions has one."""
    return features.movedim(1, -1).reshape(-1, features.shape[1])
