"""Feature visualization from the command line: sheets, tables, stages, made again and resumed to the same bytes."""

import csv

import pytest
import torch
from interrupting import assert_ends_in_the_same_bytes, interrupt
from networks import tiny_network
from torch.testing import assert_close

from oneira import register_backbone
from oneira.features.encoder import Encoder
from oneira.images import load, read_recipe, side_by_side
from oneira.synthesis.loop import Synthesis
from oneira.techniques import Visualization

SHORT = ["--size", 24, "--steps", 2, "--waking", 1]
TINY = ["--model", "tiny", "--layer", "relu2"]


@pytest.fixture
def visualize():
    """Channels of a layer, in milliseconds."""
    return ["visualize", *SHORT, *TINY, "--channels"]


def table(path):
    return list(csv.DictReader(path.read_text().splitlines()))


def test_one_channel_gives_one_picture(oneira, visualize, folder):
    ended = oneira(*visualize, "3")
    assert ended.status == 0, ended.err
    assert [path.name for path in folder.glob("*.png")] == ["visualize.png"]
    assert load("visualize.png").shape == (1, 3, 24, 24)
    recipe = read_recipe("visualize.png")
    assert (recipe.technique, recipe.options["channels"], recipe.inputs) == ("visualize", "3", {})


def test_several_give_a_sheet(oneira, visualize):
    assert oneira(*visualize, "0-3", "-o", "out.png").status == 0
    assert min(load("out.png").shape[2:]) > 2 * 24


def test_out_of_the_box_it_needs_nothing(oneira):
    ended = oneira("visualize", "--size", 16, "--steps", 1, "--waking", 1, "--channels", "0,1", "-o", "out.png")
    assert ended.status == 0, ended.err
    assert read_recipe("out.png").options["model"] == "pocket"


def test_layers_is_another_name_for_layer(oneira, folder):
    for name in ("--layer", "--layers"):
        words = ["visualize", *SHORT, "--model", "tiny", name, "relu1", name, "relu3", "--channels", "0,1"]
        assert oneira(*words, "-o", f"{name[2:]}.png").status == 0
    assert (folder / "layer.png").read_bytes() == (folder / "layers.png").read_bytes()


@pytest.mark.parametrize(
    "words",
    [
        ["--channels", "3"],
        ["--channels", "0-4", "--batch", 2],
        ["--channels", "0-1", "--transforms", "none", "--canvas", "pixels", "--optimiser", "sgd", "--rate", 1],
        ["--channels", "2", "--canvas", "maco", "--rate", 0.5],
        ["--channels", "2", "--at", "middle"],
        ["--channels", "2,4", "--interpolate", 3],
        ["--channels", "2,4", "--diversity", 2],
        ["--direction", "3:1,1:-1"],
        ["--channels", "2", "--preset", "simonyan"],
        ["--channels", "2", "--preset", "maco"],
    ],
    ids=lambda words: " ".join(map(str, words)),
)
def test_it_is_made_again_to_the_same_bytes(words, oneira, folder):
    ended = oneira("visualize", *SHORT, *TINY, *words, "--seed", 5, "-o", "a.png")
    assert ended.status == 0, ended.err
    assert oneira("rerun", "a.png", "-o", "b.png").status == 0
    assert (folder / "b.png").read_bytes() == (folder / "a.png").read_bytes()


def test_the_seed_is_that_of_the_noise(oneira, visualize):
    for seed in (0, 1):
        words = ["--canvas", "pixels", "--spread", 0.2, "--seed", seed, "-o", f"{seed}.png"]
        assert oneira(*visualize, "3", *words).status == 0
    assert (load("0.png") - load("1.png")).abs().mean() > 0.05


class TestFires:
    @pytest.fixture
    def words(self, picture):
        return ["visualize", *SHORT, *TINY, "--fires", picture, "--box", "0,0,60%,60%", "--top", 3]

    def test_the_table_names_channels_and_what_they_answered_with_the_picture_above(self, words, oneira, folder):
        ended = oneira(*words, "--csv", "losses.csv", "--precision", "float32", "-o", "out.png")
        assert ended.status == 0, ended.err
        technique = Visualization.from_recipe(read_recipe("out.png"))
        (look,) = {subject.term.look for subject in technique.subjects()}
        found = look.firing(Encoder(), "tiny:relu2")[:3]
        (row,) = table(folder / "losses.csv")
        assert list(row) == ["stage", *(f"{each.channel}: {each.activation:.3g}@{i}" for i, each in enumerate(found))]
        assert row["stage"] == "relu2 #1 to #3"
        assert min(load("out.png").shape[2:]) > 300
        assert read_recipe("out.png").inputs["fires"].path == str(folder / "cat.png")

    def test_made_again_it_has_the_same_bytes(self, words, oneira, folder):
        assert oneira(*words, "-o", "a.png").status == 0
        assert oneira("rerun", "a.png", "-o", "b.png").status == 0
        assert (folder / "b.png").read_bytes() == (folder / "a.png").read_bytes()


