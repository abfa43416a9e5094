"""Options that are something else in every frame, and the frames that are made of them."""

import math
from itertools import pairwise
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from oneira.catalogue import TECHNIQUES
from oneira.errors import CheckpointError, OneiraError, PlanError
from oneira.feedforward.mixing import parsed_shares
from oneira.images import save
from oneira.motion.varying import FRAMES, Varied, between, vary
from oneira.motion.work import WorkFolder
from oneira.synthesis.run import Means

DREAM, STYLE, STYLIZE = (TECHNIQUES[verb] for verb in ("dream", "style", "stylize"))
FINITE = st.floats(-1e6, 1e6).map(lambda number: round(number, 3))
POSITIVE = st.floats(1e-3, 1e3).map(lambda number: float(f"{number:.4g}"))
COUNTS = st.integers(2, 40)


def only(text, technique=DREAM, frames=None):
    (variation,) = vary([text], technique, frames)
    return variation


class TestCourses:
    @given(FINITE, FINITE, COUNTS)
    def test_numbers_go_evenly_from_end_to_end(self, first, last, frames):
        values = only(f"blend={first}:{last}", frames=frames).values
        assert len(values) == frames
        assert values[0] == pytest.approx(first, rel=1e-5)
        assert values[-1] == pytest.approx(last, rel=1e-5)
        tolerance = 1e-5 * (abs(first) + abs(last)) + 1e-9
        steps = [b - a for a, b in pairwise(values)]
        assert steps == pytest.approx([(last - first) / (frames - 1)] * (frames - 1), abs=tolerance)

    @given(POSITIVE, POSITIVE, COUNTS)
    def test_logarithmic_ones_go_by_equal_factors(self, first, last, frames):
        values = only(f"blend={first}:{last}:log", frames=frames).values
        factors = [b / a for a, b in pairwise(values)]
        assert factors == pytest.approx([(last / first) ** (1 / (frames - 1))] * (frames - 1), rel=1e-4)
        assert (values[0], values[-1]) == (pytest.approx(first, rel=1e-5), pytest.approx(last, rel=1e-5))

    @given(st.integers(1, 99), st.integers(1, 99), COUNTS)
    def test_whole_numbers_stay_whole(self, first, last, frames):
        values = only(f"octaves={first}:{last}", frames=frames).values
        assert all(isinstance(value, int) for value in values)
        assert (values[0], values[-1]) == (first, last)
        assert list(values) == sorted(values, reverse=first > last)

    def test_one_frame_is_the_beginning(self):
        assert only("blend=0.25:1", frames=1).values == (0.25,)

    def test_there_are_as_many_frames_as_nothing_else_says(self):
        assert len(only("blend=0:1").values) == FRAMES

    def test_lists_give_a_frame_each(self):
        assert only("layer=relu2_1, relu3_1").values == ("relu2_1", "relu3_1")
        numbers = only("octaves=1,3,2")
        assert numbers.values == (1, 3, 2)
        assert numbers.captions == ("octaves 1", "octaves 3", "octaves 2")

    def test_addresses_are_no_courses(self):
        assert only("layer=vgg19:relu2_1,vgg19:relu3_1").values == ("vgg19:relu2_1", "vgg19:relu3_1")

    def test_several_go_together(self):
        layers, octaves = vary(["layer=relu2_1,relu3_1,relu4_1", "octaves=1:5"], DREAM, None)
        assert (layers.field, octaves.field) == ("layer", "octaves")
        assert octaves.values == (1, 3, 5)

    @pytest.mark.parametrize(
        ("told", "field"), [("class", "class_"), ("--octave-scale", "octave_scale"), ("octave-scale", "octave_scale")]
    )
    def test_options_are_called_as_they_are_typed(self, told, field):
        assert only(f"{told}=1,2").field == field

    def test_an_option_may_have_another_name(self):
        assert only("network=a.safetensors,b.safetensors", STYLIZE).field == "model"

    @pytest.mark.parametrize(
        ("texts", "told"),
        [
            (["strenght=0:1"], "dream has no option --strenght; did you mean '--strength'?"),
            (["strength"], "write OPTION=FROM:TO"),
            (["strength="], "write OPTION=FROM:TO"),
            (["strength=0:x"], "two numbers"),
            (["strength=0:nan"], "two numbers"),
            (["strength=0:inf"], "two numbers"),
            (["strength=0:1:2"], "or strength=FROM:TO:log"),
            (["strength=0:1:log"], "numbers above 0"),
            (["strength=0:1", "strength=1:0"], "tells strength twice"),
            (["layer=a,b,c", "octaves=1,2"], "--octaves has 2 values where other options and --frames say 3 frames"),
        ],
    )
    def test_what_is_none_is_told(self, texts, told):
        with pytest.raises(PlanError) as raised:
            vary(texts, DREAM, None)
        assert told in str(raised.value)
        assert "\n" not in str(raised.value)


