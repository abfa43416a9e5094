"""What is compared: statistics of the samples, what the layout shows, and smoothness; with the network that sees it."""

from collections.abc import Mapping, Sequence
from types import MappingProxyType

from pydantic import Field
from torch import Tensor

from oneira.errors import PlanError
from oneira.objectives import Masked, Shades, Style, Sum, Term, TotalVariation
from oneira.objectives.statistics import Statistics
from oneira.objectives.style import StyleNormalization
from oneira.techniques.layers import STRUCTURE_LAYERS, layers_for, meant, texture_layers
from oneira.techniques.network import Network
from oneira.techniques.texturing.samples import Layouts, Sample, toned

# What each of the methods that compare statistics compares.
STATISTICS: Mapping[str, tuple[Statistics, ...]] = MappingProxyType(
    {"gram": ("gram",), "moments": ("moments",), "wasserstein": ("wasserstein",), "autocorrelation": ("gram",)}
)


class Comparing(Layouts, Network):
    """Options that say what makes two textures alike, and the objective that they make."""

    layer: tuple[str, ...] = Field(
        (), description="where statistics are compared; may be repeated; `all`: in every layer (default: by model)"
    )
    layer_weight: tuple[float, ...] = Field(
        (), description="one number per layer (default: by model; of layers that are named: all alike)"
    )
    normalization: StyleNormalization = Field(
        "relative", description="of losses; relative means the same in every layer of every network"
    )
    structure_layer: tuple[str, ...] = Field(
        (), description="with autocorrelation: where channels are compared with themselves, shifted (default: by model)"
    )
    structure: float = Field(0.1, gt=0, description="with autocorrelation: how much it counts, beside the Gram's 1")
    like_weight: float = Field(0.3, gt=0, description="with --like and one sample: how firmly it is followed")
    like_detail: int = Field(
        48, ge=2, le=1024, description="with --like and one sample: how many cells of its long side are followed"
    )
    smoothness: float = Field(0.0, ge=0, description="weight of total variation: larger is smoother")

    def layers(self) -> tuple[str, ...]:
        """Where statistics are compared."""
        return tuple(map(self.address, meant(self.layer or texture_layers(self.model)[0], self.model)))

    def structure_layers(self) -> tuple[str, ...]:
        """Where channels are compared with themselves, by autocorrelation."""
        return tuple(map(self.address, self.structure_layer or layers_for(self.model, STRUCTURE_LAYERS)))

    def objective(
        self,
        method: str,
        samples: Sequence[Sample],
        layout: Tensor | None,
        size: tuple[int, int],
        layers: Sequence[str] | None = None,
        *,
        wraps: bool = False,
    ) -> Term:
        """All that is compared, as a sum, for a texture of `size`; in `layers` alone, where they are told."""
        parts: list[tuple[float, Term]] = []
        if layout is None or (len(samples) == 1 and self.labels is None):
            parts += self._alike(method, samples, self.shares(), size, layers, wraps)
            if layout is not None:
                parts.append((self.like_weight, Shades(toned(layout, samples[0]), self.like_detail)))
        else:
            for part, place in self.regions(samples, layout):
                # A term's weight does not depend on its region's area; for all to be as firm, it has to.
                area = float(place.mean())
                parts += [
                    (area * weight, Masked(place, term))
                    for weight, term in self._alike(method, [part], (1.0,), size, layers, wraps)
                ]
        if self.smoothness:
            parts.append((self.smoothness, TotalVariation(wraps=wraps)))
        return Sum(tuple(parts))

    def _alike(
        self,
        method: str,
        samples: Sequence[Sample],
        shares: Sequence[float],
        size: tuple[int, int],
        layers: Sequence[str] | None,
        wraps: bool,
    ) -> list[tuple[float, Term]]:
        works = [sample.artwork(size, wraps=wraps) for sample in samples]
        if self.normalization in ("gatys", "sums") and any(work.covers != 1 for work in works):
            raise PlanError(
                f"--normalization {self.normalization} compares sums over as many pixels in samples as in the result, "
                f"which is {size[1]}x{size[0]} and they are not: take average"
            )
        weights = self.layer_weight or (None if self.layer else texture_layers(self.model)[1])
        alike = Style(
            works,
            layers or self.layers(),
            STATISTICS[method],
            self.normalization,
            # Of a few of the layers, each counts as much.
            weights if layers is None else None,
            shares=shares,
        )
        if method != "autocorrelation":
            return [(1.0, alike)]
        structure = Style(works, self.structure_layers(), "autocorrelation", "relative", shares=shares)
        return [(1.0, alike), (self.structure, structure)]
