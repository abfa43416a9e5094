"""The pictures of stages: which are written where, when a run is stopped and when they cannot be."""

import json
import os

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from interrupting import interrupt
from noise_pictures import noise

from oneira import register_backbone
from oneira.cli.stages import safe
from oneira.files import write_whole
from oneira.images import Picture, load


def stages_in(folder):
    return sorted(path.name for path in (folder / "legs").iterdir())


def test_each_is_the_picture_that_a_run_up_to_there_makes(oneira, tour, folder):
    words = [*tour, "--depth", 16]
    assert oneira(*words, "--legs", "a", "--legs", "b", "--legs", "c", "--stages", "legs", "-o", "all.png").status == 0
    assert stages_in(folder) == ["0001-a.png", "0002-b.png", "0003-c.png"]
    assert torch.equal(load("legs/0003-c.png"), load("all.png"))
    # The tour has a leg without a name after the first one, which a tour of two ends as one of three does.
    assert oneira(*words, "--legs", "a", "--legs", "b", "-o", "two.png").status == 0
    assert torch.equal(load("legs/0002-b.png"), load("two.png"))
    assert not torch.equal(load("legs/0001-a.png"), load("legs/0002-b.png"))
    for name in stages_in(folder):
        assert "holds no recipe" in oneira("recipe", folder / "legs" / name).err


def test_without_the_option_there_is_nothing_but_the_picture(oneira, tour, folder):
    assert oneira(*tour).status == 0
    assert [path.name for path in folder.iterdir()] == ["tour.png"]


def test_format_transparency_and_depth_are_the_pictures_own(oneira, tour, folder):
    noise(folder / "glass.png", channels=4)
    assert oneira(*tour, "glass.png", "--stages", "legs", "-o", "out.webp").status == 0
    assert stages_in(folder) == ["0001-first-leg.webp", "0002-second.webp"]
    for name in stages_in(folder):
        assert torch.equal(Picture.open(folder / "legs" / name).alpha, Picture.open("glass.png").alpha)


def test_the_transparency_is_that_of_the_first_picture_by_place(oneira, tour, folder, picture):
    noise(folder / "glass.png", channels=4)
    assert oneira(*tour, "--mask", "glass.png", "-o", "out.png").status == 0
    assert Picture.open("out.png").alpha is None


def test_a_folder_of_another_run_keeps_what_has_another_name(oneira, tour, folder):
    (folder / "legs").mkdir()
    for name in ("0001-first-leg.png", "0001-other.png", "0003-third.png"):
        (folder / "legs" / name).write_text("before")
    assert oneira(*tour, "--stages", "legs").status == 0
    assert stages_in(folder) == ["0001-first-leg.png", "0001-other.png", "0002-second.png", "0003-third.png"]
    kept = [name for name in stages_in(folder) if (folder / "legs" / name).read_bytes() == b"before"]
    assert kept == ["0001-other.png", "0003-third.png"]


def test_folders_in_between_are_made(oneira, tour, folder):
    assert oneira(*tour, "--stages", "deep/down").status == 0
    assert len(list((folder / "deep" / "down").iterdir())) == 2


def test_a_run_without_stages_says_so(oneira, dream, folder):
    ended = oneira(*dream, "--stages", "legs")
    assert ended.status == 0
    assert "note: this run has no stages: nothing is written into legs" in ended.lines
    assert not (folder / "legs").exists()


def test_json_tells_where_a_stage_ends(oneira, tour):
    steps = [json.loads(line) for line in oneira(*tour, "--json").out.splitlines()]
    assert [step["stage"] for step in steps] == [None, "first leg", None, None, None, "second"]


def test_the_bar_tells_what_is_worked_on(oneira, tour, dream, monkeypatch):
    tasks = []
    monkeypatch.setattr("oneira.cli.display.Display.step", lambda self, task, step: tasks.append(task))
    assert oneira(*tour).status == 0
    assert tasks == ["tour, first leg"] * 2 + ["tour, second"] * 4
    assert oneira(*dream).status == 0
    assert tasks[6:] == ["dream"] * 8


def test_a_rerun_has_stages_too(oneira, tour, folder):
    assert oneira(*tour, "--stages", "legs").status == 0
    before = [(folder / "legs" / name).read_bytes() for name in stages_in(folder)]
    assert oneira("rerun", "tour.png", "--stages", "again").status == 0
    assert [path.read_bytes() for path in sorted((folder / "again").iterdir())] == before