class TestStages:
    def test_every_batch_is_one_picture(self, oneira, visualize, folder):
        words = [*visualize, "0-4", "--batch", 3, "--stages", "legs", "--precision", "float32", "--depth", 16]
        ended = oneira(*words, "-o", "out.png")
        assert ended.status == 0, ended.err
        paths = sorted((folder / "legs").iterdir())
        assert [path.name for path in paths] == ["0001-relu2-0-to-2.png", "0002-relu2-3-to-4.png"]
        technique = Visualization.from_recipe(read_recipe("out.png"))
        run = Synthesis(technique.plan(), precision="float32")
        for _ in run:
            pass
        for path, outcome in zip(paths, run.outcomes.values(), strict=True):
            assert len(outcome.image) == 3
            assert_close(load(path), side_by_side(outcome.image), atol=1e-4, rtol=0)

    def test_a_single_picture_is_itself(self, oneira, visualize, folder):
        assert oneira(*visualize, "3", "--stages", "legs", "-o", "out.png").status == 0
        (path,) = (folder / "legs").iterdir()
        assert torch.equal(load(path), load("out.png"))


class TestTable:
    def test_there_is_a_row_for_every_batch_with_the_loss_of_every_picture(self, oneira, visualize, folder):
        assert oneira(*visualize, "0-4", "--batch", 3, "--csv", "losses.csv", "-o", "out.png").status == 0
        rows = table(folder / "losses.csv")
        assert [row["stage"] for row in rows] == ["relu2 0 to 2", "relu2 3 to 4"]
        assert list(rows[0]) == ["stage", "channel@0", "channel@1", "channel@2"]
        # The last batch is filled with its last channel.
        assert all(float(row[f"channel@{index}"]) <= 0 for row in rows for index in range(3))

    def test_what_pictures_have_in_common_stands_beside_it(self, oneira, visualize, folder):
        assert oneira(*visualize, "1,3", "--diversity", 2, "--csv", "l.csv", "-o", "out.png").status == 0
        rows = table(folder / "l.csv")
        assert [row["stage"] for row in rows] == ["relu2 1", "relu2 3"]
        assert all(0 < float(row["diversity"]) <= 2.0001 for row in rows)


class TestStopping:
    @pytest.fixture
    def words(self, happening):
        happening(None)
        layer = ["--model", "eventful", "--layer", "happening", "--transforms", "robust"]
        return ["visualize", "--size", 24, "--steps", 3, *layer, "--channels", "0-4", "--batch", 2, "--csv"]

    # Of three legs of three steps, and a call for what each comes to in the end.
    @pytest.mark.parametrize("at", [2, 4, 5, 7])
    def test_resumed_in_a_leg_or_between_two_it_ends_in_the_same_bytes(self, at, words, oneira, happening, folder):
        assert_ends_in_the_same_bytes(oneira, happening, folder, words, at)

    @pytest.mark.parametrize(("channels", "sheet"), [("2", False), ("0-4", True)])
    def test_before_the_first_leg_is_done_there_are_the_pictures_so_far(self, channels, sheet, oneira, happening):
        happening(interrupt, 2)
        words = ["visualize", "--size", 24, "--steps", 4, "--model", "eventful", "--layer", "happening"]
        assert oneira(*words, "--channels", channels, "-o", "out.png").status == 130
        sides = load("out.png").shape[2:]
        assert min(sides) > 2 * 24 if sheet else tuple(sides) == (24, 24)

    def test_a_checkpoint_of_other_channels_is_refused(self, words, oneira, happening):
        happening(interrupt, 2)
        assert oneira(*words, "l.csv", "-o", "out.png").status == 130
        words[words.index("0-4")] = "0-3"
        ended = oneira(*words, "l.csv", "-o", "out.png", "--resume")
        assert ended.status == 1
        assert ended.lines == ["oneira: the checkpoint belongs to other settings or pictures; start without it"]