class TestBetween:
    @given(st.lists(st.sampled_from("abc"), min_size=2, max_size=5), st.integers(1, 9))
    def test_shares_move_from_each_style_to_the_next(self, names, frames):
        blends = between(names, "abc", frames)
        assert blends.field == "blend"
        assert len(blends.values) == len(blends.captions) == (len(names) - 1) * frames + 1
        for number, blend in enumerate(blends.values):
            leg, step = divmod(number, frames)
            expected = dict.fromkeys("abc", 0.0)
            expected[names[leg]] += 1 - step / frames
            expected[names[min(leg + 1, len(names) - 1)]] += step / frames
            shares = dict.fromkeys("abc", 0.0) | dict(parsed_shares(blend, "--blend"))
            assert shares == pytest.approx(expected, abs=1e-5)

    def test_a_style_alone_leads_nowhere(self):
        with pytest.raises(PlanError, match="at least two styles, such as a,b"):
            between(["a"], "abc", 3)

    def test_the_nearest_style_is_named(self):
        with pytest.raises(PlanError, match="unknown style 'wafe'; did you mean 'wave'"):
            between(["starry", "wafe"], ["starry", "wave"], 3)


@pytest.fixture
def shots(tmp_path, image):
    save(tmp_path / "cat.png", image)
    common = {"image": str(tmp_path / "cat.png"), "layer": "tiny:relu2", "octaves": 1, "jitter": 1}
    return [DREAM.configured(**common, steps=steps) for steps in (1, 2, 3)]


@pytest.fixture
def work(tmp_path):
    return WorkFolder(tmp_path / "film.gif")


MEANS = Means(seed=3, device="cpu", precision="float32")


def made(work):
    return {path.name: path.read_bytes() for path in work.folder.glob("*.png")}


class TestVaried:
    def test_each_frame_is_what_the_technique_makes_alone(self, shots, work):
        progress = list(Varied(shots, work, MEANS))
        assert [p.done for p in progress if p.step is None] == [0, 1, 2, 3]
        assert sum(p.step is not None for p in progress) == 1 + 2 + 3
        for number, shot in enumerate(shots, 1):
            alone = shot.run(seed=3, device="cpu", precision="float32")
            assert (work.kept(number) - alone).abs().max() <= 0.5 / 255 + 1e-6

    def test_stopped_anywhere_it_goes_on_to_the_same_bytes(self, shots, work, tmp_path):
        whole = WorkFolder(tmp_path / "whole.gif")
        total = len(list(Varied(shots, whole, MEANS)))
        for stop in range(1, total):
            course = iter(Varied(shots, work, MEANS))
            for _ in range(stop):
                done = next(course).done
            course.close()
            assert len(made(work)) == done
            assert [p.done for p in Varied(shots, work, MEANS) if p.step is None] == list(range(done, 4))
            assert made(work) == made(whole)
            work.remove()

    def test_frames_that_are_there_are_not_made_again(self, shots, work):
        list(Varied(shots, work, MEANS))
        before = {path: path.stat().st_mtime_ns for path in work.folder.iterdir()}
        assert [p.done for p in Varied(shots, work, MEANS)] == [3]
        assert {path: path.stat().st_mtime_ns for path in work.folder.iterdir()} == before

    @pytest.mark.parametrize(
        "other",
        [
            lambda shots: (shots[:2], MEANS),
            lambda shots: (shots, Means(seed=4, device="cpu", precision="float32")),
            lambda shots: ([*shots[:2], shots[1]], MEANS),
        ],
    )
    def test_other_frames_are_not_mixed_in(self, other, shots, work):
        list(Varied(shots, work, MEANS))
        before = made(work)
        others, means = other(shots)
        with pytest.raises(CheckpointError, match="another job"):
            list(Varied(others, work, means))
        assert made(work) == before

    def test_another_picture_under_the_same_name_is_another_film(self, shots, work, image):
        list(Varied(shots, work, MEANS))
        save(Path(shots[0].image), 1 - image)
        with pytest.raises(CheckpointError, match="another job"):
            list(Varied(shots, work, MEANS))

    def test_nothing_is_left_where_no_frame_could_be_made(self, shots, work):
        bad = [shots[0].configured(**{**shots[0].model_dump(), "layer": ("tiny:relu9",)})]
        with pytest.raises(OneiraError):
            list(Varied(bad, work, MEANS))
        assert not work.folder.exists()

    def test_the_recipe_tells_the_verb_what_varies_and_every_input(self, shots, work, tmp_path, image):
        save(tmp_path / "dog.png", image.flip(-1))
        shots = [*shots, shots[0].model_copy(update={"image": str(tmp_path / "dog.png")})]
        varied = Varied(shots, work, MEANS)
        list(varied)
        recipe = varied.recipe({"vary": ["steps=1:3"]})
        assert recipe.technique == "animate"
        assert (recipe.options["verb"], recipe.options["vary"]) == ("dream", ["steps=1:3"])
        assert recipe.options["options"]["layer"] == ["tiny:relu2"]
        assert (recipe.seed, recipe.precision) == (3, "float32")
        assert [Path(file.path).name for file in recipe.input_files["image"]] == ["cat.png", "dog.png"]

    def test_transparency_is_laid_on_white(self, tmp_path, image, work, shots):
        save(tmp_path / "cut.png", image, alpha=torch.zeros(1, 1, 20, 28))
        clear = [shots[0].model_copy(update={"image": str(tmp_path / "cut.png")})]
        with pytest.warns(UserWarning, match="laid on white"):
            list(Varied(clear, work, MEANS))
        assert work.kept(1).min() == 1
        assert math.isclose(work.kept(1).mean(), 1)
