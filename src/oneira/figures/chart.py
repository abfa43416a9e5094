"""Lines in a coordinate system: what a figure draws of numbers that take a course."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from oneira.figures.paper import LINE, Colour, Paper

BESIDE, BELOW, ABOVE = 64, 2 * LINE + 4, 6  # pixels for numbers at the axis, for those below and their name, and above
BORDER = 12  # pixels of white around everything
RIGHT = 24  # pixels behind the last number
SWATCH = 22  # pixels of a line in the legend
DASH, GAP = 6, 4
MARGIN = 0.04  # of the range, that lines stay away from the frame
GRID, FRAME = (0.90, 0.90, 0.90), (0.45, 0.45, 0.45)
MOST_TICKS = 8
# Okabe and Ito's, which people of all kinds of colour vision tell apart, and three more; yellow is too pale for lines.
COLOURS: tuple[Colour, ...] = (
    (0.00, 0.45, 0.70),
    (0.84, 0.37, 0.00),
    (0.00, 0.62, 0.45),
    (0.80, 0.47, 0.65),
    (0.90, 0.62, 0.00),
    (0.34, 0.71, 0.91),
    (0.00, 0.00, 0.00),
    (0.50, 0.25, 0.10),
    (0.55, 0.55, 0.55),
    (0.35, 0.20, 0.60),
)


@dataclass(frozen=True, eq=False)
class Line:
    """A line through `y` at `x` (both (n,), `x` rising), and what the legend says of it; without `label`, nothing.

    `level`: another value, dashed from side to side in the same colour. `faint`: for what is only hinted at.
    """

    x: Tensor
    y: Tensor
    colour: Colour
    label: str = ""
    level: float | None = None
    faint: bool = False


@dataclass(frozen=True)
class Axis:
    """From `low` to `high` along `pixels`; `logarithmic` ones have values above 0."""

    low: float
    high: float
    pixels: int
    logarithmic: bool = False

    @classmethod
    def around(cls, values: Tensor, pixels: int, *, logarithmic: bool = False, margin: float = 0.0) -> "Axis":
        """One that holds `values`, and `margin` of their range beyond."""
        low, high = float(values.min()), float(values.max())
        if logarithmic:
            wider = max((high / low) ** margin, 1.01)
            return cls(low / wider, high * wider, pixels, True)
        wider = max((high - low) * margin, 0.0 if high > low else max(abs(high), 1.0) / 2)
        return cls(low - wider, high + wider, pixels)

    def place(self, values: Tensor) -> Tensor:
        """Where values are, in pixels from the low end."""
        low, high = self._scaled(self.low), self._scaled(self.high)
        scaled = values.double().log10() if self.logarithmic else values.double()
        return (scaled - low) / (high - low) * self.pixels

    def ticks(self) -> list[float]:
        """Round numbers on it: 2 to 8 or so."""
        if self.logarithmic:
            decades = range(math.floor(math.log10(self.low)), math.ceil(math.log10(self.high)) + 1)
            for factors in ((1,), (1, 2, 5), tuple(range(1, 10))):
                found = [f * 10.0**d for d in decades for f in factors if self.low <= f * 10.0**d <= self.high]
                if 3 <= len(found) <= MOST_TICKS:
                    return found
            if len(found) > MOST_TICKS:  # many decades
                whole = [10.0**d for d in decades if self.low <= 10.0**d <= self.high]
                return whole[:: -(-len(whole) // MOST_TICKS)]
        return list(self._even())

    def _even(self) -> Iterator[float]:
        rough = (self.high - self.low) / (MOST_TICKS - 2)
        power = 10.0 ** math.floor(math.log10(rough))
        step = next(factor * power for factor in (1, 2, 5, 10) if factor * power >= rough)
        for number in range(math.ceil(self.low / step), math.floor(self.high / step) + 1):
            yield number * step

    def _scaled(self, value: float) -> float:
        return math.log10(value) if self.logarithmic else value


def chart(lines: Sequence[Line], *, title: str, below: str, size: tuple[int, int], logarithmic: bool) -> Tensor:
    """Lines on a white ground, (1, 3, h, w) of `size` (height, width), under a title and a legend.

    `below`: what the horizontal axis is. `logarithmic`: the vertical axis, on which all values are above 0.
    """
    height, width = (side - 2 * BORDER for side in size)
    labelled = [line for line in lines if line.label]
    top = (1 + len(labelled)) * LINE + ABOVE + LINE // 2
    across = Axis.around(torch.cat([line.x for line in lines]), width - BESIDE - RIGHT)
    values = torch.cat([*(line.y for line in lines), torch.tensor([ln.level for ln in lines if ln.level is not None])])
    up = Axis.around(values, height - top - BELOW, logarithmic=logarithmic, margin=MARGIN)
    paper = Paper(height, width)
    paper.write(title, 0, 0)
    for number, line in enumerate(labelled, 1):
        middle = number * LINE + LINE // 2
        paper.fill(middle - 1, 0, middle + 1, SWATCH, line.colour)
        paper.write(line.label, number * LINE, SWATCH + 8)
    _frame(paper, across, up, top)
    paper.write(below, height - LINE, BESIDE + across.pixels // 2, aligned=0.5)
    base = top + up.pixels
    for line in sorted(lines, key=lambda each: not each.faint):
        points = torch.stack([base - up.place(line.y), BESIDE + across.place(line.x)], 1)
        trace(paper.picture, points, line.colour, strength=0.25 if line.faint else 1.0)
        if line.level is not None:
            row = base - round(float(up.place(torch.tensor(line.level))))
            for left in range(BESIDE, BESIDE + across.pixels, DASH + GAP):
                paper.fill(row, left, row + 2, min(left + DASH, BESIDE + across.pixels), line.colour)
    return F.pad(paper.picture, (BORDER,) * 4, value=1.0)


def _frame(paper: Paper, across: Axis, up: Axis, top: int) -> None:
    """Axes, and a grid with its numbers."""
    base, right = top + up.pixels, BESIDE + across.pixels
    for value in up.ticks():
        row = base - round(float(up.place(torch.tensor(value))))
        paper.fill(row, BESIDE, row + 1, right, GRID)
        paper.write(_number(value), row - LINE // 2, BESIDE - 6, aligned=1.0)
    for value in across.ticks():
        column = BESIDE + round(float(across.place(torch.tensor(value))))
        paper.fill(top, column, base, column + 1, GRID)
        paper.write(_number(value), base + 4, column, aligned=0.5)
    paper.fill(base, BESIDE, base + 1, right + 1, FRAME)
    paper.fill(top, BESIDE, base, BESIDE + 1, FRAME)


def trace(picture: Tensor, points: Tensor, colour: Colour, *, width: float = 1.8, strength: float = 1.0) -> None:
    """Draw a line of `width` pixels through `points` (n, 2), each (y, x) in pixels, into `picture` (1, 3, h, w).

    Every pixel takes as much of the colour as the line covers of it, by the distance of its middle; the same point
    twice, or a single one, is a dot.
    """
    height, width_of = picture.shape[2:]
    covered = torch.zeros(height, width_of)
    ends = points if len(points) > 1 else points.repeat(2, 1)
    reach = width / 2 + 1
    for (y0, x0), (y1, x1) in zip(ends[:-1].tolist(), ends[1:].tolist(), strict=True):
        top, bottom = max(0, math.floor(min(y0, y1) - reach)), min(height, math.ceil(max(y0, y1) + reach))
        left, right = max(0, math.floor(min(x0, x1) - reach)), min(width_of, math.ceil(max(x0, x1) + reach))
        if top >= bottom or left >= right:
            continue
        down = torch.arange(top, bottom)[:, None] + 0.5 - y0
        along = torch.arange(left, right) + 0.5 - x0
        dy, dx = y1 - y0, x1 - x0
        share = ((down * dy + along * dx) / max(dy * dy + dx * dx, 1e-12)).clamp(0, 1)
        distance = torch.hypot(down - share * dy, along - share * dx)
        room = covered[top:bottom, left:right]
        torch.maximum(room, (width / 2 + 0.5 - distance).clamp(0, 1), out=room)
    picture += strength * covered * (torch.tensor(colour)[:, None, None] - picture)


def _number(value: float) -> str:
    return f"{value:,.6g}"
