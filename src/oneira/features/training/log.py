"""The course of a training as a table: one row per report, in a .csv file."""

from pathlib import Path
from types import TracebackType
from typing import Self

from oneira.features.training.step import TrainingStep
from oneira.features.training.table import CourseTable, Row

COLUMNS = (
    "epoch",
    "step",
    "side",
    "rate",
    "loss",
    "accuracy",
    "top1",
    "top5",
    "averaged_top1",
    "averaged_top5",
)


class TrainingLog:
    """Writes a row for every step that reports something.

    `loss` and `accuracy` are on the training data; top-1 and top-5 on the validation data, for the weights as they are
    and for their average, are in the last row of an epoch. `seconds` of training go on where they stopped.
    """

    def __init__(self, path: Path, *, step: int = 0, epochs_done: int = 0) -> None:
        """Go on with the table at `path` after `step` steps and `epochs_done` validations: later rows are dropped."""
        self._table = CourseTable(path, COLUMNS, lambda row: step > 0 and _is_before(row, step, epochs_done))

    def write(self, step: TrainingStep) -> None:
        """Add a row, if the step reports anything, and hand it to the system at once."""
        if step.loss is None and step.validation is None:
            return
        plain, averaged = step.validation, step.averaged
        self._table.write(
            {
                "epoch": step.epoch,
                "step": step.step,
                "side": step.side,
                "rate": f"{step.rate:.6f}",
                "loss": "" if step.loss is None else f"{step.loss:.5f}",
                "accuracy": "" if step.accuracy is None else f"{step.accuracy:.5f}",
                "top1": "" if plain is None else f"{plain.top1:.5f}",
                "top5": "" if plain is None else f"{plain.top5:.5f}",
                "averaged_top1": "" if averaged is None else f"{averaged.top1:.5f}",
                "averaged_top5": "" if averaged is None else f"{averaged.top5:.5f}",
            }
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._table.__exit__(kind, error, trace)


def _is_before(row: Row, step: int, epochs_done: int) -> bool:
    """Whether a row was written up to a place in the training; ValueError where it is none of these rows."""
    return int(row["step"]) <= step and not (bool(row["top1"]) and int(row["epoch"]) > epochs_done)
