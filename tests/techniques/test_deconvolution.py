"""Deconvolution: what its options plan, and what comes of it."""

from pathlib import Path

import pytest
import torch
from networks import TINY, tiny_network
from torch.testing import assert_close

import oneira as on
from oneira.errors import AddressError, ImageError, PlanError
from oneira.features.registry import register_backbone
from oneira.images import fit, load, read_recipe, resize, save
from oneira.inspection import Examination, Projections
from oneira.techniques import Deconvolution, begin
from oneira.techniques.presets import default_preset

HEIGHT, WIDTH = 20, 28


@pytest.fixture
def path(tmp_path, image):
    save(tmp_path / "cat.png", image)
    return str(tmp_path / "cat.png")


@pytest.fixture
def deconvolution(path):
    """Of a small picture in a small network, with other options."""

    def configured(preset=None, **options):
        return Deconvolution.configured(preset, **{"image": path, "model": TINY, "layer": "relu3", **options})

    return configured


class TestPlan:
    def test_what_is_told_is_what_is_planned(self, deconvolution, path):
        plan = deconvolution(
            channels="3,1-2", rule="guided", whole=True, samples=4, spread=0.2, luminous=True, layer="relu2"
        ).plan()
        assert isinstance(plan, Projections)
        assert torch.equal(plan.image, load(path))
        assert (plan.layer, plan.channels, plan.rule) == ("tiny:relu2", (3, 1, 2), "guided")
        assert (plan.whole, plan.samples, plan.spread, plan.luminous) == (True, 4, 0.2, True)

    def test_without_channels_the_strongest_are_shown(self, deconvolution):
        assert (deconvolution().plan().channels, deconvolution().plan().top) == ((), 9)
        assert deconvolution(top=3).plan().top == 3

    def test_every_channel_of_a_layer(self, path):
        plan = Deconvolution(image=path, layer="relu1_1", channels="all").plan()
        assert plan.channels == tuple(range(32))

    def test_a_layer_may_be_of_another_network(self, deconvolution):
        assert deconvolution(layer="pocket:relu2_1").plan().layer == "pocket:relu2_1"

    @pytest.mark.parametrize(("model", "layer"), [("pocket", "relu4_2"), ("vgg19", "relu4_2"), ("alexnet", "relu4")])
    def test_every_model_has_a_layer_of_its_own(self, model, layer, path):
        assert Deconvolution(image=path, model=model).plan().layer == f"{model}:{layer}"

    @pytest.mark.parametrize(
        ("sides", "size", "seen"),
        [
            ((20, 28), None, (20, 28)),  # its own
            ((300, 600), None, (256, 512)),  # at most
            ((600, 300), 64, (64, 32)),
            ((20, 28), 56, (40, 56)),
        ],
    )
    def test_the_network_sees_the_picture_at_its_own_size_or_as_told(self, sides, size, seen, deconvolution, tmp_path):
        save(tmp_path / "other.png", torch.rand(1, 3, *sides, generator=torch.Generator().manual_seed(0)))
        planned = deconvolution(image=str(tmp_path / "other.png"), size=size).plan()
        assert planned.size == seen
        assert_close(planned.image, resize(load(tmp_path / "other.png"), fit(*sides, max(seen))))

    def test_weights_are_not_read(self, path, monkeypatch):
        monkeypatch.setattr("oneira.features.encoder.load_weights", lambda *_, **__: pytest.fail("read"))
        Deconvolution(image=path, model="vgg19", channels="511").plan()


