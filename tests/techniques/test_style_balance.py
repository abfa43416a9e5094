"""What content and manner weigh against each other, and by what steps the picture is painted."""

import re

import pytest
import torch
from networks import TINY, tiny_network
from styles import DRAWN, HEIGHT, WIDTH, finished, loss_of, terms, weighted
from torch.testing import assert_close

from oneira import register_backbone
from oneira.errors import PlanError
from oneira.features.encoder import Encoder
from oneira.features.variant import Variant
from oneira.images import resize, save
from oneira.objectives import Logarithm
from oneira.synthesis.loop import Synthesis
from oneira.synthesis.optimisers import OptimiserSpec
from oneira.synthesis.shaping import Std
from oneira.techniques.network import POCKET_GAIN
from oneira.techniques.style import Style
from oneira.techniques.styling.manner import CONTENT_AT_HALF_STRENGTH, far_from

BOTH = {"style": ("starry", "dull"), "place": ("left", "right")}
SCALED = "scaled"


@pytest.fixture(scope="module", autouse=True)
def _scaled_network():
    """`tiny`, but that every activation is 8 times as large; rectified linear units pass factors on."""
    network = tiny_network()
    with torch.no_grad():
        network.conv1.weight.mul_(8)
        for name in ("conv1", "conv2", "conv3"):
            getattr(network, name).bias.mul_(8)
    register_backbone(SCALED, network)


def weighted_losses(plan, image):
    """Weight times loss by what is compared, places added up."""
    encoder, found = Encoder(variant=plan.variant), {}
    for weight, term in weighted(plan):
        found[term.name] = found.get(term.name, 0) + weight * loss_of(term, image, encoder)
    return found


class TestStrength:
    @pytest.mark.parametrize("normalization", ["relative", "average", "gatys", "elements", "sums"])
    @pytest.mark.parametrize("options", [{}, BOTH], ids=["one", "places"])
    @pytest.mark.parametrize("strength", [0.3, 0.8])
    def test_its_weights_count_from_the_content_and_from_noise(self, strength, options, normalization, plan):
        balanced = plan(strength=strength, statistics="gram", normalization=normalization, **options)
        style = weighted_losses(balanced, DRAWN["cat"])["style"].item()
        far = resize(far_from(DRAWN["cat"]), DRAWN["cat"].shape[2:])
        content = weighted_losses(balanced, far)["content"].item()
        assert style == pytest.approx(strength**2, rel=1e-4)
        assert content == pytest.approx(CONTENT_AT_HALF_STRENGTH * (1 - strength) ** 2, rel=1e-4)

    @pytest.mark.parametrize("level", [0.5, 0.55, 0.7])
    def test_a_content_of_one_colour_is_painted_all_the_same(self, level, plan, tmp_path):
        save(tmp_path / "plain.png", torch.full((1, 3, HEIGHT, WIDTH), level))
        image = finished(plan(content=str(tmp_path / "plain.png"), strength=0.8, steps=10))
        assert (image - level).abs().mean() > 0.1

    @pytest.mark.parametrize("normalization", ["relative", "average", "gatys"])
    def test_a_network_whose_activations_are_larger_weighs_alike(self, normalization, plan):
        options = {"statistics": "gram", "normalization": normalization, "strength": 0.5, "smoothness": 0}
        losses = [weighted_losses(plan(model=model, **options), DRAWN["dull"]) for model in (TINY, SCALED)]
        assert_close(*losses, rtol=1e-3, atol=0)

    def test_without_it_weights_depend_on_the_network(self, plan):
        losses = [
            weighted_losses(plan(model=model, statistics="gram", normalization="average"), DRAWN["dull"])
            for model in (TINY, SCALED)
        ]
        assert losses[1]["style"] / losses[1]["content"] > 10 * losses[0]["style"] / losses[0]["content"]

    @pytest.mark.parametrize("options", [{}, {"style_weight": 5, "smoothness": 2}, BOTH])
    def test_smoothness_is_to_the_manner_what_it_was(self, options, plan):
        ratios = []
        for strength in ({}, {"strength": 0.3}):
            losses = weighted_losses(plan(**strength, **options), DRAWN["dull"])
            ratios.append(losses["tv"] / losses["style"])
        assert_close(*ratios)

    def test_all_of_it_leaves_no_content(self, plan):
        assert [term.name for term in terms(plan(strength=1))] == ["style", "tv"]
        assert [term.name for term in terms(plan(strength=1, smoothness=0))] == ["style"]

    def test_the_more_of_it_the_nearer_the_style_and_the_farther_the_content(self, plan):
        options = {"smallest": 48, "steps": 15, "smoothness": 0}
        measures, encoder = {term.name: term for term in terms(plan())}, Encoder(variant=plan().variant)
        painted = [finished(plan(strength=strength, **options)) for strength in (0, 0.3, 0.6, 1)]
        styles, contents = (
            [loss_of(measures[name], image, encoder).item() for image in painted] for name in ("style", "content")
        )
        assert styles == sorted(styles, reverse=True)
        assert contents == sorted(contents)
        assert styles[-1] < styles[0] / 2

    def test_none_of_it_keeps_the_content(self, plan):
        kept, taken = (finished(plan(strength=strength, smallest=48, steps=8)) for strength in (0, 1))
        assert (kept - DRAWN["cat"]).abs().mean() < 0.01
        assert (taken - DRAWN["cat"]).abs().mean() > 0.05

    def test_it_stands_in_place_of_the_contents_weight(self, style):
        with pytest.raises(PlanError, match=r"^--strength stands in place of --content-weight; give one of the two$"):
            style(strength=0.5, content_weight=3)

    def test_a_style_of_no_weight_has_no_strength(self, plan):
        with pytest.raises(PlanError, match=r"^--strength is the style's, and --style-weight 0 leaves it none"):
            plan(strength=0.5, style_weight=0)

    @pytest.mark.parametrize("preset", ["gatys", "neural-style-pt", "crowsonkb"])
    def test_it_takes_the_place_of_a_presets_weight(self, preset, style):
        told = style(preset, strength=0.5, normalised=False, style_layer_weight=(1, 1))
        losses = weighted_losses(told.plan(), resize(far_from(DRAWN["cat"]), DRAWN["cat"].shape[2:]))
        assert losses["content"].item() == pytest.approx(CONTENT_AT_HALF_STRENGTH / 4, rel=1e-4)

    def test_a_recipe_keeps_it(self, style):
        told = style("neural-style-pt", strength=0.5, style_layer_weight=(1, 1))
        again = Style.from_recipe(told.recipe(Synthesis(told.plan())))
        assert again.strength == 0.5
        assert again.plan().fingerprint == told.plan().fingerprint

    @pytest.mark.parametrize("strength", [-0.1, 1.1, float("nan"), "much"])
    def test_it_lies_between_0_and_1(self, strength, style):
        with pytest.raises(PlanError, match=r"^--strength cannot be ") as told:
            style(strength=strength)
        assert len(str(told.value).splitlines()) == 1

    @pytest.mark.parametrize(
        ("name", "drawn"), [("style", "cat"), ("style", "plain"), ("content", "plain"), ("content", "dark")]
    )
    def test_where_there_is_nothing_to_measure_it_ends_in_a_picture(self, name, drawn, plan):
        assert finished(plan(strength=0.5, **{name: drawn})).isfinite().all()