class TestStopping:
    @pytest.mark.parametrize("at", range(1, 7))
    def test_resumed_anywhere_the_stages_are_those_of_a_whole_run(self, at, oneira, tour, happening, folder):
        words = [*tour, "--layer", "eventful:happening"]
        happening(None)
        assert oneira(*words, "--stages", "whole", "-o", "whole.png").status == 0
        happening(interrupt, at)
        words += ["--stages", "legs", "-o", "broken.png"]
        assert oneira(*words).status == 130
        happening(None)
        if at not in (1, 6):  # before the first step there is nothing to save, after the last nothing to do
            assert oneira(*words, "--resume").status == 0
        elif at == 1:
            assert oneira(*words).status == 0
        assert stages_in(folder) == ["0001-first-leg.png", "0002-second.png"]
        for name in stages_in(folder):
            assert (folder / "legs" / name).read_bytes() == (folder / "whole" / name).read_bytes()


class TestFailures:
    def test_a_disk_that_is_full_for_stages_is_noted_once_and_the_run_goes_on(self, oneira, tour, folder, monkeypatch):
        def refuse_stages(path, write):
            if path.parent.name == "legs":
                raise OSError(28, "No space left on device")
            write_whole(path, write)

        monkeypatch.setattr("oneira.images.saving.write_whole", refuse_stages)
        ended = oneira(*tour, "--stages", "legs")
        assert ended.status == 0
        assert ended.lines[0] == (
            "note: cannot write 'legs/0001-first-leg.png': No space left on device; "
            "stages that cannot be written are left out"
        )
        assert len(ended.lines) == 2
        assert stages_in(folder) == []
        assert (folder / "tour.png").exists()

    def test_so_is_a_folder_that_cannot_be_made(self, oneira, tour, folder, happening):
        def take_its_name(features):
            (folder / "legs").touch()
            return features

        happening(take_its_name, 1)
        ended = oneira(*tour, "--layer", "eventful:happening", "--stages", "legs")
        assert ended.status == 0
        assert ended.lines[0].startswith("note: legs: ")
        assert len(ended.lines) == 2

    @pytest.mark.parametrize("stages", ["cat.png", "cat.png/legs", "link"])
    def test_what_is_no_folder_is_told_before_anything_is_computed(self, stages, oneira, tour, picture, folder):
        (folder / "link").symlink_to("nowhere")
        register_backbone("never", torch.nn.Sequential())
        ended = oneira(*tour, "--layer", "never:loaded", "--stages", stages)
        assert ended.status == 1
        assert ended.lines[0].startswith(f"oneira: cannot write into '{stages}': ")
        assert len(ended.lines) == 1
        assert not (folder / "tour.png").exists()

    @pytest.mark.parametrize("name", ["image", "mask", "output"])
    def test_no_stage_is_written_over_what_goes_in_or_comes_out(self, name, oneira, tour, picture, painting, folder):
        (folder / "legs").mkdir()
        taken = folder / "legs" / "0002-second.png"
        words = {
            "image": [taken],
            "mask": [picture, "--mask", taken],
            "output": [picture, "-o", "legs/0002-second.png"],
        }
        if name != "output":
            taken.write_bytes(painting.read_bytes())
        ended = oneira(*tour, *words[name], "--stages", "legs")
        assert ended.status == 2
        assert "a stage would be written over" in ended.lines[0]
        assert taken.exists() == (name != "output")


class TestNames:
    @given(st.text())
    def test_a_name_is_one_of_a_file_in_the_folder(self, name):
        made = safe(name)
        assert not set(made) & set('/\\:*?"<>|\0 \n')
        assert not made.startswith((".", "-"))
        assert len(os.fsencode(made)) <= 200
        assert safe(made) == made or made.endswith(("-", "."))

    @pytest.mark.parametrize(
        ("name", "file"),
        [
            ("leg 2: up/down", "leg-2-up-down"),
            ("../../etc", "etc"),
            ("Frühling", "Frühling"),
            ("\udcff", ""),
            ("x" * 99, "x" * 48),
        ],
    )
    def test_names(self, name, file):
        assert safe(name) == file

    def test_a_stage_whose_name_cannot_be_written_has_its_number(self, oneira, tour, folder):
        assert oneira(*tour, "--legs", "///", "--stages", "legs").status == 0
        assert stages_in(folder) == ["0001.png"]
