"""What projections owe to training: a column for each depth of random weights, and how alike its pictures are."""

from collections import OrderedDict
from functools import partial

import pytest
import torch
from drawn_figures import drawn
from networks import tiny_network
from torch import nn
from torch.testing import assert_close

from oneira import Encoder, register_backbone
from oneira.errors import AddressError, ImageError, PlanError
from oneira.features import registry
from oneira.features.backbones.pocket import pocket
from oneira.features.registry import resolve
from oneira.figures import Equipment, Sanity
from oneira.figures import sanity as module
from oneira.images import load, save
from oneira.inspection.negative_control import randomised, rank_correlation
from oneira.inspection.projection import project, smooth_gradient
from oneira.inspection.seeds import unit
from oneira.inspection.showing import magnified, shown

BEHIND = ("relu2", "relu1")
COLUMNS = ["random behind relu2", "random behind relu1"]


@pytest.fixture(autouse=True)
def _own_networks(tmp_path, monkeypatch):
    monkeypatch.setenv("ONEIRA_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(registry, "_REGISTERED", dict(registry._REGISTERED))
    torch.manual_seed(0)  # of the networks' own weights


@pytest.fixture
def picture(tmp_path, generator):
    path = tmp_path / "picture.png"
    save(path, torch.rand(1, 3, 20, 32, generator=generator))
    return path


@pytest.fixture
def sanity(picture):
    def make(**options):
        usual = {"model": "tiny", "layer": "relu3", "behind": BEHIND, "size": 32, "samples": 2}
        return Sanity(**{"picture": picture, **usual, **options})

    return make


@pytest.fixture
def cells(monkeypatch):
    """The rows of the sheet that was last drawn, and its labels."""
    seen = {}
    one = module.sheet
    monkeypatch.setattr(module, "sheet", lambda rows, **labels: seen.update(labels, rows=rows) or one(rows, **labels))
    return seen


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def test_every_cell_is_a_projection_and_every_number_its_correlation(sanity, cells, picture):
    finished, _ = drawn(sanity(channels="4"), seed=3)
    trained = Encoder()
    image = load(picture)
    seed = partial(unit, channel=4)
    encoders = [trained, *(randomised(trained, f"tiny:{layer}", seeded(3)) for layer in BEHIND)]
    assert cells["row_labels"] == ["gradient", "smoothgrad", "guided", "deconvnet"] == list(finished.numbers)
    assert cells["column_labels"] == ["trained", *COLUMNS]
    for name, row in zip(cells["row_labels"], cells["rows"], strict=True):
        if name == "smoothgrad":
            made = [smooth_gradient(e, image, "tiny:conv3", seed, generator=seeded(3), samples=2) for e in encoders]
        else:
            made = [project(each, image, "tiny:conv3", seed, name) for each in encoders]
        for cell, projection in zip(row, made, strict=True):
            assert_close(cell.image, magnified(shown(projection), 8))
        alike = [rank_correlation(made[0], other) for other in made[1:]]
        assert list(finished.numbers[name].values()) == pytest.approx(alike)
        assert [cell.caption for cell in row] == ["", *(f"{each:.2f}" for each in alike)]


def test_without_a_rectifier_all_rules_give_one_picture(sanity, cells, generator):
    network = nn.Sequential(OrderedDict(one=nn.Conv2d(3, 4, 3), two=nn.Conv2d(4, 5, 3)))
    register_backbone("linear", network)
    finished, _ = drawn(sanity(model="linear", layer="two", behind=("one",), channels="1", samples=3))
    first, *others = cells["rows"]
    for row in others:
        for cell, same in zip(row, first, strict=True):
            assert_close(cell.image, same.image, atol=1e-4, rtol=0)
    assert len({f"{row['random behind one']:.4f}" for row in finished.numbers.values()}) == 1


def test_the_trained_column_is_the_same_whatever_the_seed_and_the_others_are_not(sanity, cells):
    columns = []
    for seed in (0, 0, 1):
        drawn(sanity(samples=0), seed=seed)
        columns.append([[row[place].image for row in cells["rows"]] for place in range(3)])
    for place in range(3):
        same, other = (
            all(torch.equal(*pair) for pair in zip(columns[0][place], each[place], strict=True)) for each in columns[1:]
        )
        assert same
        assert other == (place == 0)


def test_a_unit_is_asked_before_its_relu_and_so_is_never_silent(sanity, cells):
    network = tiny_network()
    with torch.no_grad():
        network.conv3.bias.fill_(-100.0)  # no channel of relu3 ever fires
    register_backbone("silent", network)
    finished, _ = drawn(sanity(model="silent", channels="0-2"))
    assert all(set(row) == set(COLUMNS) for row in finished.numbers.values())
    assert not any(cell.caption == "nothing comes back" for row in cells["rows"] for cell in row)


def test_where_nothing_comes_back_there_is_a_plain_tile_and_no_number(sanity, cells):
    network = tiny_network()
    with torch.no_grad():
        network.conv3.weight[2] = 0
    register_backbone("deaf", network)
    finished, _ = drawn(sanity(model="deaf", channels="2,3"))
    assert cells["row_labels"][0] == "gradient, 2"
    assert finished.numbers["gradient, 2"] == {}
    assert set(finished.numbers["gradient, 3"]) == set(COLUMNS)
    assert cells["rows"][0][0].caption == "nothing comes back"
    assert float(cells["rows"][0][0].image.amin()) == float(cells["rows"][0][0].image.amax())


def test_samples_are_the_row_of_smoothgrad(sanity, cells):
    _, steps = drawn(sanity(samples=0))
    assert cells["row_labels"] == ["gradient", "guided", "deconvnet"]
    assert [(step.done, step.total) for step in steps] == [(number, 9) for number in range(1, 10)]


class TestWhatIsAsked:
    @pytest.fixture
    def few(self, monkeypatch):
        """The embedded network's shape with few channels, and five classes."""
        network = pocket(widths=(8, 8, 8, 8, 8), classes=5)
        register_backbone("few", network, logits="fc", classes=("red", "green, lime", "blue", "white", "black"))
        return network

    @pytest.mark.parametrize(("told", "number"), [("lime", 1), ("3", 3)])
    def test_a_class_by_name_or_number(self, told, number, few, sanity, cells):
        options = {"model": "few", "layer": None, "behind": ("relu5_1",), "samples": 0}
        drawn(sanity(class_=told, **options))
        image = load(sanity().picture)
        expected = project(Encoder(), image, "few:fc", partial(unit, channel=number), "gradient")
        assert expected.any()
        assert_close(cells["rows"][0][0].image, magnified(shown(expected), 8))

    def test_the_class_that_is_seen_most_where_none_is_named(self, few, sanity, cells):
        drawn(sanity(model="few", layer=None, behind=("relu5_1",), samples=0))
        seen = int(Encoder()(load(sanity().picture), ["few:fc"]).popitem()[1].argmax())
        name = ("red", "green", "blue", "white", "black")[seen]
        assert cells["title"].startswith(f"few's class {name}: below, Spearman's rank correlation of absolute values")

    def test_the_channel_that_answers_most_strongly_where_none_is_named(self, sanity, cells):
        drawn(sanity(samples=0))
        activations = Encoder()(load(sanity().picture), ["tiny:conv3"]).popitem()[1]
        assert cells["title"].startswith(f"relu3 {int(activations.amax((2, 3)).argmax())}: ")

    def test_a_class_is_asked_about_as_weights_give_it(self):
        """SqueezeNet rectifies and averages its scores; a random network's may all be below 0."""
        for model, layer in (("squeezenet1_0", "conv10"), ("pocket", "fc"), ("vgg16", "fc8")):
            figure = Sanity(model=model)
            assert figure._before(figure._asked()) == resolve(f"{model}:{layer}")
        figure = Sanity(layer="relu4_2")
        assert figure._before(figure._asked()) == resolve("pocket:conv4_2")

    def test_weights_of_other_classes_have_no_names(self, sanity):
        register_backbone("unnamed", pocket(widths=(4, 4, 4, 4, 4), classes=5), logits="fc", classes=("red", "green"))
        options = {"model": "unnamed", "layer": None, "behind": ("relu5_1",), "samples": 0}
        with pytest.raises(AddressError, match="names 2 classes, but these weights have 5"):
            drawn(sanity(class_="red", **options))
        drawn(sanity(class_="1", **options))


class TestDepths:
    def depths(self, **options):
        figure = Sanity(**options)
        return [address.written for address in figure._depths(figure._before(figure._asked()))]

    def test_they_are_the_last_of_every_stride(self):
        assert self.depths() == ["relu5_2", "relu4_4", "relu3_4", "relu2_2", "relu1_2"]
        assert self.depths(layer="conv4_3") == ["relu4_2", "relu3_4", "relu2_2", "relu1_2"]
        assert self.depths(layer="relu4_3") == ["relu4_2", "relu3_4", "relu2_2", "relu1_2"]
        assert self.depths(model="squeezenet1_0") == ["fire9", "fire8", "fire4", "relu1"]

    def test_those_that_are_named_each_once(self):
        assert self.depths(behind=("relu3_1", "pocket:relu4_1", "relu3_1")) == ["relu3_1", "relu4_1"]


REFUSED = {
    "nothing before": ({"model": "pocket", "layer": "relu1_1", "behind": ()}, PlanError, "nothing .* before pocket:"),
    "a depth above": ({"layer": "relu2", "behind": ("relu3",)}, PlanError, "does not run after it"),
    "the layer itself": ({"behind": ("conv3",)}, PlanError, "does not run after it"),
    "a layer of another network": ({"layer": "pocket:relu1_1"}, PlanError, "is not of tiny"),
    "a depth of another network": ({"behind": ("pocket:relu1_1",)}, PlanError, "is not of tiny"),
    "no such layer": ({"layer": "relu9"}, AddressError, "relu9"),
    "no such channel": ({"channels": "6"}, AddressError, "channels 0 to 5, not 6"),
    "no classes": ({"layer": None}, AddressError, "name a --layer"),
    "no usual layers": ({"behind": ()}, PlanError, "no layers are chosen for 'tiny'"),
    "no such class": ({"model": "pocket", "layer": None, "behind": (), "class_": "cart"}, AddressError, "'cart'"),
    "no such picture": ({"picture": "nowhere.png"}, ImageError, "nowhere.png"),
    "no channels at all": ({"model": "flat", "layer": "flat", "behind": ("look",)}, PlanError, "has no channels"),
}


@pytest.mark.parametrize(("options", "error", "says"), REFUSED.values(), ids=REFUSED)
def test_what_cannot_be_is_told_at_the_first_step(options, error, says, sanity):
    register_backbone("flat", nn.Sequential(OrderedDict(look=nn.Conv2d(3, 2, 3), flat=nn.Flatten(2))))
    course = sanity(**options).draw(Equipment(offline=True))
    with pytest.raises(error, match=says):
        next(course)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"class_": "red"}, "give one of the two"),
        ({"layer": None, "channels": "3"}, "name it with --layer"),
        ({"model": "vgg18"}, "vgg19"),
    ],
)
def test_options_that_do_not_go_together_are_told(options, says, sanity):
    with pytest.raises((ValueError, AddressError), match=says):
        sanity(**options)
