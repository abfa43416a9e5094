"""Taking on the manner of a picture: statistics of its layers (Gatys et al. 2015, 2016)."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import torch
from torch import Tensor

from oneira.errors import PlanError, one_of
from oneira.features.address import Address
from oneira.features.encoder import Encoder
from oneira.features.registry import resolve
from oneira.images import resize
from oneira.objectives.histogram import average_quantiles, histogram_distance, quantiles
from oneira.objectives.shares import layer_shares, picture_shares
from oneira.objectives.statistics import DISTANCES, Statistics, Summary, average, summarise
from oneira.objectives.term import BoundTerm, Size, Term, View, names_of

GATYS_STYLE_LAYERS = ("relu1_1", "relu2_1", "relu3_1", "relu4_1", "relu5_1")
StyleNormalization = Literal["average", "gatys", "relative"]


@dataclass(frozen=True, eq=False)
class _Target:
    """What one layer's statistics should become; `positions` of the pictures, on average."""

    summary: Summary
    quantiles: Tensor | None  # (1, c, levels), where histograms are compared
    positions: float

    @classmethod
    def average(cls, targets: Sequence["_Target"], shares: Sequence[float]) -> "_Target":
        known = [target.quantiles for target in targets if target.quantiles is not None]
        return cls(
            average([target.summary for target in targets], shares),
            average_quantiles(known, shares) if known else None,
            sum(share * target.positions for share, target in zip(shares, targets, strict=True)),
        )

    def size(self, statistic: str) -> float:
        """What makes a distance relative; never 0."""
        if statistic == "histogram" and self.quantiles is not None:
            return max(float(self.quantiles.square().mean()), 1e-12)
        return max(float(DISTANCES[statistic].size(self.summary)), 1e-12)


