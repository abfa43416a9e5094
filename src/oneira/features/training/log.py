"""The course of a training as a table: one row per report, in a .csv file."""

import csv
import io
import time
from pathlib import Path
from types import TracebackType
from typing import Self

from oneira.errors import DataError
from oneira.features.training.step import TrainingStep
from oneira.files import write_whole

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
    "seconds",
)


class TrainingLog:
    """Writes a row for every step that reports something.

    `loss` and `accuracy` are on the training data; top-1 and top-5 on the validation data, for the weights as they are
    and for their average, are in the last row of an epoch. `seconds` of training go on where they stopped.
    """

    def __init__(self, path: Path, *, step: int = 0, epochs_done: int = 0) -> None:
        """Go on with the table at `path` after `step` steps and `epochs_done` validations: later rows are dropped."""
        kept = _rows_until(path, step, epochs_done) if step else []
        self._before = float(kept[-1]["seconds"]) if kept else 0.0
        self._started = time.monotonic()
        try:
            write_whole(path, lambda file: file.write(_table(kept).encode()))
            self._file = path.open("a", encoding="utf-8", newline="")
        except OSError as error:
            raise DataError(f"cannot write {path} ({error.strerror})") from error
        self._writer = csv.DictWriter(self._file, COLUMNS)

    def write(self, step: TrainingStep) -> None:
        """Add a row, if the step reports anything, and hand it to the system at once."""
        if step.loss is None and step.validation is None:
            return
        plain, averaged = step.validation, step.averaged
        self._writer.writerow(
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
                "seconds": f"{self._before + time.monotonic() - self._started:.1f}",
            }
        )
        self._file.flush()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()


def _rows_until(path: Path, step: int, epochs_done: int) -> list[dict[str, str]]:
    """The whole rows up to a place in the training; what was written after the checkpoint comes again."""
    try:
        with path.open(encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file))
    except (OSError, UnicodeDecodeError, csv.Error):
        return []
    return [row for row in rows if _is_before(row, step, epochs_done)]


def _is_before(row: dict[str, str], step: int, epochs_done: int) -> bool:
    try:
        validated_later = bool(row["top1"]) and int(row["epoch"]) > epochs_done
        return tuple(row) == COLUMNS and int(row["step"]) <= step and not validated_later and float(row["seconds"]) >= 0
    except (KeyError, TypeError, ValueError):
        return False  # a row that was cut short


def _table(rows: list[dict[str, str]]) -> str:
    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS)
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()
