"""`oneira figure`: listed, drawn, stopped and refused, and every option reaches what it is for."""

import csv
import os
import re
import signal
from pathlib import Path

import pytest
import torch
from noise_pictures import noise

from oneira.cli import figures
from oneira.cli.figures import FigureOptions
from oneira.figures import FIGURES, Compare, Curves, Drawn, Equipment, Evolution, OnePass, Progress, Sanity
from oneira.images import Recipe, load

SMALL = ["figure", "compare", "tiny", "tiny", "--data", "pictures", "--size", "32"]
SANITY = ["figure", "sanity", "--model", "tiny", "--layer", "relu3", "--behind", "relu2", "--size", "32"]


@pytest.fixture(autouse=True)
def pictures(folder):
    (folder / "pictures").mkdir()
    for number in range(3):
        noise(folder / f"pictures/{number}.png", seed=number)
    return folder / "pictures"


def test_the_figures_are_listed_with_a_line_each(oneira):
    ended = oneira("figure")
    assert (ended.status, ended.err) == (0, "")
    lines = ended.out.splitlines()[1:]
    assert [line.split()[0] for line in lines] == list(FIGURES)
    assert all(len(line.split()) > 5 for line in lines)


@pytest.mark.parametrize("name", FIGURES)
def test_every_option_has_a_help_text(name, oneira):
    shown = oneira("figure", name, "--help")
    assert shown.status == 0
    figure = FIGURES[name]
    for field in {*figure.model_fields, *FigureOptions.model_fields} - set(figure.positional):
        assert re.search(rf"--{field.rstrip('_').replace('_', '-')}\b.* \w", shown.out), field
    for word in figure.positional:
        assert word.upper() in shown.out.splitlines()[0]


def test_it_writes_a_picture_and_a_table(oneira, folder):
    ended = oneira(*SMALL, "-o", "both.webp", "--csv", "both.csv")
    assert ended.status == 0, ended.err
    assert ended.out == ""
    assert re.fullmatch(r"wrote both\.webp \(\d+x\d+, [\d.]+ s\)", ended.lines[-1])
    assert load("both.webp").shape[0] == 1
    with (folder / "both.csv").open() as table:
        rows = {row["network"]: row for row in csv.DictReader(table)}
    assert rows["tiny relu2"]["channels"] == "6"


def test_the_picture_is_called_by_the_figure_and_replaces_none(oneira, folder):
    assert oneira(*SMALL, "-q").err == ""
    assert oneira(*SMALL, "-q").err == ""
    assert {"compare.png", "compare-2.png"} <= {path.name for path in folder.iterdir()}
    assert (folder / "compare.png").read_bytes() == (folder / "compare-2.png").read_bytes()


def test_it_asks_about_the_cat_unless_told_otherwise(oneira, folder):
    assert oneira(*SANITY, "--samples", "2", "-o", "a.png", "--csv", "a.csv").status == 0
    assert oneira("figure", "sanity", "sample:cat", *SANITY[2:], "--samples", "2", "-o", "b.png").status == 0
    assert oneira("figure", "sanity", "pictures/0.png", *SANITY[2:], "--samples", "2", "-o", "c.png").status == 0
    assert (folder / "a.png").read_bytes() == (folder / "b.png").read_bytes()
    assert not torch.equal(load("a.png"), load("c.png"))
    assert (folder / "a.csv").read_text().startswith("rule,random behind relu2\ngradient,")


def test_a_picture_that_goes_into_it_is_not_written_over(oneira, folder):
    ended = oneira("figure", "sanity", "pictures/0.png", *SANITY[2:], "-o", "pictures/0.png")
    assert (ended.status, len(ended.lines)) == (2, 1)
    assert "is the input" in ended.lines[0]


def test_the_rows_of_every_table_have_a_name():
    rows = {name: figure.rows for name, figure in FIGURES.items()}
    assert rows == {
        "evolution": "channel",
        "compare": "network",
        "sanity": "rule",
        "curves": "training",
        "onepass": "style",
    }


