"""Numbers as a table: what each stage of a run ended with, or what a figure shows."""

import csv
import io
import os
from collections.abc import Mapping
from pathlib import Path

from oneira.errors import ImageError, OneiraError, PlanError
from oneira.files import write_whole


def require_table(path: Path) -> None:
    """See, before anything is computed, that a table can be written there.

    Raises PlanError where the name is no table's, ImageError where it cannot be written.
    """
    if path.suffix.lower() != ".csv":
        raise PlanError(f"--csv writes a table, {str(path)!r} is named otherwise: end it in .csv")
    if path.is_dir() or not os.access(path.parent, os.W_OK | os.X_OK):
        raise ImageError(f"cannot write {str(path)!r}: its folder is not there, or may not be written to")


def write_table(path: Path, rows: Mapping[str, Mapping[str, float]], *, of: str = "stage") -> None:
    """Numbers by column, such as losses by term, by what they are `of`, which the first column tells.

    All of the file or nothing; OneiraError where it cannot be written.
    """
    columns = list(dict.fromkeys(column for numbers in rows.values() for column in numbers))
    text = io.StringIO()
    writer = csv.DictWriter(text, [of, *columns], lineterminator="\n")
    writer.writeheader()
    for name, numbers in rows.items():
        writer.writerow({of: name, **{column: f"{number:.6g}" for column, number in numbers.items()}})
    try:
        write_whole(path, lambda file: file.write(text.getvalue().encode()))
    except OSError as error:
        raise OneiraError(f"cannot write the table {str(path)!r}: {error.strerror or error}") from error
