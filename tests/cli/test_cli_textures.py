"""`oneira texture`: made, made again and resumed by the command; figures with their tables; what it refuses."""

import csv
import json
import os
import signal

import pytest
import torch
from noise_pictures import noise

from oneira.cli.display import Display
from oneira.images import Picture, load, read_recipe

QUICK = ["--size", "28x24", "--steps", "3", "--layer", "tiny:relu1", "--layer", "tiny:relu2"]
COPIES = {
    "efros-leung": ["--window", "5", "--size", "20x24"],
    "wei-levoy": ["--window", "5", "--search", "tree", "--size", "20x24"],
    "quilting": ["--block", "8", "--size", "40x24"],
}


def colours(image):
    return {tuple(pixel) for pixel in (image[0].flatten(1).T * 255).round().int().tolist()}


@pytest.fixture
def sample(folder):
    return noise(folder / "bricks.png", 24, 24, seed=5)


@pytest.fixture
def texture(sample):
    return ["texture", sample, *QUICK]


class TestMade:
    def test_it_has_the_size_that_is_told_a_name_and_a_recipe(self, oneira, texture, folder):
        ended = oneira(*texture)
        assert ended.status == 0, ended.err
        assert ended.lines[-1].startswith("wrote bricks-texture.png (28x24, ")
        recipe = read_recipe("bricks-texture.png")
        assert (recipe.technique, recipe.options["size"], recipe.options["method"]) == ("texture", "28x24", "gram")
        (recorded,) = recipe.inputs["sample"]
        assert recorded.sha256 == Picture.open("bricks.png").sha256

    def test_transparency_of_a_sample_is_no_part_of_it(self, oneira, folder):
        noise(folder / "glass.png", 24, 24, channels=4)
        assert oneira("texture", "glass.png", *QUICK, "-o", "out.png").status == 0
        assert Picture.open("out.png").alpha is None

    def test_layers_is_another_name_of_layer(self, oneira, sample):
        one, other = (
            ["texture", sample, "--size", 24, "--steps", 2, name, "tiny:relu1"] for name in ("--layer", "--layers")
        )
        for words, name in ((one, "one.png"), (other, "other.png")):
            assert oneira(*words, "-o", name).status == 0
            assert read_recipe(name).options["layer"] == ["tiny:relu1"]
        assert torch.equal(load("one.png"), load("other.png"))

    @pytest.mark.parametrize("beside", [[], ["--seamless"], ["--match-histogram"], ["--like", "like.png"]])
    def test_made_again_it_is_the_same_bytes(self, beside, oneira, texture, folder):
        noise(folder / "like.png", 24, 28, seed=8)
        assert oneira(*texture, *beside, "-o", "a.png", "--seed", 4).status == 0
        assert oneira("rerun", "a.png", "-o", "b.png").status == 0
        assert (folder / "a.png").read_bytes() == (folder / "b.png").read_bytes()

    @pytest.mark.parametrize("method", COPIES)
    def test_a_copy_has_the_samples_pixels_and_is_made_again_in_the_same_bytes(self, method, oneira, sample, folder):
        words = ["texture", sample, "--method", method, *COPIES[method], "--seed", 4]
        ended = oneira(*words, "-o", "a.png")
        assert ended.status == 0, ended.err
        assert colours(load("a.png")) <= colours(load(sample))
        assert read_recipe("a.png").weights == {}
        ended = oneira("rerun", "a.png", "-o", "b.png")
        assert ended.status == 0, ended.err
        assert ended.lines[0].startswith("wrote b.png")
        assert (folder / "a.png").read_bytes() == (folder / "b.png").read_bytes()
        assert oneira(*words[:-1], 5, "-o", "c.png").status == 0
        assert not torch.equal(load("c.png"), load("a.png"))

    def test_a_copy_tells_how_far_it_is(self, oneira, sample):
        ended = oneira("texture", sample, "--method", "quilting", *COPIES["quilting"], "--json", "--quiet")
        steps = [json.loads(line) for line in ended.out.splitlines()]
        assert steps[-1]["done"] == steps[-1]["total"] == 40 * 24
        assert [step["done"] for step in steps] == sorted(step["done"] for step in steps)
        assert all(step["losses"] == {} for step in steps)

    @pytest.mark.parametrize("method", COPIES)
    def test_a_copy_that_was_stopped_is_resumed_to_the_same_bytes(self, method, oneira, sample, folder, monkeypatch):
        words = ["texture", sample, "--method", method, *COPIES[method], "--no-recipe"]
        assert oneira(*words, "-o", "whole.png").status == 0
        seen, shown = [], Display.step

        def interrupting(self, task, step):
            seen.append(step)
            if len(seen) == 2:
                os.kill(os.getpid(), signal.SIGINT)
            shown(self, task, step)

        monkeypatch.setattr(Display, "step", interrupting)
        assert oneira(*words, "-o", "broken.png").status == 130
        assert len(seen) == 2
        assert not torch.equal(load("broken.png"), load("whole.png"))
        assert oneira(*words, "-o", "broken.png", "--resume").status == 0
        assert (folder / "broken.png").read_bytes() == (folder / "whole.png").read_bytes()

    def test_a_texture_that_was_stopped_is_resumed_to_the_same_bytes(self, oneira, sample, happening, folder):
        def interrupt(features):
            os.kill(os.getpid(), signal.SIGINT)
            return features

        words = ["texture", sample, "--size", 24, "--steps", 6, "--layer", "eventful:happening"]
        happening(None)
        assert oneira(*words, "-o", "whole.png").status == 0
        happening(interrupt, 4)
        assert oneira(*words, "-o", "broken.png").status == 130
        happening(None)
        assert oneira(*words, "-o", "broken.png", "--resume").status == 0
        assert (folder / "broken.png").read_bytes() == (folder / "whole.png").read_bytes()