def test_pictures_that_cannot_be_read_are_noted_once(oneira, pictures):
    (pictures / "bad.png").write_bytes(b"nothing")
    ended = oneira(*SMALL)
    assert ended.status == 0
    (note,) = [line for line in ended.lines if "bad.png" in line]
    assert note.startswith("note: 1 of 4 pictures cannot be read, the first: ")


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_stopped_it_leaves_nothing_behind(number, status, oneira, folder, monkeypatch):
    def draw(self, equipment):
        yield Progress("watching", 1, 2)
        os.kill(os.getpid(), number)
        yield Progress("watching", 2, 2)
        return Drawn(None, {})

    monkeypatch.setattr(Compare, "draw", draw)
    before = sorted(folder.iterdir())
    ended = oneira(*SMALL, "--csv", "both.csv")
    assert (ended.status, ended.lines) == (status, ["note: stopped: compare.png was not written"])
    assert sorted(folder.iterdir()) == before


REFUSED = {
    "an unknown figure": ("figure evolutoin", 2, "did you mean 'evolution'"),
    "one network": ("figure compare pocket", 2, "needs B"),
    "three networks": ("figure compare pocket tiny tiny", 2, "tiny"),
    "an unknown network": ("figure compare pocket vgg18", 2, "'vgg19'"),
    "no snapshots": ("figure evolution --data pictures", 2, "--checkpoints"),
    "no such snapshot": ("figure evolution --checkpoints none.safetensors", 1, "none.safetensors"),
    "too small": ("figure compare pocket tiny --size 8", 2, "--size cannot be 8; allowed: at least 16"),
    "no pictures": ("figure compare pocket tiny --data nowhere", 1, "nowhere"),
    "weights without a file": ("figure compare pocket tiny --weights pocket", 2, "pocket=FILE"),
    "no such weights": ("figure compare pocket tiny --weights none.pth", 1, "none.pth"),
    "weights of none of them": ("figure compare pocket tiny --weights vgg19=none.pth", 2, "a file for vgg19"),
    "weights twice": ("figure compare pocket=a.pth tiny --weights b.pth", 2, "a file for pocket"),
    "weights and snapshots": ("figure evolution --checkpoints a.pth --weights b.pth", 2, "a file for pocket"),
    "a class and a layer": ("figure sanity --class cat --layer relu1_1", 2, "--class and --layer"),
    "no such class": ("figure sanity --class cart", 2, "unknown class 'cart'"),
    "no log": ("figure curves", 2, "needs LOG"),
    "no such log": ("figure curves none.csv", 1, "cannot read none.csv"),
    "a log that is none": ("figure curves pictures/0.png", 1, "is no table"),
    "no network to race": ("figure onepass", 2, "needs NETWORK"),
    "a network that is not there": ("figure onepass none.safetensors", 1, "none.safetensors"),
    "a network that is none": ("figure onepass pictures/0.png", 1, "no image-to-image network"),
    "no such sample": ("figure sanity sample:dog", 1, "dog"),
    "two pictures": ("figure sanity sample:cat sample:coffee", 2, "sample:coffee"),
    "weights of another": ("figure sanity --weights vgg19=none.pth", 2, "a file for vgg19"),
    "no weights offline": ("figure compare pocket vgg19 --offline", 1, "vgg19-dcbb9e9d.pth"),
    "an unknown format": ("figure compare tiny tiny -o both.xyz", 1, ".png"),
    "a table that is none": ("figure compare tiny tiny --csv both.png", 2, "--csv"),
    "no such device": ("figure compare tiny tiny --device cuda:99", 2, "auto or cpu"),
}


@pytest.mark.parametrize(("command", "status", "hint"), REFUSED.values(), ids=REFUSED)
def test_what_cannot_be_is_told_in_one_line(command, status, hint, oneira, folder):
    ended = oneira(*command.split(), *([] if "--data" in command else ["--data", "pictures"] * ("tiny" in command)))
    assert (ended.status, ended.out, len(ended.lines)) == (status, "", 1)
    assert hint in ended.lines[0]
    assert not list(folder.glob("*.png"))