class TestRun:
    def test_it_is_the_run_of_what_is_planned(self, deconvolution):
        technique = deconvolution(top=3)
        examination = Examination(technique.plan(), seed=2)
        for _ in examination:
            pass
        assert torch.equal(technique.run(seed=2), examination.image)
        assert technique.run().shape[:2] == (1, 3)

    def test_the_rules_make_other_pictures(self, deconvolution):
        pictures = [deconvolution(rule=rule, top=2).run() for rule in ("gradient", "deconvnet", "guided")]
        assert (pictures[0] - pictures[1]).abs().max() > 0.1
        assert (pictures[1] - pictures[2]).abs().max() > 0.1

    def test_only_noise_asks_for_the_seed(self, deconvolution):
        assert torch.equal(deconvolution(top=2).run(seed=0), deconvolution(top=2).run(seed=1))
        noisy = deconvolution(top=2, samples=2)
        assert not torch.equal(noisy.run(seed=0), noisy.run(seed=1))

    @pytest.mark.parametrize("preset", Deconvolution.presets)
    def test_every_preset_makes_a_picture(self, preset, deconvolution):
        picture = deconvolution(preset, top=2, **({"samples": 2} if preset == "smoothgrad" else {})).run()
        assert picture.isfinite().all()

    def test_a_figure_has_no_transparency(self, deconvolution, tmp_path):
        save(tmp_path / "glass.png", torch.rand(1, 3, 20, 28), alpha=torch.full((1, 1, 20, 28), 0.5))
        assert deconvolution(image=str(tmp_path / "glass.png")).transparency(torch.zeros(1, 3, 9, 9)) is None

    def test_memory_is_not_foretold(self, deconvolution):
        with pytest.raises(PlanError, match=r"^--max-memory is foretold for what is optimised, not for this: leave it"):
            begin(deconvolution().plan(), max_memory=10**9)


class TestRecipe:
    @pytest.mark.parametrize(
        "options",
        [{}, {"channels": "1,4"}, {"samples": 2, "spread": 0.3, "luminous": True}, {"top": 2, "rule": "gradient"}],
        ids=str,
    )
    def test_it_makes_the_same_technique_again(self, options, deconvolution, tmp_path):
        technique = deconvolution(**options)
        examination = Examination(technique.plan())
        for _ in examination:
            pass
        recipe = technique.recipe(examination)
        assert (recipe.technique, recipe.precision) == ("deconv", "float32")
        save(tmp_path / "out.png", examination.image, recipe=recipe)
        again = Deconvolution.from_recipe(read_recipe(tmp_path / "out.png"))
        assert again.model_dump() == technique.model_dump()
        assert torch.equal(again.run(), technique.run())


def test_one_preset_is_the_defaults():
    assert default_preset(Deconvolution.presets) == "zeiler-fergus"
    assert Deconvolution.verb() == "deconv"
    assert on.Deconvolution is Deconvolution


@pytest.mark.parametrize(
    ("options", "error", "says"),
    [
        ({"layer": "rule3"}, AddressError, "^unknown layer 'rule3' of tiny; did you mean 'relu3'"),
        ({"layer": None}, PlanError, "^no layers are chosen for 'tiny' here; name them"),
        ({"channels": "6"}, AddressError, r"^the layer has channels 0 to 5, not 6$"),
        ({"model": "pocket", "layer": "fc", "channels": "200"}, PlanError, "^there is no channel 200 in pocket:fc"),
        ({"channels": "x"}, PlanError, "^--channels takes numbers such as 3,7,32-47, or all; not 'x'$"),
        ({"channels": "all"}, PlanError, "^how many channels tiny:relu3 has is not known: say which"),
        ({"channels": "1", "top": 4}, PlanError, "^--channels stands in place of --top; give one of the two$"),
        ({"spread": 0.3}, PlanError, "^--spread is the noise of --samples, and there are none: give --samples"),
        ({"spread": 0}, PlanError, "^--spread is the noise of --samples"),
        ({"spread": -0.1, "samples": 2}, PlanError, "^--spread cannot be -0.1; allowed: at least 0"),
        ({"samples": -1}, PlanError, "^--samples cannot be -1; allowed: at least 0 and at most 1000$"),
        ({"top": 0}, PlanError, "^--top cannot be 0; allowed: at least 1 and at most 1024$"),
        ({"rule": "guide"}, PlanError, "^--rule cannot be 'guide'; allowed: .*'guided'"),
        ({"size": 8}, PlanError, "^--size cannot be 8; allowed: at least 16"),
        ({"image": "nowhere.png"}, ImageError, r"nowhere\.png"),
        ({"model": "pocket", "layer": "relu5_1", "size": 16}, PlanError, "too small for pocket:relu5_1"),
    ],
    ids=str,
)
def test_what_cannot_be_is_told_in_one_line(options, error, says, deconvolution):
    with pytest.raises(error, match=says) as told:
        deconvolution(**options).run()
    assert len(str(told.value).splitlines()) == 1


def test_a_network_of_a_user_is_asked_too(path):
    register_backbone("mine", tiny_network(seed=4))
    assert Deconvolution(image=Path(path), layer="mine:conv2", top=2).run().shape[1] == 3
