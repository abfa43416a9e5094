"""Inversions from the command line: figures, tables, stages, made again and resumed to the same bytes."""

import csv

import pytest
import torch
from interrupting import assert_ends_in_the_same_bytes, interrupt
from networks import tiny_network
from noise_pictures import noise

from oneira import register_backbone
from oneira.features.encoder import Encoder
from oneira.images import Picture, load, read_recipe, resize, save
from oneira.objectives import BoundObjective
from oneira.techniques import Inversion

SHORT = ["--model", "tiny", "--size", 24, "--steps", 2]
LAYERS = ["--layers", "relu1", "--layers", "relu2", "--layers", "relu3"]


@pytest.fixture
def invert(picture):
    """From one layer, in milliseconds."""
    return ["invert", picture, *SHORT, "--layer", "relu2"]


@pytest.fixture
def figure(picture):
    """From three layers in turn."""
    return ["invert", picture, *SHORT, *LAYERS, "--sheet"]


@pytest.fixture
def mask(folder):
    """White in the left half."""
    drawn = torch.zeros(1, 3, 20, 28)
    drawn[..., :14] = 1
    save(folder / "mask.png", drawn)
    return "mask.png"


def table(path):
    return list(csv.DictReader(path.read_text().splitlines()))


def test_a_picture_in_the_proportions_of_the_one_that_was_seen(oneira, invert, folder):
    ended = oneira(*invert)
    assert ended.status == 0, ended.err
    assert [path.name for path in sorted(folder.glob("*.png"))] == ["cat-invert.png", "cat.png"]
    assert load("cat-invert.png").shape == (1, 3, 17, 24)
    assert read_recipe("cat-invert.png").technique == "invert"


def test_out_of_the_box_it_needs_nothing_but_a_picture(oneira, picture):
    ended = oneira("invert", picture, "--size", 32, "--steps", 2, "-o", "out.png")
    assert ended.status == 0, ended.err
    assert load("out.png").shape == (1, 3, 23, 32)


def test_layers_is_another_name_for_layer(oneira, picture, folder):
    for name in ("--layer", "--layers"):
        words = ["invert", picture, *SHORT, name, "relu1", name, "relu3", "-o", f"{name[2:]}.png"]
        assert oneira(*words).status == 0
    assert (folder / "layer.png").read_bytes() == (folder / "layers.png").read_bytes()
    assert "--layers" in oneira("invert", "--help").out


@pytest.mark.parametrize(
    "words",
    [
        [],
        ["--sheet"],
        ["--sheet", "--smoothness", 0.01, "--smoothness", 1],
        ["--sheet", "--read", "style"],
        ["--read", "caricature", "--start", "picture", "--caricature-power", 1],
        ["--mask", "mask.png", "--prior", "none"],
        ["--canvas", "pixels", "--start", "pink-noise", "--spread", 0.2, "--steps", 1, "--rate-factors", 0.5],
        ["--preset", "mahendran-vedaldi"],
        ["--preset", "mahendran-vedaldi", "--sheet"],
        ["--preset", "gatys"],
    ],
    ids=lambda words: " ".join(map(str, words)) or "plain",
)
def test_it_is_made_again_to_the_same_bytes(words, oneira, picture, mask, folder):
    ended = oneira("invert", picture, *SHORT, *LAYERS, *words, "--seed", 5, "-o", "a.png")
    assert ended.status == 0, ended.err
    assert oneira("rerun", "a.png", "-o", "b.png").status == 0
    assert (folder / "b.png").read_bytes() == (folder / "a.png").read_bytes()
    assert set(read_recipe("a.png").inputs) == {"image", *({"mask"} if "--mask" in words else ())}


def test_the_seed_is_that_of_the_noise(oneira, invert):
    for seed in (0, 1):
        assert oneira(*invert, "--canvas", "pixels", "--spread", 0.2, "--seed", seed, "-o", f"{seed}.png").status == 0
    assert (load("0.png") - load("1.png")).abs().mean() > 0.05


