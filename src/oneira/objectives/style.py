"""Taking on the manner of a picture: statistics of its layers (Gatys et al. 2015, 2016)."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import torch
from torch import Tensor

from oneira.errors import PlanError, one_of
from oneira.features.encoder import Encoder
from oneira.features.registry import resolve
from oneira.images import resize
from oneira.objectives.statistics import DISTANCES, Statistics, Summary, summarise
from oneira.objectives.term import BoundTerm, Size, Term, View, names_of

GATYS_STYLE_LAYERS = ("relu1_1", "relu2_1", "relu3_1", "relu4_1", "relu5_1")
StyleNormalization = Literal["average", "gatys", "relative"]


@dataclass(frozen=True, eq=False)
class Style(Term):
    """The distance between the layers' statistics and those of `image` (1, 3, h, w), over layers with `weights`.

    `statistics`: one or several of `gram`, `moments` (means and deviations), `wasserstein`, added up.
    `normalization` of the distance: `average`, the mean squared difference of averaged statistics, the same at any
    size; `gatys` (Gram only), their E_l = sum (G - A)^2 / (4 N^2 M^2), G and A summed over the M positions of each
    picture, so that it compares pictures of one size; `relative`, over the target's own size, which means the same in
    every layer of every network. Weights default to equal shares that add up to 1.

    The picture is resized, in its own proportions, to the canvas's area times `scale`^2: larger brings larger strokes.
    """

    image: Tensor
    layers: str | Sequence[str] = GATYS_STYLE_LAYERS
    statistics: Statistics | Sequence[Statistics] = "gram"
    normalization: StyleNormalization = "average"
    weights: Sequence[float] | None = None
    scale: float = 1.0

    def __post_init__(self) -> None:
        layers, statistics = names_of(self.layers), names_of(self.statistics, "statistic", "gram")
        one_of("normalization", self.normalization, get_args(StyleNormalization))
        for name in statistics:
            one_of("statistic", name, DISTANCES)
        if self.normalization == "gatys" and statistics != ("gram",):
            raise PlanError(f"Gatys' normalization belongs to Gram matrices, not to {', '.join(statistics)}")
        if self.weights is not None and len(self.weights) != len(layers):
            raise PlanError(f"{len(layers)} style layers need as many weights, not {len(self.weights)}")

    def bind(self, encoder: Encoder, size: Size) -> BoundTerm:
        """Targets: the statistics of the picture at the canvas's area."""
        addresses = [resolve(layer) for layer in names_of(self.layers)]
        weights = self.weights or [1 / len(addresses)] * len(addresses)
        with torch.no_grad():
            seen = encoder(resize(self.image, self._size(size)).to(encoder.device), addresses)
            for address in addresses:
                if seen[address].ndim != 4:
                    raise PlanError(f"{address} has no positions; style needs a layer that has")
            targets = {address: summarise(self._precise(seen[address])) for address in addresses}
            positions = {address: seen[address].shape[2:].numel() for address in addresses}
            sizes = [self._sizes(targets[address]) for address in addresses]
        shares = [weight / size for weight, layer in zip(weights, sizes, strict=True) for size in layer]
        scales = torch.tensor(shares, device=encoder.device)

        def evaluate(view: View) -> Tensor:
            losses = []
            for address in addresses:
                features = self._precise(view.activations[address])
                summary = summarise(features, view.weights(features))
                if self.normalization == "gatys":
                    losses.append(_gatys(summary, targets[address], features.shape[2:].numel(), positions[address]))
                else:
                    losses += self._distances(summary, targets[address])
            # Scaled and added up together: operations on single numbers take as long as on some thousands.
            return (torch.stack(losses) * scales).sum()

        return BoundTerm(self.name, evaluate, frozenset(addresses))

    def _precise(self, features: Tensor) -> Tensor:
        # A root of covariances magnifies what bfloat16 rounds away; Gram matrices and moments do not.
        return features.float() if "wasserstein" in names_of(self.statistics) else features

    def _sizes(self, target: Summary) -> list[float]:
        """What each statistic's distance is divided by; read once, so that no step has to."""
        if self.normalization != "relative":
            return [1.0] * len(names_of(self.statistics))
        return [max(float(DISTANCES[name].size(target)), 1e-12) for name in names_of(self.statistics)]  # type: ignore[index]

    def _distances(self, summary: Summary, target: Summary) -> list[Tensor]:
        return [DISTANCES[name].between(summary, target) for name in names_of(self.statistics)]  # type: ignore[index]

    def _size(self, canvas: Size) -> Size:
        height, width = self.image.shape[2:]
        factor = self.scale * (canvas[0] * canvas[1] / (height * width)) ** 0.5
        return max(1, round(height * factor)), max(1, round(width * factor))


def _gatys(summary: Summary, target: Summary, positions: int, target_positions: int) -> Tensor:
    difference = summary.second * positions - target.second * target_positions
    channels = summary.mean.shape[1]
    return difference.square().sum() / (4 * channels**2 * positions**2)
