"""What a run ended with, as a table: a row for every stage that it collects, or one for all of it."""

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


def write_table(path: Path, rows: Mapping[str, Mapping[str, float]]) -> None:
    """Losses by term, by the stage that ended with them; all of the file or nothing. OneiraError where it cannot be."""
    terms = list(dict.fromkeys(term for losses in rows.values() for term in losses))
    text = io.StringIO()
    writer = csv.DictWriter(text, ["stage", *terms], lineterminator="\n")
    writer.writeheader()
    for stage, losses in rows.items():
        writer.writerow({"stage": stage, **{term: f"{loss:.6g}" for term, loss in losses.items()}})
    try:
        write_whole(path, lambda file: file.write(text.getvalue().encode()))
    except OSError as error:
        raise OneiraError(f"cannot write the table {str(path)!r}: {error.strerror or error}") from error
