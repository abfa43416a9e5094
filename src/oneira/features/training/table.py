"""The course of something that runs for hours as a table: rows that are added to a .csv file, one by one."""

import csv
import io
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from oneira.errors import DataError
from oneira.files import write_whole

SECONDS = "seconds"
Row = Mapping[str, str]


class CourseTable:
    """Rows of `columns`, and a last one, `seconds` of running, which go on where they stopped."""

    def __init__(self, path: Path, columns: Sequence[str], kept: Callable[[Row], bool]) -> None:
        """Go on with the table at `path`: rows that are whole and `kept` stay, others are dropped.

        What was written after the checkpoint that a run goes on from comes again. `kept` may raise ValueError for what
        is no row of its own. Raises DataError where the file cannot be written.
        """
        self._columns = (*columns, SECONDS)
        rows = [row for row in self._rows(path) if _whole(row, kept)]
        self._before = float(rows[-1][SECONDS]) if rows else 0.0
        self._started = time.monotonic()
        try:
            write_whole(path, lambda file: file.write(self._text(rows).encode()))
            self._file = path.open("a", encoding="utf-8", newline="")
        except OSError as error:
            raise DataError(f"cannot write {path} ({error.strerror})") from error
        self._writer = csv.DictWriter(self._file, self._columns)

    def write(self, row: Mapping[str, object]) -> None:
        """Add a row, and hand it to the system at once."""
        self._writer.writerow({**row, SECONDS: f"{self._before + time.monotonic() - self._started:.1f}"})
        self._file.flush()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()

    def _rows(self, path: Path) -> list[dict[str, str]]:
        try:
            with path.open(encoding="utf-8", newline="") as file:
                return [row for row in csv.DictReader(file) if tuple(row) == self._columns]
        except (OSError, UnicodeDecodeError, csv.Error):
            return []

    def _text(self, rows: Sequence[Row]) -> str:
        text = io.StringIO()
        writer = csv.DictWriter(text, self._columns)
        writer.writeheader()
        writer.writerows(rows)
        return text.getvalue()


def _whole(row: Row, kept: Callable[[Row], bool]) -> bool:
    try:
        return float(row[SECONDS]) >= 0 and kept(row)
    except (TypeError, ValueError):
        return False  # a row that was cut short
