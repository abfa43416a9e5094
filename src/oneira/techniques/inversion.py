"""Feature inversion: what of a picture is still there in a layer (Mahendran and Vedaldi 2015, Gatys et al. 2016)."""

import math
from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import ClassVar, Self

from pydantic import Field, model_validator
from torch import Tensor

from oneira.features.address import split_address
from oneira.images import Cell, fit, in_rows, resize, sheet
from oneira.synthesis.carrying import Anew
from oneira.synthesis.plan import Plan
from oneira.synthesis.run import Run
from oneira.synthesis.schedules import journey
from oneira.techniques.inverting.making import Making
from oneira.techniques.inverting.presets import PRESETS
from oneira.techniques.presets import Preset


class Inversion(Making):
    """Read a picture back out of what a layer has kept of it."""

    presets: ClassVar[Mapping[str, Preset]] = PRESETS
    positional: ClassVar[tuple[str, ...]] = ("image",)
    also_called: ClassVar[Mapping[str, str]] = MappingProxyType({"layer": "--layers"})

    size: int = Field(256, ge=16, le=16384, description="long side of the result, or of each picture of a sheet")
    sheet: bool = Field(
        False,
        description="a figure in place of one picture: from each layer in turn, with style from all up to each, and "
        "what each differs by",
    )

    @model_validator(mode="after")
    def _rows_that_differ(self) -> Self:
        if len(self.smoothness) > 1 and not self.sheet:
            raise ValueError("several numbers of --smoothness make the rows of a --sheet: give one, or --sheet")
        if self.smoothness and self.prior == "none":
            raise ValueError("--smoothness is part of --prior natural, and --prior is none: leave one of the two out")
        return self

    @classmethod
    def verb(cls) -> str:
        """What is done, as for all verbs."""
        return "invert"

    def plan(self) -> Plan:
        """One picture from all layers together, or one after the other from each."""
        picture = self.picture(self.image).image
        legs = [
            self.stretches(picture, self.size, layers).leg(
                name, begins=Anew() if number else None, objective=self.objective(picture, layers, smoothness)
            )
            for number, (name, layers, smoothness) in enumerate(self._cells())
        ]
        return Plan(
            self.beginning(picture),
            self.objective(picture, self.layers(), next(iter(self.smoothness), None)),
            journey(legs),
            optimiser=self.descent(),
            collects=True,
        )

    def finished(self, run: Run) -> Tensor:
        """The picture, or the figure."""
        if not self.sheet:
            return run.image
        picture = self.picture(self.image).image
        original = Cell(resize(picture, fit(picture.shape[2], picture.shape[3], self.size)), "the picture")
        cells = [self._cell(name, run) for name, _, _ in self._cells()]
        if len(self.smoothness) < 2:
            return sheet(in_rows([original, *cells]))
        # The picture stands before the first row: a figure that was stopped early shows it, if nothing else.
        first, *others = in_rows(cells, len(cells) // len(self.smoothness))
        rows = [[original, *first], *([Cell(None), *row] for row in others)]
        return sheet(rows, row_labels=[f"smoothness {weight:g}" for weight in self.smoothness])

    def transparency(self, image: Tensor) -> Tensor | None:
        """The picture's; a figure has none."""
        return None if self.sheet else super().transparency(image)

    def _cells(self) -> Iterator[tuple[str, tuple[str, ...], float | None]]:
        """A name, the layers, and how smooth (None: by depth), for every picture that is made."""
        weights = self.smoothness or (None,)
        for weight in weights:
            for layers in self._subsets():
                several = " and those before" if len(layers) > 1 else ""
                rest = "" if len(weights) == 1 else f", {weight:g}"
                backbone, layer = split_address(layers[-1])
                last = layer if backbone == self.model else layers[-1]  # two networks may have layers of one name
                yield f"{last}{several}{rest}", layers, weight

    def _subsets(self) -> list[tuple[str, ...]]:
        layers = self.layers()
        if not self.sheet:
            return [layers]
        if self.read == "style":
            return [layers[: count + 1] for count in range(len(layers))]
        return [(layer,) for layer in layers]

    def _cell(self, name: str, run: Run) -> Cell:
        outcome = run.outcomes.get(name)
        if outcome is None:
            return Cell(None, name)
        read, *_ = outcome.losses.values()
        if self.read == "features":
            decibels = -10 * math.log10(max(outcome.losses["pixels"], 1e-12))
            return Cell(outcome.image, f"{name}: error {read:.2g}, {decibels:.1f} dB")
        return Cell(outcome.image, name if self.read == "caricature" else f"{name}: error {read:.2g}")