class TestSheet:
    STAGES = ("tiny:relu1", "tiny:relu2", "up to tiny:relu2")

    def rows(self, path):
        with path.open(newline="") as file:
            return list(csv.DictReader(file))

    def test_a_figure_with_its_table_and_its_stages(self, oneira, texture, folder):
        ended = oneira(*texture, "--sheet", "-o", "figure.png", "--csv", "figure.csv", "--stages", "cells")
        assert ended.status == 0, ended.err
        rows = self.rows(folder / "figure.csv")
        assert tuple(row["stage"] for row in rows) == self.STAGES
        assert all(float(row["style"]) > 0 for row in rows)
        cells = sorted(path.name for path in (folder / "cells").iterdir())
        assert cells == ["0001-tiny-relu1.png", "0002-tiny-relu2.png", "0003-up-to-tiny-relu2.png"]
        assert load(folder / "cells" / cells[0]).shape[2:] == (24, 28)
        height, width = load("figure.png").shape[2:]
        assert height > 2 * 24
        assert width > 3 * 28
        assert oneira("rerun", "figure.png", "-o", "again.png").status == 0
        assert (folder / "again.png").read_bytes() == (folder / "figure.png").read_bytes()

    def test_of_the_embedded_network(self, oneira, sample, folder):
        words = ["--size", 32, "--steps", 1, "--layers", "relu1_1", "--layers", "relu2_1"]
        assert oneira("texture", sample, "--sheet", *words, "-o", "a.png", "--csv", "a.csv").status == 0
        assert [row["stage"] for row in self.rows(folder / "a.csv")] == ["relu1_1", "relu2_1", "up to relu2_1"]

    def test_one_picture_is_one_row(self, oneira, texture, folder):
        assert oneira(*texture, "--smoothness", 0.1, "--csv", "a.csv").status == 0
        (row,) = self.rows(folder / "a.csv")
        assert set(row) == {"stage", "style", "tv"}
        assert row["stage"] == "texture"

    def test_a_copy_has_no_losses(self, oneira, sample, folder):
        words = ["texture", sample, "--method", "quilting", *COPIES["quilting"], "--csv", "a.csv"]
        assert oneira(*words).status == 0
        assert self.rows(folder / "a.csv") == [{"stage": "texture"}]


@pytest.mark.parametrize(
    ("words", "status", "told"),
    [
        ([], 2, "texture needs SAMPLE"),
        (["nowhere.png"], 1, "nowhere.png"),
        (["sample:dog"], 1, "dog"),
        (["words.png"], 1, "words.png"),
        (["bricks.png", "--layer", "rele1_1"], 2, "unknown layer 'rele1_1' of pocket; did you mean"),
        (["bricks.png", "--model", "poket"], 2, "did you mean 'pocket'"),
        (["bricks.png", "--size", "0"], 2, "--size cannot be '0'; allowed: pixels as WIDTHxHEIGHT"),
        (["bricks.png", "--size", "64x"], 2, "--size cannot be '64x'"),
        (["bricks.png", "--size", "20000x20000"], 2, "each 16 to 16384"),
        (["bricks.png", "--method", "efros-leung", "--window", "25"], 2, "does not fit a sample of 24x24 pixels"),
        (["bricks.png", "--method", "wei-levoy", "--window", "13"], 2, "does not fit a sample of 24x24 pixels"),
        (["bricks.png", "--method", "quilting", "--block", "25"], 2, "does not fit a sample of 24x24 pixels"),
        (["bricks.png", "--method", "quilting", "--device", "cuda"], 1, "--device is for networks"),
        (["bricks.png", "--method", "quilting", "--precision", "bfloat16"], 1, "--precision is for networks"),
        (["bricks.png", "--method", "quilting", "--weights", "bricks.png"], 1, "--weights is for networks"),
        (["bricks.png", "--method", "quilting", "--max-memory", "1GB"], 1, "--max-memory is for networks"),
        (["bricks.png", "--method", "quilting", "--seamless"], 2, "--seamless belongs to --method gram or "),
        (["bricks.png", "--method", "quilting", "--layers", "relu1_1"], 2, "--layer belongs to --method gram or "),
        (
            ["bricks.png", "--seamless", "--layer", "relu4_1", "--size", "33"],
            2,
            "multiples of 8 with these layers, not 33x33: take 32x32",
        ),
        (["bricks.png", "--labels", "bricks.png"], 2, "--labels say what one sample shows"),
        (["bricks.png", "--like", "wide.png", "--size", "64x64"], 2, "is 60x20, the result 64x64"),
        (["bricks.png", "--like", "wide.png", "--match-histogram"], 2, "--match-histogram gives the whole"),
        (["bricks.png", "--blend", "1", "--blend", "2"], 2, "--blend needs one number per sample: 1, not 2"),
        (["bricks.png", "--normalization", "gatys"], 2, "take average"),
        (["bricks.png", "--preset", "gaty"], 2, "did you mean 'gatys'"),
        (["bricks.png", "--csv", "losses.txt"], 2, "end it in .csv"),
        (["bricks.png", "-o", "bricks.png"], 2, "is the input"),
    ],
)
def test_what_cannot_be_is_told_in_one_line_before_anything_is_made(words, status, told, oneira, sample, folder):
    (folder / "words.png").write_text("no picture at all")
    noise(folder / "wide.png", 20, 60)
    before = {path.name for path in folder.iterdir()}
    ended = oneira("texture", *words)
    assert ended.status == status
    assert len(ended.lines) == 1, ended.err
    assert told in ended.lines[0]
    assert "Traceback" not in ended.err
    assert ended.out == ""
    assert {path.name for path in folder.iterdir()} == before
