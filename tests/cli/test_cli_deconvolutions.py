"""Deconvolution from the command line: figures, made again and resumed to the same bytes, stopped early."""

import json

import pytest
import torch
from interrupting import interrupt
from networks import tiny_network
from noise_pictures import noise
from torch import nn

from oneira import register_backbone
from oneira.images import Picture, load, read_recipe

SHORT = ["--model", "tiny", "--layer", "relu3", "--top", 3]


@pytest.fixture
def deconv(picture):
    """Of three channels, in milliseconds."""
    return ["deconv", picture, *SHORT]


def test_a_figure_that_says_how_it_was_made(oneira, deconv, folder):
    ended = oneira(*deconv)
    assert ended.status == 0, ended.err
    assert [path.name for path in sorted(folder.glob("*.png"))] == ["cat-deconv.png", "cat.png"]
    height, width = load("cat-deconv.png").shape[2:]
    assert width > 2 * height / 1.5 > 300
    recipe = read_recipe("cat-deconv.png")
    assert (recipe.technique, recipe.precision, recipe.options["top"]) == ("deconv", "float32", 3)
    assert ended.lines[-1].startswith(f"wrote cat-deconv.png ({width}x{height}, ")


def test_out_of_the_box_it_needs_nothing_but_a_picture(oneira, folder):
    ended = oneira("deconv", "sample:cat", "--size", 64, "-o", "out.png")
    assert ended.status == 0, ended.err
    assert set(read_recipe("out.png").weights) == {"pocket"}


def test_a_line_of_json_for_every_channel(oneira, deconv):
    lines = [json.loads(line) for line in oneira(*deconv, "--json").out.splitlines()]
    assert [(line["done"], line["total"], line["loss"]) for line in lines] == [(1, 3, 0), (2, 3, 0), (3, 3, 0)]
    assert {(line["width"], line["height"]) for line in lines} == {(28, 20)}


@pytest.mark.parametrize(
    "words",
    [
        [],
        ["--rule", "guided", "--whole"],
        ["--rule", "gradient", "--luminous"],
        ["--samples", 2, "--spread", 0.3, "--rule", "guided", "--luminous"],
        ["--preset", "smoothgrad", "--samples", 2],
        ["--precision", "bfloat16"],
        ["--size", 48, "--seed", 5],
    ],
    ids=lambda words: " ".join(map(str, words)) or "plain",
)
def test_it_is_made_again_to_the_same_bytes(words, oneira, deconv, folder):
    ended = oneira(*deconv, *words, "-o", "a.png")
    assert ended.status == 0, ended.err
    assert oneira("rerun", "a.png", "-o", "b.png").status == 0
    assert (folder / "b.png").read_bytes() == (folder / "a.png").read_bytes()


def test_channels_by_number_are_made_again_too(oneira, picture, folder):
    words = ["deconv", picture, "--layer", "fc", "--channels", "17,3"]
    assert oneira(*words, "-o", "a.png").status == 0
    assert oneira("rerun", "a.png", "-o", "b.png").status == 0
    assert (folder / "b.png").read_bytes() == (folder / "a.png").read_bytes()


def test_a_transparent_picture_makes_a_figure_that_is_not(oneira, folder):
    noise(folder / "glass.png", channels=4)
    assert oneira("deconv", "glass.png", *SHORT, "-o", "out.png").status == 0
    assert Picture.open("out.png").alpha is None


def test_other_weights_make_another_figure_and_a_rerun_tells(oneira, picture, scrambled_pocket, folder):
    words = ["deconv", picture, "--layer", "relu2_1", "--top", 2]
    assert oneira(*words, "-o", "a.png").status == 0
    ended = oneira("rerun", "a.png", "--weights", scrambled_pocket, "-o", "b.png")
    assert ended.status == 0
    assert "the weights of pocket are others than the recipe's" in ended.err
    assert not torch.equal(load("a.png"), load("b.png"))


