"""How trainings went: curves of the tables that they leave, in one picture."""

import csv
import io
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import torch
from pydantic import Field
from torch import Tensor

from oneira.errors import DataError, PlanError, nearest
from oneira.figures.chart import COLOURS, Line, chart
from oneira.figures.figure import Course, Drawn, Equipment, Figure, Progress

STEP = "step"
TALL = 0.62  # of the width


@dataclass(frozen=True, eq=False)
class Curve:
    """What a column of a table says, `values` (n,) at `steps` (n,)."""

    steps: Tensor
    values: Tensor

    @classmethod
    def of(cls, path: Path, column: str) -> "Curve":
        """Out of the log.csv of a training; rows that say nothing in this column are left out.

        Raises DataError, in one line, where the file cannot be read or is no such table; PlanError, naming the nearest,
        where it has no such column.
        """
        rows = _rows(path)
        if not rows or STEP not in rows[0]:
            raise DataError(f"{path} is no log of a training: name a log.csv, with a column {STEP!r} and rows")
        if column not in rows[0]:
            columns = [name for name in rows[0] if name is not None]
            raise PlanError(f"{path} has no column {column!r}{nearest(column, columns)}: {', '.join(columns)}")
        try:
            told = [(float(row[STEP]), float(row[column])) for row in rows if row[column]]
        except (TypeError, ValueError) as error:
            raise DataError(f"{path} holds what is no number in column {STEP!r} or {column!r}") from error
        told = [(step, value) for step, value in told if math.isfinite(step) and math.isfinite(value)]
        if not told:
            raise PlanError(f"{path} has no numbers in column {column!r}")
        steps, values = zip(*sorted(told), strict=True)
        return cls(torch.tensor(steps, dtype=torch.float64), torch.tensor(values, dtype=torch.float64))

    def smoothed(self, rows: int) -> "Curve":
        """Running means over as many rows, around each; near the ends, over those that there are."""
        sums = torch.cat([self.values.new_zeros(1), self.values.cumsum(0)])
        places = torch.arange(len(self.values))
        begins = (places - (rows - 1) // 2).clamp(min=0)
        ends = (places + rows // 2 + 1).clamp(max=len(places))
        return Curve(self.steps, (sums[ends] - sums[begins]) / (ends - begins))


class Curves(Figure):
    """Trainings side by side: what their log.csv tell, step by step, such as losses with different normalisations."""

    positional: ClassVar[tuple[str, ...]] = ("log",)
    rows: ClassVar[str] = "training"

    log: tuple[Path, ...] = Field(
        min_length=1,
        max_length=len(COLOURS),
        description="the log.csv of a training (oneira train), called by its folder; several are compared",
    )
    size: int = Field(800, ge=320, le=4096, description="width of the figure, in pixels")
    column: str = Field("loss", description="what is shown, by its name in the first line of the tables")
    smooth: int = Field(
        1, ge=1, le=1_000_000, description="rows of which each point is the mean; the rows themselves stay, pale"
    )
    linear: bool = Field(False, description="the vertical axis is not logarithmic, and may go through 0")

    def draw(self, equipment: Equipment) -> Course:
        """A line for each table."""
        equipment.require_used(())
        curves = [Curve.of(path, self.column) for path in self.log]
        yield Progress("reading", len(curves), len(curves))
        labels = labels_of(self.log)
        if not self.linear:
            for path, curve in zip(self.log, curves, strict=True):
                if not float(curve.values.min()) > 0:
                    raise PlanError(f"{path} has values in {self.column!r} that have no logarithm: give --linear")
        lines: list[Line] = []
        numbers: dict[str, dict[str, float]] = {}
        for curve, label, colour in zip(curves, labels, COLOURS, strict=False):
            smooth = curve.smoothed(self.smooth)
            if self.smooth > 1:
                lines.append(Line(curve.steps, curve.values, colour, faint=True))
            last = float(smooth.values[-1])
            lines.append(Line(smooth.steps, smooth.values, colour, f"{label}: {last:.4g} in the end"))
            numbers[label] = {
                "steps": float(curve.steps[-1]),
                "first": float(curve.values[0]),
                "lowest": float(smooth.values.min()),
                "highest": float(smooth.values.max()),
                "last": last,
            }
        means = "" if self.smooth == 1 else f", means of {self.smooth} rows"
        size = (round(TALL * self.size), self.size)
        image = chart(lines, title=f"{self.column}{means}", below="steps", size=size, logarithmic=not self.linear)
        return Drawn(image, numbers)


def labels_of(paths: Sequence[Path]) -> list[str]:
    """What to call tables: by their folders; by their paths, where two folders have one name."""
    names = [path.absolute().parent.name for path in paths]
    return [str(path) if names.count(name) > 1 else name for path, name in zip(paths, names, strict=True)]


def _rows(path: Path) -> list[dict[str, str]]:
    try:
        return list(csv.DictReader(io.StringIO(path.read_text(encoding="utf-8"), newline="")))
    except OSError as error:
        raise DataError(f"cannot read {path} ({error.strerror})") from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{path} is no table") from error