@pytest.mark.parametrize(
    ("words", "status", "says"),
    [
        (["--layer", "rule2"], 2, "unknown layer 'rule2' of tiny; did you mean 'relu2'?"),
        (["--layers", "all"], 2, "no layers are chosen for 'tiny' here; name them"),
        ([], 2, "no layers are chosen for 'tiny' here; name them"),
        (["--layer", "relu2", "--channels", "x"], 2, "--channels takes numbers such as 3,7,32-47, or all; not 'x'"),
        (["--layer", "relu2", "--channels", "all"], 2, "how many channels tiny:relu2 has is not known"),
        (["--layer", "relu2", "--channels", "6"], 2, "has channels 0 to 5, not 6"),
        (["--model", "pocket", "--channels", "999"], 2, "there is no channel 999 in pocket:relu4_2, which has 256"),
        (["--model", "pocket", "--class", "banan"], 2, "unknown class 'banan' of pocket; did you mean 'banana'?"),
        (["--model", "pocket", "--class", "200"], 2, "pocket:fc has classes 0 to 199, not 200"),
        (["--class", "cat"], 2, "tiny"),
        (["--fires", "sample:cat", "--point", "9,9"], 2, "no layers are chosen for 'tiny' here; name them"),
        (
            ["--layer", "relu2", "--fires", "sample:cat"],
            2,
            "--point X,Y or --box LEFT,TOP,RIGHT,BOTTOM; neither is given",
        ),
        (["--layer", "relu2", "--point", "9,9"], 2, "--point is a matter of --fires, and no picture is given"),
        (["--layer", "relu2", "--fires", "sample:cat", "--point", "999,9"], 2, "which is 451 wide and 300 high"),
        (["--layer", "relu2", "--fires", "no.png", "--point", "9,9"], 1, "no.png"),
        (
            ["--layer", "relu2", "--fires", "sample:cat", "--point", "9,9", "--channels", "3"],
            2,
            "in place of --channels",
        ),
        (["--model", "pocket", "--layer", "fc", "--fires", "sample:cat", "--point", "9,9"], 2, "fc has no positions"),
        (["--layer", "relu2", "--direction", "x"], 2, "cannot read 'x' in the direction 'x'"),
        (["--layer", "relu2", "--direction", "random"], 2, "write the direction, CHANNEL:WEIGHT"),
        (["--layer", "relu2", "--direction", "3:1", "--channels", "3"], 2, "--direction mixes channels"),
        (["--layer", "relu2", "--channels", "3", "--at", "x"], 2, "--at takes ROW,COLUMN such as 3,4, or middle"),
        (["--layer", "relu2", "--channels", "3", "--at", "3,0"], 2, "--at ROW,COLUMN is a place in one grid"),
        (
            ["--layer", "relu2", "--channels", "3", "--at", "99,0", "--transforms", "shift"],
            2,
            "(99, 0) lies outside",
        ),
        (["--layer", "relu2", "--size", "0"], 2, "--size cannot be 0; allowed: at least 16"),
        (["--layer", "relu2", "--batch", "0"], 2, "--batch cannot be 0; allowed: at least 1"),
        (["--layer", "relu2", "--diversity", "0"], 2, "--diversity cannot be 0"),
        (["--layer", "relu2", "--interpolate", "2"], 2, "--interpolate cannot be 2; allowed: at least 3"),
        (["--layer", "relu2", "--channels", "1", "--interpolate", "3"], 2, "name two, not 1"),
        (["--layer", "relu2", "--interpolate", "3", "--diversity", "2"], 2, "choose one"),
        (["--layer", "relu2", "--optimiser", "lbfgs"], 2, "use adam"),
        (["--layer", "relu2", "--canvas", "fourrier"], 2, "--canvas"),
        (["--layer", "relu2", "--preset", "lucidd"], 2, "did you mean 'lucid'?"),
        (["--layer", "relu2", "--csv", "losses.txt"], 2, "end it in .csv"),
        (["--layer", "relu2", "--channels", "1", "cat.png"], 2, "cat.png"),
        (["--layer", "relu2", "--layer", "relu2", "--channels", "1", "--batch", "1"], 2, "two are called 'relu2 1'"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_what_cannot_be_is_told_in_one_line_and_nothing_is_written(words, status, says, oneira, folder):
    model = [] if "--model" in words else ["--model", "tiny"]
    size = [] if "--size" in words else ["--size", 24]
    ended = oneira("visualize", *words, *model, *size, "--steps", 1, "--waking", 1, "-o", "out.png")
    assert ended.status == status, ended.err
    assert len(ended.lines) == 1
    assert says in ended.err
    assert ended.out == ""
    assert not (folder / "out.png").exists()


def test_a_channel_that_cannot_be_woken_is_told_in_one_line(oneira, folder):
    network = tiny_network()
    with torch.no_grad():
        network.conv2.weight[3] = 0
    register_backbone("numb", network)
    ended = oneira("visualize", *SHORT, "--model", "numb", "--layer", "relu2", "--channels", "3", "-o", "out.png")
    assert ended.status == 1
    assert "its gradient is zero" in ended.lines[-1]
    # Beside others it is a tile of the sheet.
    assert oneira("visualize", *SHORT, "--model", "numb", "--layer", "relu2", "--channels", "2,3").status == 0


def test_many_losses_make_one_number_beside_the_bar(oneira, visualize, monkeypatch):
    monkeypatch.setattr("oneira.cli.screen.Screen.is_terminal", property(lambda _: True))
    seen = oneira(*visualize, "0-1", "-o", "few.png").err
    assert "channel@0" in seen
    seen = oneira(*visualize, "0-5", "--smoothness", 0.1, "-o", "many.png").err
    assert "channel@0" not in seen
    assert "loss" in seen
