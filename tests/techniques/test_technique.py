"""What holds for every technique: options are declared once, checked, recorded, and make the same plan again."""

from typing import ClassVar

import pytest
import torch
from pydantic import Field

import oneira as on
from oneira import objectives, schedules
from oneira.catalogue import TECHNIQUES
from oneira.errors import AddressError, ImageError, PlanError, RecipeError
from oneira.features.registry import find_backbone, resolve
from oneira.features.weights import SOURCES
from oneira.images import InputFile, Recipe, save
from oneira.synthesis.loop import Synthesis
from oneira.techniques import ImagePath, Technique
from oneira.techniques.layers import CONTENT_LAYERS, DREAM_LAYERS, STYLE_LAYERS
from oneira.techniques.presets import Preset

EVERY = pytest.mark.parametrize("technique", TECHNIQUES.values(), ids=TECHNIQUES)


class Echo(Technique):
    """Repeat what one layer sees; the smallest technique that has one option of each kind."""

    presets: ClassVar = {
        "plain": Preset("these tests, 2026"),
        "loud": Preset("these tests, 2026", {"strength": 3.0, "layer": ("tiny:relu1",)}),
    }
    positional: ClassVar = ("image",)

    image: ImagePath = Field(description="the picture to begin with")
    layer: tuple[str, ...] = Field(("tiny:relu2",), min_length=1, description="whose activity grows")
    strength: float = Field(1.0, gt=0, le=10, description="how much")
    steps: int = Field(2, ge=1, description="how often")

    def plan(self):
        picture = self.picture(self.image).image
        objective = self.strength * objectives.Dream(self.layer)
        return on.Plan(on.Pixels.of(picture), objective, schedules.single(self.size, self.steps))


class Chorus(Echo):
    """The same with pictures that may be left out."""

    image: ImagePath | None = Field(None, description="the picture to begin with (default: grey)")
    guide: ImagePath | None = Field(None, description="what else to see")

    def plan(self):
        for path in self.input_paths:
            self.picture(path)
        return on.Plan(on.Pixels.grey(20, 28), objectives.Dream(self.layer), schedules.single(self.size, self.steps))


@pytest.fixture
def path(tmp_path, image):
    save(tmp_path / "cat.png", image)
    return tmp_path / "cat.png"


@pytest.fixture
def echo(path):
    return Echo(image=path, size=24)


class TestOptions:
    def test_one_layer_may_stand_for_several(self, path):
        assert Echo(image=path, layer="tiny:relu1").layer == ("tiny:relu1",)
        assert on.Style(content=path, style=path, steps=7).steps == (7,)

    def test_pictures_are_paths_or_samples(self, path):
        assert Echo(image=path) == Echo(image=str(path))
        assert on.Dream(image="sample:cat").picture("sample:cat").image.shape[1] == 3
        with pytest.raises(PlanError, match="a path is needed"):
            Echo.configured(image=3)
        with pytest.raises(ImageError, match="unknown sample 'cart'; did you mean 'cat'"):
            on.Dream(image="sample:cart").plan()

    @pytest.mark.parametrize(
        ("options", "message"),
        [
            ({"strength": 0}, "--strength cannot be 0; allowed: above 0 and at most 10"),
            ({"strength": 10.5}, "--strength cannot be 10.5; allowed: above 0 and at most 10"),
            ({"strength": float("inf")}, "--strength cannot be inf; allowed: finite numbers"),
            ({"strength": "much"}, "--strength cannot be 'much'; allowed: input should be a valid number.*"),
            ({"steps": 0}, "--steps cannot be 0; allowed: at least 1"),
            ({"layer": ()}, r"--layer cannot be \(\); allowed: at least this many: 1"),
            ({"strenght": 1}, "echo has no option --strenght; did you mean 'strength'?"),
            ({"image": None}, "--image cannot be None; allowed: a path is needed"),
            ({"size": 10**9}, "--size cannot be 1000000000; allowed: at least 16 and at most 16384"),
            ({"strength": "x" * 1000}, "--strength cannot be 'x{79}.*"),
        ],
    )
    def test_what_is_refused_is_told_in_one_line_with_what_is_allowed(self, options, message, path):
        with pytest.raises(PlanError, match=message) as caught:
            Echo.configured(**{"image": path, **options})
        assert len(str(caught.value).splitlines()) == 1
        assert len(str(caught.value)) < 250

    def test_a_picture_that_is_missing_is_named(self):
        with pytest.raises(PlanError, match="echo needs IMAGE"):
            Echo.configured()

    def test_an_unknown_network_is_told_at_once(self, path):
        with pytest.raises(AddressError, match="did you mean 'vgg19'"):
            Echo(image=path, model="vgg91")

    def test_presets(self, path):
        assert Echo.configured("loud", image=path).strength == 3
        assert Echo.configured("loud", image=path, strength=2).layer == ("tiny:relu1",)
        assert Echo.configured("loud", image=path, strength=2).strength == 2
        with pytest.raises(PlanError, match=r"unknown preset 'lout' of echo; did you mean 'loud'\?: plain, loud"):
            Echo.configured("lout", image=path)

    @EVERY
    def test_every_option_says_what_it_is_and_its_default_is_allowed(self, technique):
        inputs = dict.fromkeys(technique.positional, "sample:cat")
        defaults = {name: getattr(technique(**inputs), name) for name in technique.model_fields}
        assert technique(**defaults) == technique(**inputs)
        for name, field in technique.model_fields.items():
            assert field.description, name
            assert not field.description.endswith("."), name

    @EVERY
    def test_a_form_can_be_made_of_it(self, technique):
        properties = technique.model_json_schema()["properties"]
        # What may be left out is `anyOf` a picture and null; several are an array of them.
        kinds = {name: told.get("anyOf", [told.get("items", told)])[0] for name, told in properties.items()}
        pictures = {name for name, kind in kinds.items() if kind.get("format") == "picture"}
        assert pictures == set(technique.picture_fields())
        assert {kinds[name]["type"] for name in pictures} == {"string"}
        assert set(technique.positional) <= pictures


