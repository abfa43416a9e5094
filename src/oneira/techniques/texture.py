"""Texture synthesis: more of a pattern, from statistics of a network's layers, or from pieces of the sample."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType
from typing import ClassVar, Self

from pydantic import Field, model_validator
from torch import Tensor

from oneira.errors import PlanError
from oneira.features.address import split_address
from oneira.features.description import stride_of
from oneira.features.variant import Variant
from oneira.images import Cell, sheet
from oneira.patches import Weave
from oneira.synthesis.carrying import Anew
from oneira.synthesis.plan import Plan
from oneira.synthesis.run import Run
from oneira.synthesis.schedules import Schedule, journey
from oneira.techniques.presets import Preset
from oneira.techniques.refusals import option_name
from oneira.techniques.texturing.making import Making
from oneira.techniques.texturing.pieces import Pieces
from oneira.techniques.texturing.presets import PRESETS
from oneira.techniques.texturing.samples import STATISTICAL, Sample, Samples

# The methods to which an option belongs, where that is not all of them.
OWNERS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        **dict.fromkeys(("model", "blend", "labels"), STATISTICAL),
        **dict.fromkeys([name for name in Making.model_fields if name not in Samples.model_fields], STATISTICAL),
        "structure": ("autocorrelation",),
        "structure_layer": ("autocorrelation",),
        "like": (*STATISTICAL, "quilting"),
        "window": ("efros-leung", "wei-levoy"),
        "tolerance": ("efros-leung", "quilting"),
        "largest_error": ("efros-leung",),
        "levels": ("wei-levoy",),
        "search": ("wei-levoy",),
        "block": ("quilting",),
        "overlap": ("quilting",),
        "passes": ("quilting",),
        "alpha": ("quilting",),
        "seamless": (*STATISTICAL, "wei-levoy"),
        "sheet": ("gram", "moments", "wasserstein"),
    }
)

FOLLOWING = ("like_weight", "like_detail")


class Texture(Pieces, Making):  # pydantic lists the fields of the last one first
    """Make more of a texture: statistics that match in every layer, or pieces that fit together."""

    presets: ClassVar[Mapping[str, Preset]] = PRESETS
    positional: ClassVar[tuple[str, ...]] = ("sample",)
    also_called: ClassVar[Mapping[str, str]] = MappingProxyType({"layer": "--layers"})

    seamless: bool = Field(False, description="the result can be laid side by side with itself, without a seam")
    sheet: bool = Field(
        False, description="a figure in place of one picture: each layer alone, and all up to each together"
    )

    @model_validator(mode="after")
    def _belong_together(self) -> Self:
        for name, owners in OWNERS.items():
            # A recipe names every option: one that is at its default was not told.
            told = getattr(self, name) != type(self).model_fields[name].default
            if told and self.method not in owners:
                raise ValueError(f"{option_name(name)} belongs to --method {' or '.join(owners)}, not to {self.method}")
        if self.method not in STATISTICAL and len(self.sample) > 1:
            raise ValueError(f"{self.method} copies from one sample, not {len(self.sample)}: take gram to mix them")
        if self.like is not None:
            self._go_with_a_layout()
        elif any(getattr(self, name) != type(self).model_fields[name].default for name in FOLLOWING):
            raise ValueError(
                f"{' and '.join(map(option_name, FOLLOWING))} say how a layout is followed: name one, --like"
            )
        return self

    def _go_with_a_layout(self) -> None:
        """ValueError for options that mean all of the picture, where every place has a part of its own."""
        if self.sheet:
            raise ValueError("--sheet shows what layers hold of samples, everywhere alike: leave --like out")
        if self.match_histogram:
            raise ValueError("--match-histogram gives the whole the sample's colours, --like places them: choose one")
        if self.blend:
            raise ValueError("--blend mixes samples everywhere alike, --like gives each its places: choose one")

    def plan(self) -> Plan | Weave:
        """Statistics on a canvas that grows, or what is copied."""
        size = self.result_size()
        samples, layout = self.samples(), self.layout(size)
        if self.method not in STATISTICAL:
            return self._weave(samples[0], size, layout)
        ground = None if layout is None else self.ground(samples, layout)
        return Plan(
            self.beginning(size, ground, self._period(size)),
            self.objective(self.method, samples, layout, size, wraps=self.seamless),
            self._schedule(samples, size),
            optimiser=self.descent(),
            variant=self.variant(),
            collects=self.sheet,
        )

    def finished(self, run: Run) -> Tensor:
        """The picture with the colours that are asked for, or the figure."""
        samples = self.samples()
        if not self.sheet:
            return self.coloured(run.image, samples)
        done = {stage: self.coloured(outcome.image, samples) for stage, outcome in run.outcomes.items()}
        names = [self._names(subset) for subset in zip(self.layers(), strict=True)]
        alone = [Cell(samples[0].image), *(Cell(done.get(name)) for name in names)]
        together = [Cell(None), alone[1], *(Cell(done.get(f"up to {name}")) for name in names[1:])]
        return sheet(
            [alone, together], row_labels=["each layer alone", "all up to it"], column_labels=["sample", *names]
        )

    def transparency(self, image: Tensor) -> None:
        """None: a sample's is no part of the texture."""

    def variant(self) -> Variant:
        """As told; a seamless texture is seen around a torus."""
        told = super().variant()
        return replace(told, padding="circular") if self.seamless else told

    def _weave(self, sample: Sample, size: tuple[int, int], layout: Tensor | None) -> Weave:
        if self.method == "quilting":
            return self.quilting(sample, size, layout)
        return self.efros_leung(sample, size) if self.method == "efros-leung" else self.wei_levoy(sample, size)

    def _schedule(self, samples: Sequence[Sample], size: tuple[int, int]) -> Schedule:
        sizes = self.sizes(max(size))
        if not self.sheet:
            return sizes
        return journey(
            sizes.leg(
                self._names(subset),
                begins=Anew() if number else None,
                objective=self.objective(self.method, samples, None, size, subset, wraps=self.seamless),
            )
            for number, subset in enumerate(self._subsets())
        )

    def _subsets(self) -> Iterator[tuple[str, ...]]:
        """Each layer alone, and all up to each but the first, which is alone."""
        layers = self.layers()
        yield from zip(layers, strict=True)
        yield from (layers[:count] for count in range(2, len(layers) + 1))

    def _names(self, subset: Sequence[str]) -> str:
        backbone, layer = split_address(subset[-1])
        last = layer if backbone == self.model else subset[-1]  # two networks may have layers of one name
        return last if len(subset) == 1 else f"up to {last}"

    def _period(self, size: tuple[int, int]) -> int | None:
        """What a seamless texture's sides are multiples of, so that strides divide them; None where it has borders."""
        if not self.seamless:
            return None
        seen = self.layers() + (self.structure_layers() if self.method == "autocorrelation" else ())
        stride = math.lcm(*map(stride_of, seen))
        if any(side % stride for side in size):
            fitting = "x".join(str(max(1, round(side / stride)) * stride) for side in reversed(size))
            raise PlanError(
                f"a seamless texture's sides are multiples of {stride} with these layers, not {size[1]}x{size[0]}: "
                f"take {fitting}"
            )
        return stride