@dataclass(frozen=True, eq=False)
class Style(Term):
    """The distance between the layers' statistics and those of `image`, over layers with `weights`.

    `image`: one picture (1, 3, h, w), or several of any sizes.
    `statistics`: one or several of `gram`, `moments` (means and deviations), `wasserstein` (of Gaussians), `histogram`
    (each channel's own, Risser et al. 2017), added up.
    `normalization` of the distance: `average`, the mean squared difference of averaged statistics, the same at any
    size; `gatys` (Gram only), their E_l = sum (G - A)^2 / (4 N^2 M^2), G and A summed over the M positions of each
    picture, so that it compares pictures of one size; `relative`, over the target's own size, which means the same in
    every layer of every network. Weights default to equal shares that add up to 1.

    Each picture is resized, in its own proportions, to the canvas's area times `scale`^2: larger brings larger strokes.

    Of several pictures, the statistics are averaged with `shares`: numbers of at least 0, not all 0, which are divided
    by their sum; equal unless told. Means and raw second moments are averaged (crowsonkb's; neural-style-pt averages
    Gram matrices), so that covariances are those of all pictures together; histograms, quantile by quantile.

    Raises PlanError for names that are not there, and for weights and shares that do not go with layers and pictures.
    """

    image: Tensor | Sequence[Tensor]
    layers: str | Sequence[str] = GATYS_STYLE_LAYERS
    statistics: Statistics | Sequence[Statistics] = "gram"
    normalization: StyleNormalization = "average"
    weights: Sequence[float] | None = None
    scale: float = 1.0
    shares: Sequence[float] | None = None

    def __post_init__(self) -> None:
        statistics = names_of(self.statistics, "statistic", "gram")
        one_of("normalization", self.normalization, get_args(StyleNormalization))
        for name in statistics:
            one_of("statistic", name, get_args(Statistics))
        if self.normalization == "gatys" and statistics != ("gram",):
            raise PlanError(f"Gatys' normalization belongs to Gram matrices, not to {', '.join(statistics)}")
        layer_shares(self.weights, names_of(self.layers))
        picture_shares(self.shares, len(self._pictures()))

    def bind(self, encoder: Encoder, size: Size) -> BoundTerm:
        """Targets: the statistics of the pictures at the canvas's area."""
        addresses = [resolve(layer) for layer in names_of(self.layers)]
        weights = layer_shares(self.weights, names_of(self.layers))
        with torch.no_grad():
            targets = self._targets(encoder, addresses, size)
            sizes = [self._sizes(targets[address]) for address in addresses]
        scales = torch.tensor(
            [weight / size for weight, layer in zip(weights, sizes, strict=True) for size in layer],
            device=encoder.device,
        )

        def evaluate(view: View) -> Tensor:
            losses = []
            for address in addresses:
                features = self._precise(view.activations[address])
                losses += self._distances(features, view.weights(features), targets[address])
            # Scaled and added up together: operations on single numbers take as long as on some thousands.
            return (torch.stack(losses) * scales).sum()

        return BoundTerm(self.name, evaluate, frozenset(addresses))

    def _pictures(self) -> tuple[Tensor, ...]:
        pictures = (self.image,) if isinstance(self.image, Tensor) else tuple(self.image)
        if not pictures:
            raise PlanError("no style picture is given; give at least one")
        for picture in pictures:
            if picture.ndim != 4 or picture.shape[1] != 3:
                raise PlanError(f"a style picture is (1, 3, height, width), not {tuple(picture.shape)}")
        return pictures

    def _targets(self, encoder: Encoder, addresses: Sequence[Address], size: Size) -> dict[Address, _Target]:
        pictures, shares = self._pictures(), picture_shares(self.shares, len(self._pictures()))
        # What has no share is not looked at. One picture after the other: activations are large, statistics are not.
        counted = [(picture, share) for picture, share in zip(pictures, shares, strict=True) if share > 0]
        seen = [self._look(encoder, picture, addresses, size) for picture, _ in counted]
        return {
            address: _Target.average([look[address] for look in seen], [share for _, share in counted])
            for address in addresses
        }

    def _look(
        self, encoder: Encoder, picture: Tensor, addresses: Sequence[Address], size: Size
    ) -> dict[Address, _Target]:
        seen = encoder(resize(picture, _size(picture, size, self.scale)).to(encoder.device), addresses)
        targets = {}
        for address in addresses:
            features = self._precise(seen[address])
            if features.ndim != 4:
                raise PlanError(f"{address} has no positions; style needs a layer that has")
            sorted_values = quantiles(features) if "histogram" in names_of(self.statistics) else None
            targets[address] = _Target(summarise(features), sorted_values, features.shape[2:].numel())
        return targets

    def _precise(self, features: Tensor) -> Tensor:
        # A root of covariances magnifies what bfloat16 rounds away; Gram matrices and moments do not.
        return features.float() if "wasserstein" in names_of(self.statistics) else features

    def _sizes(self, target: _Target) -> list[float]:
        """What each statistic's distance is divided by; read once, so that no step has to."""
        if self.normalization != "relative":
            return [1.0] * len(names_of(self.statistics))
        return [target.size(name) for name in names_of(self.statistics)]

    def _distances(self, features: Tensor, weights: Tensor | None, target: _Target) -> list[Tensor]:
        summary = summarise(features, weights)
        if self.normalization == "gatys":
            return [_gatys(summary, target, features.shape[2:].numel())]
        return [
            histogram_distance(features, target.quantiles, weights)
            if name == "histogram" and target.quantiles is not None
            else DISTANCES[name].between(summary, target.summary)
            for name in names_of(self.statistics)
        ]


def _size(picture: Tensor, canvas: Size, scale: float) -> Size:
    height, width = picture.shape[2:]
    factor = scale * (canvas[0] * canvas[1] / (height * width)) ** 0.5
    return max(1, round(height * factor)), max(1, round(width * factor))


def _gatys(summary: Summary, target: _Target, positions: int) -> Tensor:
    difference = summary.second * positions - target.summary.second * target.positions
    channels = summary.mean.shape[1]
    return difference.square().sum() / (4 * channels**2 * positions**2)