class TestRunning:
    def test_it_makes_an_image(self, echo, image):
        made = echo.run(seed=1)
        assert made.shape == (1, 3, 17, 24)
        assert torch.equal(made, echo.run(seed=1))

    def test_weights_may_be_another_file_and_nothing_is_downloaded(self, path, tmp_path):
        dream = on.Dream(image=path, layer="relu1_1", octaves=1, steps=1)
        with pytest.raises(on.errors.WeightsError, match=r"nofile\.pth"):
            dream.run(weights={"pocket": tmp_path / "nofile.pth"})
        with pytest.raises(on.errors.WeightsError, match="offline"):
            on.Dream(image=path, layer="vgg11:relu1_1", octaves=1).run(offline=True)

    def test_a_picture_is_read_once(self, echo, path):
        first = echo.plan()
        path.unlink()
        assert echo.plan().fingerprint == first.fingerprint

    def test_what_reading_has_to_say_is_kept(self, path):
        misnamed = path.rename(path.with_suffix(".jpg"))
        echo = Echo(image=misnamed)
        assert echo.notes == ()
        echo.plan()
        assert echo.notes == (f"{str(misnamed)!r}: named .jpg, but it holds a PNG",)


class TestRecipes:
    def test_the_same_plan_again(self, echo):
        synthesis = Synthesis(echo.plan(), seed=3)
        recipe = Recipe.from_json(echo.recipe(synthesis).to_json())
        again = Echo.from_recipe(recipe)
        assert again.plan().fingerprint == echo.plan().fingerprint
        assert recipe.technique == "echo"
        assert recipe.seed == 3
        assert recipe.options == {
            "size": 24,
            "model": "pocket",
            "layer": ["tiny:relu2"],
            "strength": 1.0,
            "steps": 2,
        }

    def test_samples_are_recorded_by_name(self):
        dream = on.Dream(image="sample:cat", layer="tiny:relu1", size=32, octaves=1)
        recipe = dream.recipe(Synthesis(dream.plan()))
        assert recipe.inputs["image"].path == "sample:cat"

    @pytest.mark.parametrize("given", [(), ("image",), ("guide",), ("image", "guide")])
    def test_pictures_that_were_left_out_are_left_out(self, given, path):
        chorus = Chorus(size=24, **dict.fromkeys(given, path))
        assert Chorus.picture_fields() == ("image", "guide")
        assert chorus.inputs == dict.fromkeys(given, (str(path),))
        assert chorus.input_paths == (str(path),) * len(given)
        recipe = Recipe.from_json(chorus.recipe(Synthesis(chorus.plan())).to_json())
        assert set(recipe.inputs) == set(given)
        assert Chorus.from_recipe(recipe).model_dump() == chorus.model_dump()

    def test_the_precision_is_the_one_that_was_asked_for(self, echo):
        synthesis = Synthesis(echo.plan(), precision="bfloat16")
        synthesis._rescued = True
        synthesis.encoder = synthesis._encoder(torch.float32)
        assert echo.recipe(synthesis).precision == "bfloat16"

    @pytest.mark.parametrize(
        ("changes", "message"),
        [
            ({"options": {"strength": -1}}, "--strength cannot be -1"),
            ({"options": {"strenght": 1}}, "no option --strenght"),
            ({"options": {"image": "/etc/passwd"}}, "names IMAGE without a hash"),
            ({"options": {"model": "vgg91"}}, "unknown backbone"),
            ({"inputs": {}}, "needs IMAGE"),
            ({"inputs": {"mask": InputFile(path="a", sha256="0" * 64)}}, "does not fit echo"),
            ({"inputs": {"image": (InputFile(path="a", sha256="0" * 64),) * 2}}, "does not fit echo"),
        ],
    )
    def test_what_does_not_fit_is_refused(self, changes, message, echo):
        recipe = echo.recipe(Synthesis(echo.plan()))
        with pytest.raises(RecipeError, match=message):
            Echo.from_recipe(recipe.model_copy(update=changes))


