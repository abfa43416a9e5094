"""Every option of the dream is reached and does what it says; what cannot be is told in one line."""

import pytest
import torch
from networks import TINY
from torch.testing import assert_close

from oneira.errors import AddressError, ImageError, OneiraError, PlanError
from oneira.features.encoder import Encoder
from oneira.features.registry import find_backbone, resolve
from oneira.images import fit, resize, rgb_to_yiq, save
from oneira.inspection.labels import pocket_labels
from oneira.inspection.meanings import Meanings, Push
from oneira.objectives import ClassLogit, Direction, Guided, Neuron, SeenClass
from oneira.objectives.term import as_sum
from oneira.synthesis.augmentation import ROBUST, Jitter
from oneira.synthesis.canvas import Pixels
from oneira.synthesis.confined import Confined
from oneira.synthesis.fourier import Fourier
from oneira.synthesis.loop import Synthesis
from oneira.synthesis.luminance import Luminance
from oneira.synthesis.maco import Maco
from oneira.synthesis.schedules import Blend, Zoom
from oneira.synthesis.shaping import GaussianCascade, LaplacianPyramid, MeanAbs, Std
from oneira.synthesis.tiling import Tiling
from oneira.techniques.dream import Dream

LAYER = f"{TINY}:relu2"
SMALL = {"layer": LAYER, "size": 48, "octaves": 2, "steps": (2,), "strength": (1.0,), "jitter": 4}
HEIGHT, WIDTH = 40, 48
CPU = torch.device("cpu")


