"""One network of a comparison: what is measured of it, and the column of the figure that shows it."""

from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from oneira.figures.figure import Numbers
from oneira.figures.paper import LINE, Paper
from oneira.figures.spectra import RINGS, Spectra
from oneira.images import Cell, in_rows, sheet
from oneira.inspection.showing import magnified

WIDTH = 520  # pixels of a column
FILTER_SIDE = 36  # pixels, about, that a filter is enlarged to
CHART = 150  # pixels that the highest bar takes
NAMES = 190  # pixels for the names of layers
COUNTS = 80  # pixels for how many are dead
HELD, BEYOND, PALE = (0.27, 0.45, 0.70), (0.85, 0.37, 0.20), (0.91, 0.91, 0.91)


@dataclass(frozen=True)
class DeadUnits:
    """How many of a layer's `channels` are `dead`."""

    layer: str
    channels: int
    dead: int


@dataclass(frozen=True, eq=False)
class FirstLayer:
    """The `filters` (n, 3, h, w) of the convolution that looks at the picture, and its stride in pixels."""

    name: str
    filters: Tensor
    stride: int

    def __str__(self) -> str:
        count, _, height, width = self.filters.shape
        return f"{self.name}: {count} filters of {height}x{width}, stride {self.stride}"


@dataclass(frozen=True, eq=False)
class Portrait:
    """A network, what it is called, and what was found of it; `seen`: over which pictures."""

    label: str
    first: FirstLayer
    layers: tuple[DeadUnits, ...]
    seen: str

    @cached_property
    def spectra(self) -> Spectra:
        """Of the first layer's filters."""
        return Spectra.of(self.first.filters, self.first.stride)

    @property
    def dead(self) -> DeadUnits:
        """Of all layers together."""
        return DeadUnits("all", sum(each.channels for each in self.layers), sum(each.dead for each in self.layers))

    @property
    def highest(self) -> float:
        """The highest mean power of all rings."""
        held, rest = self.spectra.by_radius()
        return float((held + rest).max())

    def numbers(self) -> Numbers:
        """A row for every layer, for every filter of the first, and for every ring of frequencies."""
        rows: dict[str, dict[str, float]] = {}
        for each in (*self.layers, self.dead):
            told = {"channels": each.channels, "dead": each.dead, "share dead": each.dead / each.channels}
            rows[f"{self.label} {each.layer}"] = told
        for number, (fine, aliased) in enumerate(zip(self.spectra.fine, self.spectra.aliased, strict=True)):
            rows[f"{self.label} filter {number}"] = {"above half of Nyquist": float(fine), "aliased": float(aliased)}
        for ring, (held, rest) in enumerate(zip(*self.spectra.by_radius(), strict=True)):
            told = {"power held by the grid": float(held), "power aliased": float(rest)}
            rows[f"{self.label} {ring / 48:.4f} cycles per pixel"] = told
        return rows

    def parts(self, highest: float) -> tuple[Tensor, ...]:
        """Filters, frequencies and dead units, each (1, 3, h, WIDTH). `highest`: the power at the top of the chart."""
        return self._filters(), self._frequencies(highest), self._deaths()

    def _filters(self) -> Tensor:
        filters = self.first.filters
        factor = max(1, FILTER_SIDE // max(filters.shape[2:]))
        scales = filters.abs().amax((1, 2, 3), keepdim=True).clamp(min=torch.finfo(torch.float32).tiny)
        cells = [Cell(magnified(each[None], factor)) for each in 0.5 + filters / (2 * scales)]
        side = factor * max(filters.shape[2:])
        shown = sheet(in_rows(cells, WIDTH // (side + 7)), cell=side)
        paper = Paper(2 * LINE + shown.shape[2], WIDTH)
        paper.write(str(self.first), 0, 0)
        paper.write("each on a scale of its own, grey is 0", LINE, 0)
        paper.lay(shown, 2 * LINE, 0)
        return paper.picture

    def _frequencies(self, highest: float) -> Tensor:
        """Bars: the mean power by frequency; what the grid of positions cannot hold in another colour."""
        spectra, base = self.spectra, 3 * LINE + 8 + CHART
        paper = Paper(base + LINE + 6, WIDTH)
        paper.write("mean power of the filters by frequency, in cycles per pixel", 0, 0)
        paper.write(f"{float(spectra.fine.mean()):.1%} above 1/4, half of what pixels hold", LINE, 0)
        told = (
            f"{float(spectra.aliased.mean()):.1%} above 1/{2 * spectra.stride}, all that stride {spectra.stride} holds"
        )
        paper.fill(2 * LINE + 3, 0, 3 * LINE - 4, LINE - 7, BEYOND)
        paper.write(told, 2 * LINE, LINE)
        for ring, (held, rest) in enumerate(zip(*spectra.by_radius(), strict=True)):
            left, right = _across(ring), _across(ring + 1) - 1
            low, high = (round(CHART * value / highest) for value in (float(held), float(held + rest)))
            paper.fill(base - low, left, base, right, HELD)
            paper.fill(base - high, left, base - low, right, BEYOND)
        paper.fill(base, 0, base + 1, WIDTH, (0.0, 0.0, 0.0))
        for ring, text in ((0, "0"), (6, "1/8"), (12, "1/4"), (24, "1/2")):
            paper.fill(base, _across(ring), base + 4, _across(ring) + 1, (0.0, 0.0, 0.0))
            paper.write(text, base + 4, _across(ring), aligned=0.5 if ring else 0.0)
        return paper.picture

    def _deaths(self) -> Tensor:
        """A line for every layer: how many of its channels are dead."""
        paper = Paper(LINE * (len(self.layers) + 2) + 4, WIDTH)
        paper.write(f"{self.dead.dead} of {self.dead.channels} channels are dead:", 0, 0)
        paper.write(f"above 0 nowhere in {self.seen}", LINE, 0)
        room = WIDTH - NAMES - COUNTS
        for line, each in enumerate(self.layers, 2):
            top = LINE * line + 4
            end = NAMES + round(room * each.dead / each.channels)
            # One of many is still to be seen.
            end = max(end, NAMES + 2) if each.dead else NAMES
            paper.write(each.layer, top, NAMES - 8, aligned=1.0)
            paper.fill(top + 3, NAMES, top + LINE - 4, NAMES + room, PALE)
            paper.fill(top + 3, NAMES, top + LINE - 4, end, BEYOND)
            paper.write(f"{each.dead} of {each.channels}", top, WIDTH, aligned=1.0)
        return paper.picture


def _across(ring: int) -> int:
    return ring * WIDTH // RINGS