class TestLogarithms:
    def test_every_loss_is_the_logarithm_of_what_it_was(self, plan):
        options = {**BOTH, "balance": "logarithms"}
        assert all(isinstance(term, Logarithm) for term in terms(plan(**options)))
        encoder = Encoder(variant=plan().variant)
        plainly, logarithms = (
            [loss_of(term, DRAWN["dull"], encoder) for term in terms(plan(**balance))] for balance in (BOTH, options)
        )
        assert_close(logarithms, [(loss + 1e-10).log() for loss in plainly])

    def test_a_dream_which_grows_below_0_stays_as_it_is(self, plan):
        *_, dream = terms(plan(balance="logarithms", dream="relu2"))
        assert loss_of(dream, DRAWN["cat"], Encoder(variant=plan().variant)).item() == pytest.approx(-1)

    def test_the_weights_stay(self, plan):
        sums = [[weight for weight, _ in weighted(plan(balance=balance))] for balance in ("losses", "logarithms")]
        assert sums[0] == sums[1]


class TestLayerWeights:
    def test_content_layers_are_weighed(self, plan):
        def content(**options):
            term = next(term for term in terms(plan(**options)) if term.name == "content")
            return loss_of(term, DRAWN["dull"], Encoder(variant=plan().variant))

        one, other = (content(content_layer=layer) for layer in ("relu2", "relu3"))
        both = {"content_layer": ("relu2", "relu3")}
        assert_close(content(**both, content_layer_weight=(0.5, 2)), 0.5 * one + 2 * other)
        assert_close(content(**both), (one + other) / 2)

    @pytest.mark.parametrize("options", [{"content_layer_weight": (1, 2)}, {"style_layer_weight": (1, 2, 3)}])
    def test_there_is_one_for_each(self, options, plan):
        with pytest.raises(PlanError, match=r"^there is one weight per layer: ") as told:
            plan(**options)
        assert len(str(told.value).splitlines()) == 1