class TestFigure:
    def test_it_is_larger_than_its_pictures_and_says_how_it_was_made(self, oneira, figure):
        assert oneira(*figure, "-o", "out.png").status == 0
        height, width = load("out.png").shape[2:]
        assert min(height, width) > 2 * 24
        options = read_recipe("out.png").options
        assert (options["sheet"], options["layer"]) == (True, ["relu1", "relu2", "relu3"])

    def test_all_layers_of_the_embedded_network(self, oneira, picture, folder):
        words = ["invert", picture, "--size", 24, "--steps", 1, "--layers", "all", "--sheet", "--csv", "all.csv"]
        ended = oneira(*words, "-o", "out.png")
        assert ended.status == 0, ended.err
        names = [row["stage"] for row in table(folder / "all.csv")]
        assert (names[0], names[-1], len(names)) == ("relu1_1", "fc", 15)

    def test_pictures_too_small_for_a_layer_are_told_before_anything_is_read(self, oneira, picture):
        ended = oneira("invert", picture, "--size", 20, "--layers", "all", "--sheet", "-o", "out.png")
        assert ended.status == 1
        # All of its legs are of one size.
        assert ended.lines == [
            "oneira: a 20x14 picture is too small for pocket:relu5_1; the shortest side must be at least 16"
        ]

    def test_stages_are_its_pictures_alone(self, oneira, figure, folder):
        assert oneira(*figure, "--stages", "legs", "--depth", 16, "-o", "out.png").status == 0
        assert sorted(path.name for path in (folder / "legs").iterdir()) == [
            "0001-relu1.png",
            "0002-relu2.png",
            "0003-relu3.png",
        ]
        shown = {load(path).numpy().tobytes() for path in (folder / "legs").iterdir()}
        assert len(shown) == 3
        assert {tuple(load(path).shape) for path in (folder / "legs").iterdir()} == {(1, 3, 17, 24)}

    @pytest.mark.parametrize("sheet", [False, True])
    def test_a_picture_keeps_its_transparency_and_a_figure_has_none(self, sheet, oneira, folder):
        noise(folder / "glass.png", channels=4)
        words = ["invert", "glass.png", *SHORT, "--layer", "relu2", *(["--sheet"] if sheet else []), "-o", "out.png"]
        assert oneira(*words).status == 0
        alpha = Picture.open("out.png").alpha
        if sheet:
            assert alpha is None
        else:
            expected = resize(Picture.open("glass.png").alpha, (17, 24))
            assert (alpha - expected).abs().max() <= 0.5 / 255 + 1e-6


class TestTable:
    def test_there_is_a_row_for_every_layer_in_order(self, oneira, figure, folder):
        assert oneira(*figure, "--csv", "losses.csv", "-o", "out.png").status == 0
        rows = table(folder / "losses.csv")
        assert [row["stage"] for row in rows] == ["relu1", "relu2", "relu3"]
        assert list(rows[0]) == ["stage", "content", "tv", "alphanorm", "pixels"]
        technique = Inversion.from_recipe(read_recipe("out.png"))
        run = technique.run(precision=read_recipe("out.png").precision)
        assert (run - load("out.png")).abs().max() <= 0.5 / 255 + 1e-6

    def test_one_for_every_smoothness_too(self, oneira, figure, folder):
        assert oneira(*figure, "--smoothness", 0, "--smoothness", 2, "--csv", "l.csv", "-o", "out.png").status == 0
        rows = table(folder / "l.csv")
        assert [row["stage"] for row in rows] == [f"relu{i}, {weight}" for weight in (0, 2) for i in (1, 2, 3)]
        assert [row["tv"] == "" for row in rows] == [True] * 3 + [False] * 3

    def test_a_picture_from_several_layers_has_one(self, oneira, picture, folder):
        assert oneira("invert", picture, *SHORT, *LAYERS, "--csv", "l.csv").status == 0
        (row,) = table(folder / "l.csv")
        assert row["stage"] == "relu3 and those before"

    def test_losses_are_those_of_the_picture_that_is_written(self, oneira, invert, folder):
        words = [*invert, "--precision", "float32", "--prior", "none"]
        assert oneira(*words, "--csv", "l.csv", "--depth", 16, "-o", "out.png").status == 0
        (row,) = table(folder / "l.csv")
        objective = Inversion.from_recipe(read_recipe("out.png")).plan().objective
        loss = BoundObjective(objective, Encoder(), (17, 24))(load("out.png")).total.item()
        assert float(row["content"]) == pytest.approx(loss, rel=1e-3)


