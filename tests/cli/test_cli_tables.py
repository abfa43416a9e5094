"""Losses as a table: which rows and columns it has, and what happens where it cannot be written."""

import csv
import math
import os
import signal

import pytest

from oneira import register_backbone
from oneira.cli.tables import require_table, write_table
from oneira.errors import ImageError, OneiraError, PlanError


def rows_of(path):
    """(the columns, the rows)."""
    with path.open(newline="") as file:
        table = csv.DictReader(file)
        rows = list(table)
    return table.fieldnames, rows


class TestWriting:
    def test_a_row_for_every_stage_a_column_for_every_term(self, folder):
        write_table(
            folder / "a.csv", {"one": {"style": 0.5, "tv": 1 / 3}, "two, or three": {"style": 1e-12, "shades": 2}}
        )
        columns, rows = rows_of(folder / "a.csv")
        assert columns == ["stage", "style", "tv", "shades"]
        assert rows == [
            {"stage": "one", "style": "0.5", "tv": "0.333333", "shades": ""},
            {"stage": "two, or three", "style": "1e-12", "tv": "", "shades": "2"},
        ]
        assert (folder / "a.csv").read_bytes().startswith(b"stage,style,tv,shades\none,0.5,0.333333,\n")

    def test_what_was_there_is_replaced_as_a_whole(self, folder):
        (folder / "a.csv").write_text("before\n" * 99)
        write_table(folder / "a.csv", {"one": {}})
        assert (folder / "a.csv").read_text() == "stage\none\n"
        assert [path.name for path in folder.iterdir()] == ["a.csv"]

    def test_names_of_any_script(self, folder):
        write_table(folder / "a.csv", {"Frühling": {"tv": 1}})
        assert (folder / "a.csv").read_text(encoding="utf-8") == "stage,tv\nFrühling,1\n"

    def test_a_disk_that_is_full(self, folder, monkeypatch):
        def refuse(*_):
            raise OSError(28, "No space left on device")

        monkeypatch.setattr("oneira.cli.tables.write_whole", refuse)
        with pytest.raises(OneiraError, match=r"^cannot write the table 'a\.csv': No space left on device$"):
            write_table((folder / "a.csv").relative_to(folder), {"one": {}})

    @pytest.mark.parametrize("name", ["losses", "losses.txt", "csv", "losses.csv.png"])
    def test_a_name_that_is_no_tables(self, name, folder):
        with pytest.raises(PlanError, match=f"^--csv writes a table, '.*{name}' is named otherwise: end it in .csv$"):
            require_table(folder / name)

    def test_places_where_nothing_can_be_written(self, folder):
        (folder / "taken.csv").mkdir()
        (folder / "file").touch()
        for name in ("nowhere/a.csv", "taken.csv", "file/a.csv"):
            with pytest.raises(ImageError, match=r"^cannot write '.*': its folder is not there, or may not be written"):
                require_table(folder / name)
        for name in ("a.csv", "A.CSV"):
            require_table(folder / name)


class TestCommand:
    def test_a_run_without_stages_has_one_row(self, oneira, dream, folder):
        assert oneira(*dream, "--csv", "losses.csv").status == 0
        columns, rows = rows_of(folder / "losses.csv")
        assert columns == ["stage", "dream"]
        (row,) = rows
        assert row["stage"] == "dream"
        assert math.isfinite(float(row["dream"]))

    def test_without_the_option_there_is_none(self, oneira, dream, folder):
        assert oneira(*dream).status == 0
        assert not list(folder.glob("*.csv"))

    @pytest.mark.parametrize(("name", "status"), [("losses.txt", 2), ("nowhere/losses.csv", 1)])
    def test_where_it_cannot_go_is_told_before_anything_is_computed(self, name, status, oneira, dream, folder):
        register_backbone("never", lambda *_: 1 / 0)
        words = [word if word != "tiny:relu2" else "never:loaded" for word in dream]
        ended = oneira(*words, "--csv", name, "-o", "out.png")
        assert ended.status == status
        assert len(ended.lines) == 1
        assert name in ended.lines[0]
        assert not (folder / "out.png").exists()

    def test_of_a_run_that_was_stopped_there_is_none_until_it_has_ended(self, oneira, happening, folder):
        def interrupt(features):
            os.kill(os.getpid(), signal.SIGINT)
            return features

        assert oneira(*happening(interrupt, 3), "-o", "a.png", "--csv", "a.csv").status == 130
        assert not (folder / "a.csv").exists()
        assert oneira(*happening(None), "-o", "a.png", "--csv", "a.csv", "--resume").status == 0
        assert oneira(*happening(None), "-o", "b.png", "--csv", "b.csv").status == 0
        assert (folder / "a.csv").read_bytes() == (folder / "b.csv").read_bytes()

    def test_a_full_disk_for_it_leaves_the_picture_and_what_is_needed_to_go_on(
        self, oneira, dream, folder, monkeypatch
    ):
        def refuse(*_):
            raise OSError(28, "No space left on device")

        monkeypatch.setattr("oneira.cli.tables.write_whole", refuse)
        ended = oneira(*dream, "-o", "out.png", "--csv", "losses.csv")
        assert ended.status == 1
        assert ended.lines == ["oneira: cannot write the table 'losses.csv': No space left on device"]
        assert (folder / "out.png").exists()

    def test_a_rerun_writes_one_too(self, oneira, dream, folder):
        assert oneira(*dream, "-o", "a.png", "--csv", "a.csv").status == 0
        assert oneira("rerun", "a.png", "--csv", "b.csv").status == 0
        assert (folder / "a.csv").read_bytes() == (folder / "b.csv").read_bytes()
