"""One pass against optimisation: the same objective, and the iteration at which it is as low."""

import pytest
import torch
from drawn_figures import drawn
from networks import TINY
from torch.testing import assert_close

from oneira import Encoder
from oneira.errors import PlanError, RecipeError, WeightsError
from oneira.features.training.dataset import middle_square
from oneira.feedforward import TextureNetwork, TrainedNetwork, TransformerNetwork
from oneira.feedforward.training import StylizerSettings
from oneira.feedforward.training.losses import Lessons, PerceptualLosses
from oneira.figures import Equipment, OnePass
from oneira.figures.chart import COLOURS
from oneira.figures.onepass import Raced, Trial
from oneira.images import load, save
from oneira.objectives import Artwork

SIDE = 16
SETTINGS = StylizerSettings(
    model=TINY, content_layer=("relu2",), style_layer=("relu1", "relu3"), style_weights=(2.0, 0.5), pooling="avg"
)


def network(names=("wave", "night", "identity"), about=None, identity=2):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        made = TransformerNetwork("conditional", len(names), (4, 4, 4), residuals=1, identity=identity)
    told = {"settings": SETTINGS.model_dump(mode="json")} if about is None else about
    return TrainedNetwork(made, names, told)


@pytest.fixture
def places(tmp_path, generator):
    """A network of two styles and an identity, the styles' pictures, and two photographs."""
    for name in ("wave", "night", "one", "two"):
        save(tmp_path / f"{name}.png", torch.rand(1, 3, 24, 32, generator=generator))
    network().write(tmp_path / "net.safetensors", torch.float32)
    return tmp_path


def figure(places, styles=("wave",), pictures=("one",), **others):
    chosen = {"size": SIDE, "steps": 4, **others}
    chosen.setdefault("network", str(places / "net.safetensors"))
    return OnePass(
        picture=tuple(str(places / f"{name}.png") for name in pictures),
        style=tuple(str(places / f"{name}.png") for name in styles),
        **chosen,
    )


class TestCounting:
    def raced(self, values, one_pass):
        return Raced("wave", torch.tensor(values), one_pass)

    def test_the_first_iteration_that_is_as_low(self):
        assert self.raced([9.0, 5.0, 3.0, 4.0, 1.0], 3.5).iterations == 2
        assert self.raced([9.0, 5.0, 3.0, 4.0, 1.0], 3.0).iterations == 2
        assert "as low as 2 iterations" in self.raced([9.0, 5.0, 3.0], 3.5).told

    def test_one_that_is_never_as_low(self):
        raced = self.raced([9.0, 5.0, 3.0], 2.0)
        assert raced.iterations is None
        assert raced.told == "wave: one pass is lower than 2 iterations"
        assert "iterations as low" not in raced.numbers()

    def test_a_pass_that_does_nothing_good(self):
        assert self.raced([9.0, 5.0], 9.5).told == "wave: one pass is no lower than the photograph itself"

    def test_means_are_over_photographs(self):
        trials = [Trial(torch.tensor([4.0, 2.0]), 3.0), Trial(torch.tensor([8.0, 0.0]), 1.0)]
        raced = Raced.of("wave", trials)
        assert raced.course.tolist() == [6, 1]
        assert raced.one_pass == 2


class TestObjective:
    @pytest.mark.parametrize(("style", "number"), [("wave", 0), ("night", 1)])
    def test_it_is_what_the_training_minimises(self, places, style, number):
        drawing, _ = drawn(figure(places, styles=(style,)))
        told = drawing.numbers[style]
        sources = {n: Artwork(load(places / f"{name}.png")) for n, name in enumerate(("wave", "night"))}
        square = middle_square(load(places / "one.png"), SIDE, 1.0)[None] / 255
        losses = PerceptualLosses(Encoder(variant=SETTINGS.variant), SETTINGS, sources, SIDE)
        lessons = Lessons([number], square)
        assert told["photograph"] == pytest.approx(float(losses(square, lessons).total), rel=1e-4)
        with torch.no_grad():
            painted = network().network(square, torch.eye(3)[number : number + 1])
            assert told["one pass"] == pytest.approx(float(losses(painted, lessons).total), rel=1e-4)

    def test_optimisation_gets_lower(self, places):
        drawing, steps = drawn(figure(places, steps=20))
        told = drawing.numbers["wave"]
        assert told["20 iterations"] < 0.9 * told["photograph"]
        assert [step.done for step in steps] == [*range(1, 21), 20]
        assert {step.total for step in steps} == {20}

    def test_more_iterations_go_on_where_fewer_end(self, places):
        few, many, most = (drawn(figure(places, steps=steps))[0].numbers["wave"] for steps in (2, 5, 40))
        assert few["photograph"] == many["photograph"] == most["photograph"]
        assert few["one pass"] == many["one pass"] == most["one pass"]
        assert few["2 iterations"] > many["5 iterations"] > most["40 iterations"]

    def test_photographs_are_averaged(self, places):
        one, two, both = (
            drawn(figure(places, pictures=names))[0].numbers["wave"] for names in (("one",), ("two",), ("one", "two"))
        )
        for name in ("photograph", "one pass", "4 iterations"):
            assert both[name] == pytest.approx((one[name] + two[name]) / 2)

    def test_styles_that_were_added_have_the_last_weights(self, places):
        added = {"settings": {**SETTINGS.model_dump(mode="json"), "style_weights": [3.0]}}
        network(("wave", "identity", "night"), added, 1).write(places / "added.safetensors", torch.float32)
        plain = {"settings": {**SETTINGS.model_dump(mode="json"), "style_weights": [1.0]}}
        network(("wave", "identity", "night"), plain, 1).write(places / "plain.safetensors", torch.float32)
        of = {
            name: drawn(figure(places, styles=("wave", "night"), network=str(places / f"{name}.safetensors")))[0]
            for name in ("added", "plain")
        }
        assert of["added"].numbers["wave"] == of["plain"].numbers["wave"]
        assert of["added"].numbers["night"]["photograph"] > of["plain"].numbers["night"]["photograph"]