class TestSeveralPictures:
    """A field of several, recorded one by one."""

    @pytest.fixture
    def names(self, tmp_path, image):
        paths = [tmp_path / f"{name}.png" for name in ("content", "first", "second", "mask")]
        for path in paths:
            save(path, image)
        return [str(path) for path in paths]

    @pytest.fixture
    def style(self, names):
        content, first, second, mask = names
        return on.Style(content=content, style=(second, first), style_mask=(mask, mask), size=32)

    def test_they_are_inputs_in_order_and_what_is_worked_on_comes_first(self, style, names):
        content, first, second, mask = names
        assert style.inputs == {"content": (content,), "style": (second, first), "style_mask": (mask, mask)}
        assert style.input_paths == (content, second, first, mask, mask)

    def test_a_recipe_keeps_them_in_order(self, style):
        recipe = Recipe.from_json(style.recipe(Synthesis(style.plan())).to_json())
        assert [file.path for file in recipe.inputs["style"]] == list(style.style)
        assert recipe.inputs["content"].path == style.content
        assert on.Style.from_recipe(recipe).model_dump() == style.model_dump()
        assert on.Style.from_recipe(recipe).plan().fingerprint == style.plan().fingerprint

    def test_one_is_recorded_as_several_too(self, names):
        style = on.Style(content=names[0], style=names[1], size=32)
        assert style.style == (names[1],)
        assert isinstance(style.recipe(Synthesis(style.plan())).inputs["style"], tuple)


class Whisper(Echo):
    """The same with an option that stands in place of another."""

    presets: ClassVar = {
        "plain": Preset("these tests, 2026"),
        "loud": Preset("these tests, 2026", {"strength": 3.0}),
        "soft": Preset("these tests, 2026", {"hush": 0.5}),
    }
    stands_for: ClassVar = {"hush": "strength"}

    hush: float | None = Field(None, ge=0, le=1, description="how little")


class TestOneInPlaceOfAnother:
    def test_both_are_refused(self, path):
        with pytest.raises(PlanError, match=r"^--hush stands in place of --strength; give one of the two$"):
            Whisper.configured(image=path, hush=0.1, strength=2)

    def test_what_is_told_takes_the_place_of_the_presets(self, path):
        hushed = Whisper.configured("loud", image=path, hush=0.1)
        assert (hushed.hush, hushed.strength) == (0.1, 1.0)
        louder = Whisper.configured("soft", image=path, strength=2)
        assert (louder.hush, louder.strength) == (None, 2)
        assert Whisper.configured("soft", image=path).hush == 0.5

    def test_a_recipe_that_names_both_means_the_one_that_stands_for_the_other(self, path):
        whisper = Whisper(image=path, size=24, hush=0.1)
        recipe = whisper.recipe(Synthesis(whisper.plan()))
        # As of a version in which the other had another default.
        recipe = recipe.model_copy(update={"options": {**recipe.options, "strength": 7.0}})
        assert Whisper.from_recipe(recipe).model_dump() == whisper.model_dump()


class TestLayers:
    """The layers that are taken where none is named."""

    @pytest.mark.parametrize("table", [DREAM_LAYERS, STYLE_LAYERS, CONTENT_LAYERS])
    def test_they_are_there_in_every_network(self, table):
        assert set(table) == {"pocket", *SOURCES}
        for name, layers in table.items():
            for layer in layers:
                assert resolve(f"{name}:{layer}").layer in find_backbone(name).layers

    def test_where_nobody_chose_any_one_must_be_named(self, path):
        with pytest.raises(PlanError, match="no layers are chosen for 'tiny'"):
            on.Dream(image=path, model="tiny").plan()
        plan = on.Dream(image=path, model="tiny", layer="relu1").plan()
        assert list(Synthesis(plan).plan.objective.layers) == ["tiny:relu1"]


class TestPlans:
    def test_a_dream_carries_detail_up_to_the_size_of_the_picture(self, path):
        plan = on.Dream(image=path, octaves=3, octave_scale=1.5).plan()
        assert [scale.size for scale in plan.schedule.scales] == [12, 19, 28]
        assert {scale.carry for scale in plan.schedule.scales} == {"detail"}

    def test_a_large_picture_is_dreamt_at_1024(self, tmp_path):
        save(tmp_path / "large.png", torch.rand(1, 3, 1200, 40))
        plan = on.Dream(image=tmp_path / "large.png").plan()
        assert plan.canvas.size(plan.schedule.scales[-1].size) == (1024, 34)

    def test_terms_without_weight_are_left_out(self, path):
        def names(**options):
            plan = on.Style(content=path, style=path, **options).plan()
            return [term.name for _, term in plan.objective.parts]

        assert names() == ["style", "content", "tv"]
        assert names(content_weight=0) == ["style", "tv"]
        assert names(smoothness=0) == ["style", "content"]

    def test_a_smallest_size_above_the_size_means_one_size(self, path):
        plan = on.Style(content=path, style=path, size=64, smallest=500).plan()
        assert [scale.size for scale in plan.schedule.scales] == [64]