RUNNING = {
    "seed": (["--seed", "7"], Equipment(seed=7)),
    "device": (["--device", "cpu"], Equipment(device="cpu")),
    "precision": (["--precision", "bfloat16"], Equipment(precision="bfloat16")),
    "weights": (
        ["--weights", "my.pth", "--weights", "vgg19=other.pth"],
        Equipment(weights={"pocket": Path("my.pth"), "vgg19": Path("other.pth")}),
    ),
    "offline": (["--offline"], Equipment(offline=True)),
}
OPTIONS = {
    "sanity": {
        "picture": (["sample:coffee"], "sample:coffee"),
        "size": (["--size", "40"], 40),
        "model": (["--model", "vgg19"], "vgg19"),
        "class_": (["--class", "banana"], "banana"),
        "layer": (["--layer", "relu4_2"], "relu4_2"),
        "channels": (["--layer", "relu4_2", "--channels", "3,7"], "3,7"),
        "behind": (["--behind", "relu4_1", "--behind", "relu2_1"], ("relu4_1", "relu2_1")),
        "samples": (["--samples", "5"], 5),
    },
    "compare": {
        "a": (["vgg19"], "vgg19"),
        "b": (["pocket", "vgg19"], "vgg19"),
        "size": (["--size", "40"], 40),
        "data": (["--data", "photos"], Path("photos")),
    },
    "evolution": {
        "size": (["--size", "40"], 40),
        "checkpoints": (["--checkpoints", "a.pth", "b.pth"], (Path("a.pth"), Path("b.pth"))),
        "data": (["--data", "photos"], Path("photos")),
        "model": (["--model", "vgg19"], "vgg19"),
        "layer": (["--layer", "relu1_1", "--layer", "relu2_1"], ("relu1_1", "relu2_1")),
        "channels": (["--channels", "3,7-9"], "3,7-9"),
        "per_layer": (["--per-layer", "5"], 5),
        "patches": (["--patches"], True),
        "rule": (["--rule", "guided"], "guided"),
    },
    "curves": {
        "log": (["a/log.csv", "b/log.csv"], (Path("a/log.csv"), Path("b/log.csv"))),
        "size": (["--size", "400"], 400),
        "column": (["--column", "style"], "style"),
        "smooth": (["--smooth", "5"], 5),
        "linear": (["--linear"], True),
    },
    "onepass": {
        "network": (["my.safetensors"], "my.safetensors"),
        "picture": (["my.safetensors", "a.png", "sample:cat"], ("a.png", "sample:cat")),
        "style": (["--style", "a.png", "--style", "b.style"], ("a.png", "b.style")),
        "size": (["--size", "40"], 40),
        "steps": (["--steps", "5"], 5),
        "optimiser": (["--optimiser", "lbfgs"], "lbfgs"),
    },
}
NEEDED = {
    "compare": ["pocket", "pocket"],
    "evolution": ["--checkpoints", "x.pth"],
    "curves": ["log.csv"],
    "onepass": ["pocket-styles"],
}


@pytest.fixture
def given(monkeypatch):
    """What reaches the drawing."""
    seen = {}

    def drawn(figure, equipment, display):
        seen.update(figure=figure, equipment=equipment)
        return Drawn(torch.ones(1, 3, 4, 4), {}), Recipe()

    monkeypatch.setattr(figures, "_drawn", drawn)
    monkeypatch.setattr(figures, "save", lambda path, image, recipe: seen.update(output=path))
    return seen


@pytest.mark.parametrize(("title", "name"), [(title, name) for title, table in OPTIONS.items() for name in table])
def test_an_option_of_a_figure_reaches_it(title, name, oneira, given):
    words, meaning = OPTIONS[title][name]
    needed = NEEDED.get(title, [])
    if title == "compare" and name in ("a", "b"):
        needed = [] if name == "b" else ["pocket"]
    elif name in ("checkpoints", "log", "network", "picture"):
        needed = []
    ended = oneira("figure", title, *words, *needed)
    assert ended.status == 0, ended.err
    assert getattr(given["figure"], name) == meaning


@pytest.mark.parametrize("name", RUNNING)
def test_an_option_of_running_reaches_the_equipment(name, oneira, given):
    words, meaning = RUNNING[name]
    assert oneira("figure", "compare", "tiny", "tiny", *words).status == 0
    found = given["equipment"]
    assert getattr(found, name) == getattr(meaning, name) != getattr(Equipment(), name)


def test_every_option_is_listed_here():
    assert set(RUNNING) == set(FigureOptions.model_fields) - {"output", "csv", "quiet"}
    assert {title: set(table) for title, table in OPTIONS.items()} == {
        "compare": set(Compare.model_fields),
        "evolution": set(Evolution.model_fields),
        "sanity": set(Sanity.model_fields),
        "curves": set(Curves.model_fields),
        "onepass": set(OnePass.model_fields),
    }
    assert set(OPTIONS) == set(FIGURES)