class TestStopping:
    @pytest.fixture
    def eventful(self, picture, happening):
        """Of four channels, in a network that runs twice before the first comes back, then once for each."""

        def command(do, *at):
            happening(do, *at)
            return ["deconv", picture, "--layer", "eventful:happening", "--top", 4]

        return command

    def test_before_the_first_channel_there_is_nothing_to_write(self, oneira, eventful, folder):
        ended = oneira(*eventful(interrupt, 1), "-o", "out.png")
        assert ended.status == 130
        assert ended.lines == ["note: stopped at once; out.png was not written"]
        assert not (folder / "out.png").exists()

    @pytest.mark.parametrize(("at", "done"), [(4, 2), (5, 3)])
    def test_resumed_it_ends_in_the_same_bytes(self, at, done, oneira, eventful, folder):
        assert oneira(*eventful(None), "-o", "whole.png").status == 0
        words = eventful(interrupt, at)
        ended = oneira(*words, "--save-every", 1000, "-o", "broken.png")
        assert ended.status == 130
        assert ended.lines == ["interrupted: wrote broken.png as it was; the same command with --resume goes on"]
        assert "holds no recipe" in oneira("recipe", "broken.png").err
        assert (load("broken.png").shape == load("whole.png").shape) == (done > 2)  # the second of two rows
        ended = oneira(*eventful(None), "-o", "broken.png", "--resume")
        assert ended.status == 0, ended.err
        assert (folder / "broken.png").read_bytes() == (folder / "whole.png").read_bytes()

    def test_a_checkpoint_of_other_settings_is_refused(self, oneira, eventful):
        assert oneira(*eventful(interrupt, 4), "--save-every", 1000, "-o", "out.png").status == 130
        ended = oneira(*eventful(None), "--rule", "guided", "-o", "out.png", "--resume")
        assert ended.status == 1
        assert ended.lines == ["oneira: the checkpoint belongs to other settings or pictures; start without it"]


@pytest.mark.parametrize(
    ("words", "status", "says"),
    [
        ([], 2, "deconv needs IMAGE"),
        (["nowhere.png"], 1, "nowhere.png"),
        (["cat.png", "other.png"], 2, "other.png"),
        (["cat.png", "--layer", "rule3"], 2, "unknown layer 'rule3' of tiny; did you mean 'relu3'?"),
        (["cat.png"], 2, "no layers are chosen for 'tiny' here; name them"),
        (["cat.png", "--layer", "relu3", "--channels", 6], 2, "the layer has channels 0 to 5, not 6"),
        (["cat.png", "--layer", "relu3", "--channels", "x"], 2, "--channels takes numbers such as 3,7,32-47, or all"),
        (["cat.png", "--layer", "relu3", "--channels", "all"], 2, "is not known: say which, such as --channels 0-31"),
        (["cat.png", "--layer", "pocket:fc", "--channels", 200], 2, "there is no channel 200 in pocket:fc"),
        (["cat.png", "--layer", "relu3", "--channels", 1, "--top", 3], 2, "--channels stands in place of --top"),
        (["cat.png", "--layer", "relu3", "--spread", 0.3], 2, "--spread is the noise of --samples"),
        (["cat.png", "--layer", "relu3", "--samples", -1], 2, "--samples cannot be -1; allowed: at least 0"),
        (["cat.png", "--layer", "relu3", "--top", 0], 2, "--top cannot be 0; allowed: at least 1"),
        (["cat.png", "--layer", "relu3", "--rule", "deconv"], 2, "--rule"),
        (["cat.png", "--layer", "relu3", "--size", 8], 2, "--size cannot be 8; allowed: at least 16"),
        (["cat.png", "--layer", "relu3", "--max-memory", "4 GiB"], 1, "--max-memory is foretold for what is optimised"),
        (["cat.png", "--layer", "relu3", "--preset", "guided"], 2, "unknown preset 'guided' of deconv"),
        (["cat.png", "--layer", "smooth:act"], 2, "the deconvnet rule is for ReLUs, and between smooth:act"),
        (["cat.png", "--model", "alexnet", "--offline", "--size", 128], 1, "alexnet"),
        (["cat.png", "--model", "alexnet", "--layer", "relu5"], 1, "a 28x20 picture is too small for alexnet:relu5"),
    ],
)
def test_what_cannot_be_is_told_in_one_line_and_nothing_is_written(words, status, says, oneira, picture, folder):
    smooth = nn.Sequential()
    smooth.add_module("conv", tiny_network().conv1)
    smooth.add_module("act", nn.GELU())
    register_backbone("smooth", smooth)
    model = [] if "--model" in words else ["--model", "tiny"]
    ended = oneira("deconv", *words, *model, "-o", "out.png")
    assert ended.status == status, ended.err
    assert len(ended.lines) == 1
    assert says in ended.err
    assert ended.out == ""
    assert not (folder / "out.png").exists()