def picture(seed, height=HEIGHT, width=WIDTH):
    """Random levels of 255, so that a file holds it exactly."""
    levels = torch.randint(0, 256, (1, 3, height, width), generator=torch.Generator().manual_seed(seed))
    return levels.float() / 255


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """Paths by name: `sky` and `cat`, pictures of one size; `mask`, white on the left; `long`, of other proportions."""
    folder = tmp_path_factory.mktemp("pictures")
    mask = torch.zeros(1, 3, HEIGHT, WIDTH)
    mask[..., : WIDTH // 2] = 1
    drawn = {"sky": picture(1), "cat": picture(2), "mask": mask, "long": torch.ones(1, 3, 20, 80), "dark": mask * 0}
    for name, image in drawn.items():
        save(folder / f"{name}.png", image)
    (folder / "mine.toml").write_text('eyes = ["relu4_3:2", "relu4_3:3"]')
    Meanings("pocket", "", ("banana",), {"relu1_1": ((Push(0, 1.0),),)}).write(folder / "known.json")
    others = {"mine": str(folder / "mine.toml"), "known": str(folder / "known.json")}
    return {name: str(folder / f"{name}.png") for name in drawn} | others


@pytest.fixture
def plan(files):
    """The plan of a small dream of `sky` with other options; values that name a file mean its path."""

    def planned(preset=None, **options):
        placed = {"image": "sky", **options}
        located = {name: files.get(value, value) if isinstance(value, str) else value for name, value in placed.items()}
        return Dream.configured(preset, **{**SMALL, **located}).plan()

    return planned


def run(plan, seed=0):
    """All steps, and the picture in the end."""
    synthesis = Synthesis(plan, precision="float32", seed=seed)
    return list(synthesis), synthesis.image


def finished(plan, seed=0):
    return run(plan, seed)[1]


def terms(plan):
    return [term for _, term in as_sum(plan.objective).parts]


def names(plan):
    return [term.name for term in terms(plan)]


def stages(plan):
    return [scale.stage for scale in plan.schedule.scales if scale.stage]


def begun(plan):
    """What a dream begins with, at its full size."""
    size = plan.canvas.size(plan.schedule.scales[-1].size)
    return plan.canvas.begin(size, torch.Generator().manual_seed(0), CPU).image().detach()


def shaped(plan):
    return plan.shaping[0]


def chosen(plan):
    """The channels that grow, by layer."""
    return {term.layers: tuple(term.channels.numbers) for term in terms(plan) if term.channels is not None}


EYES = {"layer": (), "like": "eyes"}
SHIPPED_EYES = tuple(unit.channel for unit in pocket_labels().called("eyes"))
WAY = f"{TINY}:relu1,{TINY}:relu2"

# option: (options with it, what is then true of the plan, and is not without it)
EFFECTS = {
    "image": ({"image": "cat"}, lambda plan: torch.equal(plan.canvas.start, picture(2))),
    "size": ({"size": 32}, lambda plan: plan.schedule.scales[-1].size == 32),
    "model": ({"layer": "relu1", "model": TINY}, lambda plan: plan.objective.layers == [f"{TINY}:relu1"]),
    "like": (EYES, lambda plan: chosen(plan) == {"pocket:relu4_3": SHIPPED_EYES}),
    "like_count": ({**EYES, "like_count": 1, "labels": "mine"}, lambda plan: chosen(plan) == {"pocket:relu4_3": (2,)}),
    "labels": ({**EYES, "labels": "mine"}, lambda plan: chosen(plan) == {"pocket:relu4_3": (2, 3, *SHIPPED_EYES)}),
    "atlas": (
        {"layer": (), "like": "banana", "atlas": "known"},
        lambda plan: chosen(plan) == {"pocket:relu1_1": (0,)},
    ),
    "layer": ({"layer": f"{TINY}:relu1"}, lambda plan: plan.objective.layers == [f"{TINY}:relu1"]),
    "layer_weight": ({"layer_weight": (-2.0,)}, lambda plan: plan.objective.weights == (-2.0,)),
    "loss": ({"loss": "mean"}, lambda plan: plan.objective.loss == "mean"),
    "power": ({"loss": "norm", "power": 4.0}, lambda plan: plan.objective.power == 4),
    "channels": ({"channels": "all-but:1"}, lambda plan: plan.objective.channels is not None),
    "channels_once": ({"channels": "typical:2", "channels_once": True}, lambda plan: plan.objective.channels.once),
    "channels_seed": ({"channels": "random:2", "channels_seed": 9}, lambda plan: plan.objective.channels.seed == 9),
    "at": ({"channels": "3", "at": "1,2"}, lambda plan: terms(plan) == [Neuron(LAYER, 3, 1, 2)]),
    "class_": ({"layer": (), "class_": "banana"}, lambda plan: terms(plan) == [ClassLogit("banana", "pocket")]),
    "class_against": (
        {"layer": (), "class_": "banana", "class_against": 0.5},
        lambda plan: terms(plan) == [ClassLogit("banana", "pocket", 0.5)],
    ),
    "direction": ({"direction": "1:2,3:-1"}, lambda plan: isinstance(terms(plan)[0], Direction)),
    "guide": ({"guide": "cat"}, lambda plan: isinstance(terms(plan)[0], Guided)),
    "guide_by": ({"guide": "cat", "guide_by": "mean"}, lambda plan: terms(plan)[0].by == "mean"),
    "style": ({"style": "cat"}, lambda plan: names(plan) == ["dream", "style"]),
    "style_weight": ({"style": "cat", "style_weight": 3.0}, lambda plan: plan.objective.parts[1][0] == 3),
    "smoothness": ({"smoothness": 2.0}, lambda plan: names(plan) == ["dream", "tv"]),
    "restraint": ({"restraint": 2.0}, lambda plan: names(plan) == ["dream", "alphanorm"]),
    "start": ({"start": "white"}, lambda plan: bool((plan.canvas.start == 1).all())),
    "canvas": ({"canvas": "fourier"}, lambda plan: isinstance(plan.canvas, Fourier)),
    "spread": ({"start": "pink-noise", "spread": 0.05}, lambda plan: plan.canvas.spread == 0.05),
    "spectrum": ({"canvas": "maco", "spectrum": "cat"}, lambda plan: plan.canvas.magnitude is not None),
    "mask": ({"mask": "mask"}, lambda plan: isinstance(plan.canvas, Confined)),
    "colors": ({"colors": "content"}, lambda plan: isinstance(plan.canvas, Luminance)),
    "unclipped": ({"unclipped": True}, lambda plan: not plan.canvas.clamp),
    "octaves": ({"octaves": 3}, lambda plan: [scale.size for scale in plan.schedule.scales] == [24, 34, 48]),
    "octave_scale": ({"octave_scale": 2.0}, lambda plan: [scale.size for scale in plan.schedule.scales] == [24, 48]),
    "rounds": ({"rounds": 2}, lambda plan: [scale.size for scale in plan.schedule.scales] == [34, 48, 34, 48]),
    "carry": ({"carry": "result"}, lambda plan: plan.schedule.scales[1].carry == "result"),
    "recursive": ({"recursive": True}, lambda plan: plan.schedule.scales[1].carry == Blend(0.2)),
    "blend": ({"recursive": True, "blend": 0.7}, lambda plan: plan.schedule.scales[1].carry == Blend(0.7)),
    "preblur": ({"preblur": 1.0}, lambda plan: plan.canvas.smoothing == 1),
    "steps": ({"steps": (3, 5)}, lambda plan: [scale.steps for scale in plan.schedule.scales] == [3, 5]),
    "step": ({"step": 0.01}, lambda plan: plan.optimiser.rate == 0.01),
    "strength": ({"strength": (2.0, 0.5)}, lambda plan: [scale.rate for scale in plan.schedule.scales] == [2, 0.5]),
    "optimiser": ({"optimiser": "rmsprop"}, lambda plan: plan.optimiser.name == "rmsprop"),
    "jitter": ({"jitter": 7}, lambda plan: plan.augmentation == (Jitter(7),)),
    "transforms": ({"transforms": "robust"}, lambda plan: plan.augmentation == ROBUST),
    "gradient": ({"gradient": "std"}, lambda plan: plan.shaping == (Std(),)),
    "levels": ({"gradient": "laplacian", "levels": 2}, lambda plan: plan.shaping == (LaplacianPyramid(2),)),
    "level_sigma": ({"gradient": "laplacian", "level_sigma": 2.0}, lambda plan: shaped(plan).sigma == 2),
    "blur": ({"blur": 2.0}, lambda plan: plan.shaping == (GaussianCascade(2, 0, (1.0,)), MeanAbs())),
    "blur_growth": ({"blur": 2.0, "blur_growth": 3.0}, lambda plan: shaped(plan).growth == 3),
    "blur_factors": ({"blur": 2.0, "blur_factors": (1.0, 0.5)}, lambda plan: shaped(plan).factors == (1, 0.5)),
    "blur_kernel": ({"blur": 2.0, "blur_kernel": 9}, lambda plan: shaped(plan).kernel == 9),
    "tile": ({"tile": 64}, lambda plan: plan.tiling == Tiling(64, "random")),
    "tile_offset": ({"tile": 64, "tile_offset": "fixed"}, lambda plan: plan.tiling.offset == "fixed"),
    "tile_gradient": ({"tile": 64, "tile_gradient": "std"}, lambda plan: plan.tiling.shaping == (Std(),)),
    "through": ({"through": WAY}, lambda plan: stages(plan) == WAY.split(",")),
    "random_channels": (
        {"through": WAY, "random_channels": 3},
        lambda plan: [term.channels and term.channels.count for term in plan.objectives[::2]] == [3, 3],
    ),
    "from_": (
        {"through": WAY, "random_channels": 3, "from_": f"{TINY}:relu2"},
        lambda plan: [term.channels is None for term in plan.objectives[::2]] == [True, False],
    ),
    "zoom": ({"zoom": 1.1}, lambda plan: stages(plan) == ["frame"] * 60),
    "rotate": ({"zoom": 1.1, "rotate": 5.0}, lambda plan: plan.schedule.scales[2].carry.degrees == 5),
    "frames": ({"zoom": 1.1, "frames": 3}, lambda plan: stages(plan) == ["frame"] * 3),
}


def test_every_option_is_reached():
    # What --loop does is done to the film, behind the last step.
    assert set(EFFECTS) == set(Dream.model_fields) - {"loop"}
    for name, (options, _) in EFFECTS.items():
        assert name in options


@pytest.mark.parametrize("name", EFFECTS)
def test_an_option_has_its_effect_on_the_plan(name, plan):
    options, is_seen = EFFECTS[name]
    assert is_seen(plan(**options))
    assert not is_seen(plan(**{other: value for other, value in options.items() if other != name}))


# What grows


class TestWishes:
    @pytest.mark.parametrize(
        "options",
        [
            {},
            {"loss": "mean"},
            {"loss": "norm"},
            {"loss": "norm", "power": 6.0},
            {"layer": (LAYER, f"{TINY}:relu3"), "layer_weight": (1.0, 0.2)},
            {"layer_weight": -1.0},
            {"channels": "2"},
            {"channels": "0,3"},
            {"channels": "all-but:0"},
            {"channels": "first:2"},
            {"channels": "random:2"},
            {"channels": "strongest:1"},
            {"channels": "weakest:5"},
            {"channels": "typical:3", "channels_once": True},
            {"channels": "1", "at": "3,4", "start": "pink-noise"},
            {"channels": "1, 2", "at": "middle"},
            {"direction": "1:1,2:-1"},
            {"guide": "cat"},
            {"guide": "cat", "guide_by": "mean"},
            {"canvas": "fourier", "optimiser": "adam", "step": 0.02},
            {"canvas": "maco", "optimiser": "adam", "step": 0.05},
            {"colors": "content"},
            {"mask": "mask"},
            {"tile": 64},
            {"optimiser": "lbfgs", "gradient": "none", "step": 0.1},
        ],
        ids=str,
    )
    def test_what_is_wished_grows(self, options, plan):
        steps, _ = run(plan(octaves=1, steps=4, jitter=0, **options))
        assert steps[-1].loss < steps[0].loss

    def test_a_weight_below_zero_calms_a_layer(self, plan):
        steps, _ = run(plan(octaves=1, steps=4, jitter=0, layer_weight=-1.0))
        assert 0 < steps[-1].losses["dream"] < steps[0].losses["dream"]

    def test_guides_and_directions_are_as_given(self, plan):
        guided, directed = terms(plan(guide="cat", direction="1:2, 3:-1"))
        assert torch.equal(guided.image, picture(2))
        assert directed.vector == {1: 2.0, 3: -1.0}
        assert directed.layer == LAYER

    @pytest.mark.parametrize(
        ("text", "rule", "numbers", "count"),
        [
            ("3", "these", (3,), None),
            ("3,1", "these", (3, 1), None),
            ("all-but:3,1", "all-but", (3, 1), None),
            ("first:2", "first", (), 2),
            ("random:2", "random", (), 2),
            ("strongest:2", "strongest", (), 2),
            ("weakest:2", "weakest", (), 2),
            ("typical:2", "typical", (), 2),
        ],
    )
    def test_channels_are_as_written(self, text, rule, numbers, count, plan):
        choice = plan(channels=text).objective.channels
        assert (choice.rule, tuple(choice.numbers), choice.count) == (rule, numbers, count)

    def test_a_unit_of_each_layer_and_channel(self, plan):
        layers = (f"{TINY}:relu1", LAYER)
        assert terms(plan(layer=layers, channels="1,4", at="middle")) == [
            Neuron(layer, channel, None, None) for layer in layers for channel in (1, 4)
        ]

    def test_a_class_by_name_is_the_class_by_number(self, plan):
        network = {"layer": (), "size": 64, "octaves": 1}
        banana = plan(class_="banana", **network)
        steps, image = run(banana)
        assert steps[-1].losses["class"] < steps[0].losses["class"]
        number = next(index for index, names in enumerate(_class_names()) if "banana" in names)
        assert torch.equal(image, finished(plan(class_=str(number), **network)))
        assert not torch.equal(image, finished(plan(class_="goldfish", **network)))

    def test_several_classes_and_what_is_seen_already(self, plan):
        several = terms(plan(layer=(), class_=("banana", "auto", "7")))
        assert [type(term) for term in several] == [ClassLogit, SeenClass, ClassLogit]
        assert torch.equal(several[1].image, picture(1))
        steps, _ = run(plan(layer=(), class_="auto", size=64, octaves=1, jitter=0))
        assert steps[-1].loss < steps[0].loss

    def test_classes_join_a_layer_that_is_named_and_stand_alone_otherwise(self, plan):
        assert names(plan(class_="banana")) == ["class", "dream"]
        assert names(plan(class_="banana", layer=())) == ["class"]

    def test_a_class_held_against_all_others_grows_in_probability(self, plan):
        steps, _ = run(plan(class_="banana", class_against=1.0, layer=(), size=64, octaves=1))
        assert 0 < steps[-1].losses["class"] < steps[0].losses["class"]  # minus the logarithm of a probability

    def test_the_preset_for_classes_makes_a_picture_of_one_from_nothing(self, plan):
        small = {"image": None, "layer": (), "size": 64, "octaves": 1, "steps": (16,)}
        image = finished(plan(preset="class", class_="banana", **small, strength=1.0, jitter=32))
        logits = Encoder(offline=True)(image, ["pocket:fc"])[resolve("pocket:fc")]
        assert "banana" in _class_names()[int(logits.argmax())]

    def test_wishes_add_up(self, plan):
        everything = plan(class_="banana", guide="cat", direction="1:1", channels="2", at="0,0", style="cat")
        assert names(everything) == ["class", "guided", "direction", "neuron", "dream", "style"]
        assert isinstance(terms(everything)[1], Guided)

    def test_a_manner_is_taken_on(self, plan):
        network = {"layer": "relu1_2", "size": 48, "octaves": 1, "steps": 3, "jitter": 0, "style": "cat"}
        strong, _ = run(plan(style_weight=1e4, **network))
        weak, _ = run(plan(style_weight=1e-4, **network))
        assert strong[-1].losses["style"] < weak[-1].losses["style"]

    def test_smoothness_smooths_and_restraint_pales(self, plan):
        def variation(image):
            return (image.diff(dim=2).square().mean() + image.diff(dim=3).square().mean()).item()

        def contrast(image):
            return (image - 0.5).square().mean().item()

        plain = finished(plan())
        assert variation(finished(plan(smoothness=1000.0))) < 0.99 * variation(plain)
        assert contrast(finished(plan(restraint=1000.0))) < 0.99 * contrast(plain)


def _class_names():
    return find_backbone("pocket").classes()


# What it begins with, and what may change


class TestBeginning:
    STARTS = ("white-noise", "pink-noise", "white", "black", "grey")

    def test_with_the_picture(self, plan):
        assert torch.equal(begun(plan()), picture(1))

    @pytest.mark.parametrize(("start", "level"), [("white", 1.0), ("black", 0.0), ("grey", 0.5)])
    def test_with_one_colour(self, start, level, plan):
        assert begun(plan(start=start)).unique().tolist() == [level]

    @pytest.mark.parametrize("spread", [0.02, 0.1])
    def test_with_noise_of_a_spread(self, spread, plan):
        white, pink = (begun(plan(start=start, spread=spread)) - 0.5 for start in ("white-noise", "pink-noise"))
        for noise in (white, pink):
            assert float(noise.std()) == pytest.approx(spread, rel=0.05)
        assert (pink[..., 1:] * pink[..., :-1]).mean() > 0.4 * spread**2
        assert (white[..., 1:] * white[..., :-1]).mean().abs() < 0.1 * spread**2

    @pytest.mark.parametrize("start", STARTS)
    @pytest.mark.parametrize("canvas", ["pixels", "fourier", "maco"])
    def test_without_a_picture_it_is_a_square_of_the_size(self, start, canvas, plan):
        chosen = plan(image=None, start=start, canvas=canvas, size=32)
        assert chosen.canvas.size(chosen.schedule.scales[-1].size) == (32, 32)
        assert finished(chosen).shape == (1, 3, 32, 32)
        assert plan(image=None, start=start, size=None).schedule.scales[-1].size == 512

    @pytest.mark.parametrize("start", STARTS)
    @pytest.mark.parametrize("carry", [{"carry": "detail"}, {"carry": "result"}, {"recursive": True}], ids=str)
    def test_of_a_picture_that_it_does_not_begin_with_only_the_proportions_count(self, start, carry, plan):
        dreams = [finished(plan(image=name, start=start, **carry)) for name in ("sky", "cat")]
        assert dreams[0].shape == (1, 3, HEIGHT, WIDTH)
        assert torch.equal(*dreams)

    def test_fourier_and_maco_begin_with_the_picture_too(self, plan):
        smooth = {"image": "sample:cat", "size": 48}
        original = begun(plan(**smooth))
        assert_close(begun(plan(canvas="fourier", **smooth)), original, atol=0.01, rtol=0)
        alike = torch.stack([begun(plan(canvas="maco", **smooth)).flatten(), original.flatten()])
        assert torch.corrcoef(alike)[0, 1] > 0.5

    def test_a_spectrum_is_that_of_its_picture_however_small(self, plan):
        canvas = plan(canvas="maco", spectrum="cat").canvas
        assert isinstance(canvas, Maco)
        assert canvas.magnitude.shape == (3, HEIGHT, HEIGHT // 2 + 1)


class TestChanges:
    @pytest.mark.parametrize("start", ["picture", "white-noise", "black"])
    @pytest.mark.parametrize("canvas", ["pixels", "fourier", "maco"])
    @pytest.mark.parametrize("journey", [{}, {"rounds": 2}, {"through": WAY}], ids=str)
    def test_outside_the_mask_nothing_changes_by_a_bit(self, start, canvas, journey, plan):
        image = finished(plan(mask="mask", start=start, canvas=canvas, octaves=3, step=0.05, steps=1, **journey))
        assert torch.equal(image[..., WIDTH // 2 :], picture(1)[..., WIDTH // 2 :])
        assert (image - picture(1))[..., : WIDTH // 2].abs().mean() > 0.01

    def test_outside_the_mask_the_resized_picture_stays(self, plan):
        image = finished(plan(mask="mask", size=36, octaves=3))
        kept = resize(picture(1), fit(HEIGHT, WIDTH, 36))
        assert torch.equal(image[..., 20:], kept[..., 20:])

    @pytest.mark.parametrize("journey", [{}, {"through": WAY}], ids=str)
    def test_the_pictures_colours_stay(self, journey, plan):
        image = finished(plan(colors="content", step=0.05, **journey))
        chroma, luma = rgb_to_yiq(image)[:, 1:], rgb_to_yiq(image)[:, :1]
        assert_close(chroma, rgb_to_yiq(picture(1))[:, 1:], atol=1e-5, rtol=0)
        assert (luma - rgb_to_yiq(picture(1))[:, :1]).abs().mean() > 0.01

    @pytest.mark.parametrize("unclipped", [False, True])
    def test_values_leave_their_range_only_where_they_may(self, unclipped, plan):
        synthesis = Synthesis(plan(unclipped=unclipped, step=0.2, octaves=1), precision="float32")
        list(synthesis)
        (values,) = synthesis.state()["parameters"]
        assert (values.max() > 1.05 and values.min() < -0.05) == unclipped
        assert 0 <= synthesis.image.min() <= synthesis.image.max() <= 1

    def test_strength_multiplies_the_step_of_its_octave(self, plan):
        still = {"octaves": 1, "steps": 1, "jitter": 0}
        assert torch.equal(
            finished(plan(strength=3.0, step=0.004, **still)), finished(plan(strength=1.0, step=0.012, **still))
        )

    def test_several_rounds_carry_the_dream_on(self, plan):
        change = [(finished(plan(rounds=rounds, steps=1)) - picture(1)).abs().mean() for rounds in (1, 4)]
        assert change[1] > 2 * change[0]

    def test_a_blend_of_one_begins_each_octave_with_the_picture(self, plan):
        still = {"recursive": True, "blend": 1.0, "jitter": 0}
        assert torch.equal(finished(plan(octaves=3, **still)), finished(plan(octaves=1, **still)))


def test_the_same_seed_the_same_bytes(plan):
    chosen = plan(tile=64, transforms="robust", start="pink-noise")
    assert torch.equal(finished(chosen, 3), finished(chosen, 3))
    assert not torch.equal(finished(chosen, 3), finished(chosen, 4))


# Journeys


class TestJourneys:
    @pytest.mark.parametrize(
        ("model", "through", "way"),
        [
            ("pocket", "relu1_1..relu2_2", ["relu1_1", "relu1_2", "relu2_1", "relu2_2"]),
            ("pocket", "relu3_2 .. relu3_2", ["relu3_2"]),
            ("pocket", "conv4_4..conv5_1", ["conv4_4", "conv5_1"]),
            ("pocket", "relu5_1, relu1_1", ["relu5_1", "relu1_1"]),
            ("pocket", "relu3_1", ["relu3_1"]),
            ("googlenet", "inception_3b/output..inception_4b/output", ["3b", "4a", "4b"]),
            ("inception_v3", "mixed3..mixed5", ["mixed3", "mixed4", "mixed5"]),
        ],
    )
    def test_a_way_is_a_range_or_a_list(self, model, through, way):
        found = Dream(model=model, through=through).way()
        named = [name if name.startswith(("relu", "conv", "mixed")) else f"inception_{name}/output" for name in way]
        assert found == [(name, None) for name in named]

    def test_late_layers_get_random_channels(self):
        dream = Dream(through="relu1_1..relu2_2", random_channels=5, from_="relu2_1")
        assert [channels for _, channels in dream.way()] == [None, None, "random:5", "random:5"]

    def test_each_dream_is_the_next_ones_picture_with_a_share_of_the_original(self, plan):
        still = {"jitter": 0, "octaves": 1}
        first = finished(plan(layer=f"{TINY}:relu1", **still))
        mixed = torch.lerp(first, picture(1), 0.3)
        leg = plan(**still)
        object.__setattr__(leg, "canvas", Pixels.of(mixed))
        assert_close(finished(plan(through=WAY, blend=0.3, **still)), finished(leg))

    def test_a_dive_has_a_stage_for_each_frame(self, plan):
        steps, image = run(plan(zoom=1.05, rotate=3.0, frames=3))
        assert [step.stage for step in steps if step.stage] == ["frame"] * 3
        ends = [step.done for step in steps if step.stage]
        assert ends == [4, 8, 12]
        assert image.shape == (1, 3, HEIGHT, WIDTH)

    def test_a_dive_begins_each_frame_with_the_last_magnified(self, plan):
        dive = plan(zoom=1.2, frames=2, octaves=1, steps=1, step=1e-9)
        magnified = Zoom(1.2, palette=picture(1))(picture(1))
        assert_close(finished(dive), magnified, atol=1e-5, rtol=0)


# What is refused


@pytest.mark.parametrize(
    ("options", "kind", "says"),
    [
        ({"image": None}, PlanError, "^dream needs IMAGE, or a --start that is none, such as pink-noise$"),
        ({"image": "nowhere.png"}, ImageError, "nowhere.png"),
        ({"guide": "nowhere.png"}, ImageError, "nowhere.png"),
        ({"style": "nowhere.png"}, ImageError, "nowhere.png"),
        ({"mask": "nowhere.png"}, ImageError, "nowhere.png"),
        ({"mask": "long"}, PlanError, "is 80x20, the picture 48x40: give a mask of the picture's proportions"),
        ({"mask": "dark"}, PlanError, "black everywhere"),
        ({"mask": "mask", "image": None, "start": "grey"}, PlanError, "--mask .* name a picture"),
        ({"colors": "content", "image": None, "start": "grey"}, PlanError, "--colors .* name a picture"),
        ({"through": WAY, "image": None, "start": "grey"}, PlanError, "--through .* name one"),
        ({"class_": "auto", "image": None, "start": "grey"}, PlanError, "--class auto .* name one, or a class"),
        ({"channels": "strongest:2", "image": None, "start": "grey"}, PlanError, "are those of a picture"),
        ({"spectrum": "cat"}, PlanError, "--spectrum belongs to --canvas maco, not to pixels"),
        ({"spectrum": "cat", "canvas": "fourier"}, PlanError, "not to fourier"),
        ({"zoom": 1.1, "through": WAY}, PlanError, "^--zoom and --through are two journeys: choose one$"),
        ({"random_channels": 3}, PlanError, "belong to --through"),
        ({"from_": LAYER}, PlanError, "belong to --through"),
        ({"rotate": 3.0}, PlanError, "--rotate turns the frames of --zoom"),
        ({"loop": True}, PlanError, "--loop closes a dive"),
        ({"loop": True, "zoom": 1.0}, PlanError, "--loop closes a dive"),
        ({"loop": True, "zoom": 1.1, "frames": 1}, PlanError, "two --frames at least"),
        ({"through": WAY, "from_": LAYER}, PlanError, "say how many by --random-channels"),
        ({"through": WAY, "random_channels": 2, "from_": "tiny:relu3"}, PlanError, "no layer of the way; did you mean"),
        ({"through": "relu2_1..relu1_1"}, PlanError, "leads nowhere"),
        ({"through": "relu2_1..conv3_1"}, PlanError, "leads nowhere"),
        ({"through": "relu1_1..relu9_1"}, AddressError, "unknown layer 'relu9_1' of pocket; did you mean"),
        ({"through": "rule1_1..relu2_1"}, AddressError, "unknown layer 'rule1_1' of pocket; did you mean 'relu1_1'"),
        ({"through": "relu1_1.."}, AddressError, "is not an address"),
        ({"through": "relu1_1,rule2_1"}, AddressError, "did you mean 'relu2_1'"),
        ({"through": ","}, AddressError, "unknown layer ','"),
        ({"through": WAY, "layer_weight": (1.0, 2.0)}, PlanError, "one weight per layer: 1 here, not 2"),
        ({"layer": "rule4_2"}, AddressError, "unknown layer 'rule4_2' of pocket; did you mean 'relu4_2'"),
        ({"layer": "vgg91:relu4_2"}, AddressError, "unknown backbone 'vgg91'; did you mean 'vgg19'"),
        ({"model": "pokcet"}, AddressError, "did you mean 'pocket'"),
        ({"layer_weight": (1.0, 2.0)}, PlanError, "one weight per layer: 1 here, not 2"),
        ({"power": 3.0}, PlanError, "belongs to the loss 'norm'"),
        ({"channels": "6"}, AddressError, "channels 0 to 5, not 6"),
        ({"layer": "relu1_1", "channels": "999", "size": 64}, AddressError, "pocket:relu1_1 has channels 0 to 31"),
        ({"channels": "strongets:3"}, PlanError, "did you mean 'strongest'"),
        ({"channels": "1,1"}, PlanError, "named twice"),
        ({"channels": "first:7"}, AddressError, "6 channels, fewer than first:7"),
        ({"at": "1,1"}, PlanError, "--at names one unit of a channel: say which by --channels"),
        ({"at": "1,1", "channels": "random:2"}, PlanError, "--at names one unit of a channel"),
        ({"at": "1;1", "channels": "2"}, PlanError, "--at takes ROW,COLUMN such as 3,4, or middle; not '1;1'"),
        ({"at": "-1,1", "channels": "2"}, PlanError, "--at takes ROW,COLUMN"),
        ({"at": "99,0", "channels": "2"}, AddressError, r"\(99, 0\) lies outside"),
        ({"class_": "bananna"}, AddressError, "did you mean 'banana'"),
        ({"class_": "200", "size": 64}, AddressError, "classes 0 to 199, not 200"),
        ({"class_": "banana", "model": TINY}, AddressError, "does not say which layer holds its classes' logits"),
        ({"direction": "1=1"}, PlanError, "cannot read '1=1' in the direction"),
        ({"direction": "9:1"}, AddressError, "channels 0 to 5, not 9"),
        ({"style": "cat", "model": TINY, "layer": "relu2"}, PlanError, "no layers are chosen for 'tiny'"),
        ({"layer": "relu5_1", "size": 32, "octaves": 5}, PlanError, "at the smallest of 5 sizes: .*"),
        ({"blur_growth": 2.0}, PlanError, "sigma above 0 pixels"),
        ({"blur": 1.0, "blur_kernel": 8}, PlanError, "odd number of pixels"),
        ({"blur": 1.0, "blur_factors": (0.0,)}, PlanError, "sigma above 0 pixels"),
        ({"strength": (1.0, 0.0)}, PlanError, "--strength cannot be 0; allowed: numbers above 0"),
        ({"optimiser": "lbfgs"}, PlanError, "without jitter or tiles"),
        ({"optimiser": "adma"}, PlanError, "--optimiser cannot be 'adma'; allowed: .*'adam'"),
        ({"start": "pink"}, PlanError, "--start cannot be 'pink'; allowed: .*'pink-noise'"),
        ({"canvas": "pixel"}, PlanError, "--canvas cannot be 'pixel'; allowed: .*'pixels'"),
        ({"octaves": 0}, PlanError, "--octaves cannot be 0; allowed: at least 1 and at most 20"),
        ({"octave_scale": 1.0}, PlanError, "--octave-scale cannot be 1.0; allowed: above 1 and at most 4"),
        ({"steps": 0}, PlanError, "--steps cannot be 0; allowed: at least 1 and at most 100000$"),
        ({"steps": (3, 10**6)}, PlanError, "--steps cannot be 1000000; allowed: at least 1 and at most 100000$"),
        ({"steps": (3, "many")}, PlanError, "--steps cannot be 'many'; allowed: input should be a valid integer"),
        ({"strength": (1.0, float("nan"))}, PlanError, "--strength cannot be nan; allowed: finite numbers$"),
        ({"steps": ()}, PlanError, r"--steps cannot be \(\); allowed: at least this many: 1"),
        ({"zoom": 0.5}, PlanError, "--zoom cannot be 0.5; allowed: above 0.5 and at most 4"),
        ({"blend": 1.5}, PlanError, "--blend cannot be 1.5; allowed: at least 0 and at most 1"),
        ({"tile": 10}, PlanError, "--tile cannot be 10; allowed: at least 64"),
        ({"smoothness": -1.0}, PlanError, "--smoothness cannot be -1.0; allowed: at least 0"),
        ({"octave": 3}, PlanError, "dream has no option --octave; did you mean 'octaves'"),
    ],
    ids=str,
)
def test_what_cannot_be_is_told_in_one_line(options, kind, says, plan):
    with pytest.raises(OneiraError, match=says) as caught:
        next(iter(Synthesis(plan(**options), precision="float32")))
    assert type(caught.value) is kind
    assert "\n" not in str(caught.value)


def test_that_a_picture_is_needed_is_told_by_the_plan_not_by_the_options():
    dream = Dream()  # a form may be half filled in
    with pytest.raises(PlanError, match=r"^dream needs IMAGE"):
        dream.plan()
