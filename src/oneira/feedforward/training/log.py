"""The course of a training as a table: one row per report, in a .csv file."""

from pathlib import Path
from types import TracebackType
from typing import Self

from oneira.features.training.table import CourseTable
from oneira.feedforward.training.losses import TERMS
from oneira.feedforward.training.step import StylizerStep

COLUMNS = ("step", "side", "rate", "loss", *TERMS, "note")


class StylizerLog:
    """Writes a row for every step that reports something: `loss` is weighted, the terms are not."""

    def __init__(self, path: Path, *, step: int) -> None:
        """Go on with the table at `path` after `step` steps: later rows are dropped."""
        self._table = CourseTable(path, COLUMNS, lambda row: int(row["step"]) <= step)

    def write(self, step: StylizerStep) -> None:
        """Add a row, if the step reports anything, and hand it to the system at once."""
        if step.loss is None and not step.note:
            return
        self._table.write(
            {
                "step": step.step,
                "side": step.side,
                "rate": f"{step.rate:.8f}",
                "loss": "" if step.loss is None else f"{step.loss:.6g}",
                **{name: f"{step.by_term[name]:.6g}" if name in step.by_term else "" for name in TERMS},
                "note": step.note,
            }
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._table.__exit__(kind, error, trace)