class TestStopping:
    # In the first of three legs, of three steps: the first call is for the target, the last for the losses in the
    # end; a signal in the first step stops at once.
    @pytest.mark.parametrize("at", [3, 4, 5])
    @pytest.mark.parametrize("smoothness", [[0.1], [0.1, 1]], ids=str)
    def test_resumed_in_a_leg_or_between_two_it_ends_in_the_same_bytes(
        self, at, smoothness, oneira, picture, happening, folder
    ):
        chosen = [word for weight in smoothness for word in ("--smoothness", weight)]
        layers = ["--layer", "eventful:happening", "--layer", "eventful:relu1", "--layer", "eventful:relu2"]
        # With a rate that is told, no layer is measured before.
        words = ["invert", picture, "--size", 24, "--steps", 3, "--rate", 0.02, *layers, "--sheet", *chosen, "--csv"]
        assert_ends_in_the_same_bytes(oneira, happening, folder, words, at)

    def test_a_checkpoint_of_other_layers_is_refused(self, oneira, picture, happening):
        told = ["--smoothness", 0.1, "--rate", 0.02]
        words = ["invert", picture, "--size", 24, "--steps", 3, *told, "-o", "out.png"]
        happening(interrupt, 3)
        assert oneira(*words, "--layer", "eventful:happening").status == 130
        ended = oneira(*words, "--layer", "eventful:relu2", "--resume")
        assert ended.status == 1
        assert ended.lines == [
            "oneira: the checkpoint belongs to other settings or pictures; start without it",
        ]


@pytest.mark.parametrize(
    ("words", "status", "says"),
    [
        (["nowhere.png"], 1, "nowhere.png"),
        ([], 2, "invert needs IMAGE"),
        (["cat.png", "--layer", "rule2"], 2, "unknown layer 'rule2' of tiny; did you mean 'relu2'?"),
        (["cat.png", "--layers", "all"], 2, "no layers are chosen for 'tiny' here; name them"),
        (["cat.png", "--layer", "relu2", "--layer", "relu2", "--sheet"], 2, "two are called 'relu2': name each once"),
        (["cat.png", "--layer", "relu2", "--smoothness", 1, "--smoothness", 2], 2, "make the rows of a --sheet"),
        (["cat.png", "--layer", "relu2", "--smoothness", 1, "--prior", "none"], 2, "--smoothness is part of --prior"),
        (["cat.png", "--layer", "relu2", "--unclipped"], 2, "--unclipped is for --canvas pixels"),
        (["cat.png", "--layer", "relu2", "--optimiser", "lbfgs-b"], 2, "lbfgs-b bounds the values of clamped Pixels"),
        (["cat.png", "--layer", "relu2", "--optimizer", "adam"], 2, "--optimi"),
        (["cat.png", "--layer", "relu2", "--read", "styles"], 2, "--read"),
        (["cat.png", "--layer", "relu2", "--start", "content"], 2, "--start"),
        (["cat.png", "--layer", "relu2", "--size", 8], 2, "--size cannot be 8; allowed: at least 16"),
        (["cat.png", "--layer", "relu2", "--smoothness-by-depth", 1], 2, "--smoothness-by-depth cannot be"),
        (["cat.png", "--layer", "relu2", "--mask", "wide.png"], 2, "give a mask of the picture's proportions"),
        (["cat.png", "--layer", "relu2", "--csv", "losses.txt"], 2, "end it in .csv"),
        (["cat.png", "--layer", "relu2", "--csv", "nowhere/l.csv"], 1, "cannot write 'nowhere/l.csv'"),
        (["cat.png", "--preset", "mahendran"], 2, "did you mean 'mahendran-vedaldi'?"),
        (["cat.png", "--model", "alexnet", "--layer", "relu4", "--offline"], 1, "alexnet"),
        (["cat.png", "--model", "alexnet", "--layer", "relu4", "--size", 32], 1, "too small for alexnet:relu4"),
        (["cat.png", "other.png", "--layer", "relu2"], 2, "other.png"),
    ],
)
def test_what_cannot_be_is_told_in_one_line_and_nothing_is_written(words, status, says, oneira, picture, folder):
    noise(folder / "wide.png", 10, 40)
    model = [] if "--model" in words else ["--model", "tiny"]
    ended = oneira("invert", *words, *model, "--steps", 1, "-o", "out.png")
    assert ended.status == status, ended.err
    assert len(ended.lines) == 1
    assert says in ended.err
    assert ended.out == ""
    assert not (folder / "out.png").exists()


def test_two_networks_with_layers_of_one_name_have_rows_of_their_own(oneira, picture, folder):
    register_backbone("other", tiny_network(seed=5))
    words = ["invert", picture, *SHORT, "--layer", "relu2", "--layer", "other:relu2", "--sheet", "--csv", "l.csv"]
    assert oneira(*words).status == 0
    first, second = table(folder / "l.csv")
    assert (first["stage"], second["stage"]) == ("relu2", "other:relu2")
    assert first["content"] != second["content"]