class TestDescent:
    def test_settings_reach_the_optimiser(self, plan):
        assert plan(history=7).optimiser == OptimiserSpec("lbfgs", None, {"history_size": 7})
        adam = plan(optimiser="adam", rate=0.1, betas=(0.5, 0.75), epsilon=1e-3)
        assert adam.optimiser == OptimiserSpec("adam", 0.1, {"betas": (0.5, 0.75), "eps": 1e-3})
        built = adam.optimiser.build([torch.zeros(1, requires_grad=True)])
        assert built.defaults.items() >= {"lr": 0.1, "betas": (0.5, 0.75), "eps": 1e-3}.items()
        assert plan().optimiser == OptimiserSpec("lbfgs")

    @pytest.mark.parametrize(
        ("options", "message"),
        [
            ({"betas": (0.9, 0.99)}, "--betas is a setting of adam, not of lbfgs"),
            ({"epsilon": 0.1}, "--epsilon is a setting of adam, not of lbfgs"),
            ({"history": 5, "optimiser": "adam"}, "--history is a setting of lbfgs, not of adam"),
            ({"history": 5, "optimiser": "sgd"}, "--history is a setting of lbfgs, not of sgd"),
            (
                {"betas": 0.9, "optimiser": "adam"},
                "--betas are two numbers; give both, such as --betas 0.9 --betas 0.999",
            ),
            ({"betas": (0.9, 0.9, 0.9)}, r"--betas cannot be \(0.9, 0.9, 0.9\); allowed: .*2.*"),
            ({"betas": (0.9, 1.0)}, "--betas cannot be 1.0; allowed: at least 0 and below 1"),
            ({"epsilon": 0}, "--epsilon cannot be 0; allowed: above 0 and at most 1"),
            ({"history": 0}, "--history cannot be 0; allowed: at least 1 and at most 1000"),
            ({"gradient": "stdev"}, "--gradient cannot be 'stdev'; allowed: input should be 'none' or 'std'"),
            ({"start_noise": 1.5}, "--start-noise cannot be 1.5; allowed: at least 0 and at most 1"),
        ],
    )
    def test_what_cannot_be_is_told_in_one_line(self, options, message, plan):
        with pytest.raises(PlanError) as told:
            plan(**options)
        assert re.fullmatch(message, str(told.value))

    def test_gradients_of_deviation_1_move_by_the_rate(self, plan):
        assert plan(gradient="std").shaping == (Std(),)
        assert plan().shaping == ()
        options = {
            "gradient": "std",
            "optimiser": "ascent",
            "rate": 0.01,
            "steps": 1,
            "smallest": 48,
            "content": "dull",
        }
        for weight in (1, 1000):  # losses of any size
            moved = finished(plan(style_weight=weight, content_weight=0, smoothness=0, **options)) - DRAWN["dull"]
            assert moved.std(correction=0).item() == pytest.approx(0.01, rel=1e-3)

    def test_momentum_is_kept_from_size_to_size(self, plan):
        options = {"optimiser": "adam", "steps": 3, "rate": 0.05}
        assert plan(keep_momentum=True).keep_momentum
        kept, anew = (finished(plan(keep_momentum=keep, **options)) for keep in (True, False))
        assert (kept - anew).abs().mean() > 1e-3
        single = [finished(plan(keep_momentum=keep, smallest=48, **options)) for keep in (True, False)]
        assert torch.equal(*single)


class TestNetwork:
    def test_the_border_can_be_repeated_at_the_first_layer_alone(self, plan):
        layers = {"model": "pocket", "style_layer": ("relu1_1", "relu2_1"), "content_layer": "relu1_1"}
        losses = set()
        for padding in ("zeros", "replicate-first", "replicate"):
            padded = plan(padding=padding, **layers)
            assert padded.variant.padding == padding
            losses.add(loss_of(terms(padded)[0], DRAWN["cat"], Encoder(variant=padded.variant)).item())
        assert len(losses) == 3

    def test_pocket_alone_has_a_gain_of_its_own(self, style):
        assert style(model="pocket").variant() == Variant("avg", POCKET_GAIN)
        assert style(model="pocket", pooling_gain=1.25).variant() == Variant("avg", 1.25)
        assert style(model="pocket", pooling="max").variant() == style(pooling="max").variant() == Variant("max")
        assert style().variant() == Variant("avg")
        assert style(model="pocket", normalised=True).variant() == Variant("avg", POCKET_GAIN, normalised=True)

    def test_what_is_no_plain_chain_cannot_be_normalised(self, plan):
        with pytest.raises(PlanError, match=r"^tiny cannot be normalised") as told:
            finished(plan(normalised=True))
        assert len(str(told.value).splitlines()) == 1
