"""Taking on the manner of a picture: statistics of its layers (Gatys et al. 2015, 2016)."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Literal, get_args

import torch
from torch import Tensor

from oneira.errors import PlanError, one_of
from oneira.features.address import Address
from oneira.features.encoder import Encoder
from oneira.features.registry import resolve
from oneira.objectives.artwork import StyleSource, StyleTarget, sources_of
from oneira.objectives.place import Sums
from oneira.objectives.shares import layer_shares, picture_shares
from oneira.objectives.statistics import DISTANCES, MEASURES, Statistics, Summary, summarise
from oneira.objectives.term import BoundTerm, Size, Term, View, names_of

GATYS_STYLE_LAYERS = ("relu1_1", "relu2_1", "relu3_1", "relu4_1", "relu5_1")
StyleNormalization = Literal["average", "elements", "gatys", "relative", "sums"]


@dataclass(frozen=True)
class Counts:
    """Channels of a layer, and the positions that the canvas (`here`) and the pictures (`there`) have in it."""

    channels: int
    here: Tensor
    there: float


# Gram matrices as others scale them, before they take the mean squared difference: what multiplies our matrices, which
# are averaged over positions, of the canvas and of the pictures.
GRAM_FACTORS: Mapping[str, Callable[[Counts], tuple[float | Tensor, float | Tensor]]] = MappingProxyType(
    {
        "elements": lambda of: (1 / of.channels, 1 / of.channels),
        "gatys": lambda of: (1 / 2, of.there / (2 * of.here)),
        "sums": lambda of: (of.here, of.there),
    }
)


@dataclass(frozen=True, eq=False)
class Style(Term):
    """The distance between the layers' statistics and those of `image`, over layers with `weights`.

    `image`: one picture (1, 3, h, w) or several of any sizes; parts of pictures (`Artwork`) and styles kept in files
    (`SavedStyle`) among them.
    `statistics`: one or several of `gram`, `moments` (means and deviations), `wasserstein` (of Gaussians), `histogram`
    (each channel's own, Risser et al. 2017) and `autocorrelation` (of each channel, for regular patterns, Sendik and
    Cohen-Or 2017), added up.
    `normalization` of the distance: `average`, the mean squared difference of averaged statistics, the same at any
    size; `relative`, over the target's own size, which means the same in every layer of every network. Of Gram matrices
    only: `elements`, the mean squared difference of matrices that are averaged over channels and positions
    (neural-style-pt, anishathalye), the same at any size; `gatys`, their E_l = sum (G - A)^2 / (4 N^2 M^2), G and A
    summed over the M positions of each picture; `sums`, the mean squared difference of those same sums (Hvass-Labs).
    The last two take a difference of sizes for one of styles, so that they compare pictures of one size.
    With `gatys` and `relative` goes a Content of the same normalization; with all others, one of `average`.
    Weights default to equal shares that add up to 1.

    Each picture is resized, in its own proportions, to the canvas's area times `scale`^2: larger brings larger strokes.

    Of several pictures, the statistics are averaged with `shares`: numbers of at least 0, not all 0, which are divided
    by their sum; equal unless told. Means and raw second moments are averaged (crowsonkb's; neural-style-pt averages
    Gram matrices), so that covariances are those of all pictures together; histograms, quantile by quantile;
    autocorrelations, shift by shift, as far as all of them reach.

    Raises PlanError for names that are not there, and for weights and shares that do not go with layers and pictures.
    """

    image: Tensor | StyleSource | Sequence[Tensor | StyleSource]
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
        if self.normalization in GRAM_FACTORS and statistics != ("gram",):
            raise PlanError(
                f"the normalization {self.normalization!r} belongs to Gram matrices, not to {', '.join(statistics)}; "
                "take the statistic 'gram' alone, or the normalization 'average' or 'relative'"
            )
        layer_shares(self.weights, names_of(self.layers))
        picture_shares(self.shares, len(sources_of(self.image)))

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

        def gather(view: View) -> tuple[Tensor, ...]:
            return tuple(tensor for address in addresses for tensor in self._gathered(view, address, targets[address]))

        def conclude(sums: tuple[Tensor, ...]) -> Tensor:
            losses = [
                loss
                for index, address in enumerate(addresses)
                for loss in self._distances(sums[index * count : (index + 1) * count], targets[address])
            ]
            # Scaled and added up together: operations on single numbers take as long as on some thousands.
            return (torch.stack(losses) * scales).sum()

        count = 3 + len(self._measured)
        sums = Sums(gather, conclude, count * len(addresses))
        bound = BoundTerm.of_sums(self.name, sums, addresses)
        # Histograms and autocorrelations are no sums over positions.
        return replace(bound, sums=None) if self._measured else bound

    def _targets(self, encoder: Encoder, addresses: Sequence[Address], size: Size) -> dict[Address, StyleTarget]:
        sources = sources_of(self.image)
        # What has no share is not looked at. One picture after the other: activations are large, statistics are not.
        counted = [each for each in zip(sources, picture_shares(self.shares, len(sources)), strict=True) if each[1] > 0]
        area = size[0] * size[1] * self.scale**2
        statistics = names_of(self.statistics)
        for source in sources:
            source.require(encoder, addresses, statistics)
        seen = [source.look(encoder, addresses, area, statistics) for source, _ in counted]
        return {
            address: StyleTarget.average([look[address] for look in seen], [share for _, share in counted])
            for address in addresses
        }

    def _precise(self, features: Tensor) -> Tensor:
        # A root of covariances magnifies what bfloat16 rounds away; Gram matrices and moments do not.
        return features.float() if "wasserstein" in names_of(self.statistics) else features

    def _sizes(self, target: StyleTarget) -> list[float]:
        """What each statistic's distance is divided by; read once, so that no step has to."""
        if self.normalization != "relative":
            return [1.0] * len(names_of(self.statistics))
        return [target.size(name) for name in names_of(self.statistics)]

    @property
    def _measured(self) -> list[str]:
        """The statistics that do not follow from raw moments."""
        return [name for name in names_of(self.statistics) if name in MEASURES]

    def _gathered(self, view: View, address: Address, target: StyleTarget) -> list[Tensor]:
        """Raw moments and the number of positions; behind them, distances that do not follow from those."""
        features = self._precise(view.activations[address])
        weights, share = view.weights(features, address), view.share(address)
        summary = summarise(features, weights)
        moments = [summary.mean, summary.second]
        if share != 1:
            moments = [share * moment for moment in moments]
        positions = torch.full((), features.shape[2:].numel(), dtype=torch.float64, device=features.device)
        distances = [MEASURES[name].between(features, target.measured[name], weights) for name in self._measured]
        return [*moments, positions, *distances]

    def _distances(self, sums: Sequence[Tensor], target: StyleTarget) -> list[Tensor]:
        """One per statistic."""
        mean, second, positions, *others = sums
        summary = Summary(mean, second)
        if self.normalization in GRAM_FACTORS:
            here, there = GRAM_FACTORS[self.normalization](Counts(mean.shape[1], positions, target.positions))
            return [DISTANCES["gram"].between(_scaled(summary, here), _scaled(target.summary, there))]
        measured = dict(zip(self._measured, others, strict=True))
        return [
            measured[name] if name in measured else DISTANCES[name].between(summary, target.summary)
            for name in names_of(self.statistics)
        ]


def _scaled(summary: Summary, factor: float | Tensor) -> Summary:
    return replace(summary, second=summary.second * factor)