class TestFigure:
    def test_a_curve_and_a_line_for_each_style(self, places):
        drawing, steps = drawn(figure(places, styles=("wave", "night"), pictures=("one", "two")))
        assert set(drawing.numbers) == {"wave", "night"}
        assert len(steps) == 2 * 2 * 4 + 1
        for colour in COLOURS[:2]:
            near = (drawing.image[0] - torch.tensor(colour)[:, None, None]).abs().amax(0) < 0.02
            assert near.sum() > 200

    def test_it_takes_what_comes_with_the_package(self, tmp_path):
        network(("night_wind", "wave"), identity=None).write(tmp_path / "net.safetensors", torch.float32)
        figure = OnePass(network=str(tmp_path / "net.safetensors"), size=SIDE, steps=1)
        drawing, steps = drawn(figure)
        assert set(drawing.numbers) == {"night_wind"}
        assert len(steps) == 3 + 1

    def test_the_same_seed_makes_the_same(self, places):
        first, second = (drawn(figure(places, optimiser="lbfgs"))[0] for _ in range(2))
        assert torch.equal(first.image, second.image)
        assert not torch.equal(first.image, drawn(figure(places))[0].image)

    def test_the_network_and_what_compares_are_recorded(self, places):
        equipment = Equipment()
        for _ in (course := figure(places).draw(equipment)):
            pass
        course.close()
        assert {name for name, _ in equipment.loaded} == {"network"}  # a registered module has no file
        recipe = figure(places).recipe(equipment, figure(places).recorded())
        assert [file.path for file in recipe.input_files["weights"]] == [str(places / "net.safetensors")]
        assert set(recipe.inputs) == {"weights", "picture", "style"}
        again = OnePass.from_recipe(recipe)
        assert again == figure(places)

    def test_other_weights_than_those_of_the_training_are_told(self, places):
        about = {"settings": SETTINGS.model_dump(mode="json")}
        network(about=about).write(places / "same.safetensors", torch.float32)
        network(about={**about, "compared_by": {TINY: "0" * 64}}).write(places / "other.safetensors", torch.float32)
        for name, told in (
            ("same", None),
            ("other", "trained with other weights of tiny than those that compare here"),
        ):
            _, steps = drawn(figure(places, network=str(places / f"{name}.safetensors"), steps=1))
            note = steps[-1].note
            assert note is None if told is None else told in note

    def test_a_network_that_the_recipe_does_not_have_is_not_read(self, places):
        with pytest.raises(RecipeError, match="without a hash"):
            drawn(figure(places), recorded=())
        assert drawn(figure(places), recorded=[places / "net.safetensors"])


class TestRefusals:
    def test_a_style_that_it_does_not_know(self, places):
        (places / "nigth.png").write_bytes((places / "night.png").read_bytes())
        with pytest.raises(PlanError, match=r"did you mean 'night'\?: wave, night, as their pictures"):
            drawn(figure(places, styles=("nigth",)))

    def test_no_style_at_all(self, places):
        with pytest.raises(PlanError, match=r"by --style: wave, night$"):
            drawn(figure(places, styles=()))

    def test_the_identity_is_none(self, places):
        (places / "identity.png").write_bytes((places / "night.png").read_bytes())
        with pytest.raises(PlanError, match="none that"):
            drawn(figure(places, styles=("identity",)))

    def test_a_network_that_does_not_tell(self, places):
        network(about={}).write(places / "mute.safetensors")
        with pytest.raises(PlanError, match="does not tell what it was trained with"):
            drawn(figure(places, network=str(places / "mute.safetensors")))

    def test_a_texture_network(self, places):
        TrainedNetwork(TextureNetwork(scales=2, channels=2), ("wave",)).write(places / "texture.safetensors")
        with pytest.raises(PlanError, match="makes a texture"):
            drawn(figure(places, network=str(places / "texture.safetensors")))

    def test_no_network(self, places):
        with pytest.raises(WeightsError, match="unknown network 'pocket-style'; did you mean 'pocket-styles'"):
            drawn(figure(places, network="pocket-style"))

    def test_weights_of_another(self, places):
        with pytest.raises(PlanError, match="a file for vgg19"):
            drawn(figure(places), weights={"vgg19": places})


def test_squares_are_as_they_are_drawn():
    # Eight bits, so that a photograph that was saved and read gives the same objective.
    square = middle_square(torch.rand(1, 3, 20, 30), SIDE, 1.0)[None] / 255
    assert square.dtype == torch.float32
    assert_close((square * 255).round() / 255, square)
