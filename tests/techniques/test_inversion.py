"""Reading pictures back: what is compared, Mahendran and Vedaldi's energy and steps, and the figures."""

import copy
import math
from collections import OrderedDict
from dataclasses import replace

import pytest
import torch
from networks import TINY, tiny_network
from smooth_network import SMOOTH, activations, normalised, register_smooth
from styles import ALPHA, DRAWN, HEIGHT, WIDTH, begun, finished, loss_of, terms, weighted
from torch import nn
from torch.testing import assert_close

from oneira import register_backbone
from oneira.errors import AddressError, ImageError, OneiraError, PlanError
from oneira.features.encoder import Encoder
from oneira.features.preprocessing import IMAGENET
from oneira.features.registry import resolve
from oneira.images import fit, resize
from oneira.objectives import Caricature, Content, Masked, Style, Sum
from oneira.synthesis.carrying import Anew
from oneira.synthesis.fourier import Fourier
from oneira.synthesis.loop import Synthesis
from oneira.synthesis.schedules import Schedule
from oneira.techniques import inversion as module
from oneira.techniques.inversion import Inversion
from oneira.techniques.inverting.reading import depth_of

SMALL = {"model": TINY, "layer": "relu2", "size": 24, "steps": 2}
LAYERS = ("relu1", "relu2", "relu3")
DEEP = "deep"


@pytest.fixture
def inversion(files):
    """A small inversion with other options; values that name a picture mean its path."""

    def configured(preset=None, **options):
        placed = {"image": "cat", **options}
        pictures = {name: files.get(placed[name], placed[name]) for name in ("image", "mask") if name in placed}
        return Inversion.configured(preset, **{**SMALL, **placed, **pictures})

    return configured


@pytest.fixture(scope="module", autouse=True)
def _networks():
    """`smooth`, without kinks; `deep`, whose layers see 3, 63, 64, 149 and 150 pixels, and all there is."""
    register_smooth()
    register_backbone(DEEP, deep_network(), normalised)


def deep_network():
    generator = torch.Generator().manual_seed(5)
    layers = OrderedDict(
        see3=nn.Conv2d(3, 4, 3, padding=1),
        see63=nn.Conv2d(4, 4, 3, padding=30, dilation=30),
        see64=nn.Conv2d(4, 4, 2, padding=1),
        see149=nn.Conv2d(4, 4, 2, padding=80, dilation=85),
        see150=nn.Conv2d(4, 4, 2, padding=1),
        average=nn.AdaptiveAvgPool2d(3),
        flat=nn.Flatten(),
        classes=nn.Linear(36, 10),
    )
    with torch.no_grad():
        for layer in layers.values():
            for parameter in layer.parameters():
                parameter.copy_(0.3 * torch.randn(parameter.shape, generator=generator))
    return nn.Sequential(layers)


def run(technique, seed=0):
    """A run that is done."""
    synthesis = Synthesis(technique.plan(), precision="float32", seed=seed)
    for _ in synthesis:
        pass
    return synthesis


def stages(technique):
    """What is minimised in every leg, by its name."""
    return {scale.stage: scale.objective for scale in technique.plan().schedule.scales if scale.stage is not None}


def features(image, layer, network=None):
    """Of the tiny network, or another that takes ImageNet's colours, by a network of its own."""
    image = IMAGENET(image)
    for name, part in (tiny_network() if network is None else network).named_children():
        image = part(image)
        if name == layer:
            return image
    raise KeyError(layer)


def relative(features, target):
    return ((features - target).square().sum() / target.square().sum()).item()


class TestObjective:
    @pytest.mark.parametrize("layers", [("relu2",), LAYERS])
    def test_the_activations_differ_by_a_share_of_the_targets_squares(self, layers, inversion):
        term, encoder = terms(inversion(layer=layers).plan())[0], Encoder()
        other, cat = DRAWN["dull"], DRAWN["cat"]
        shares = [relative(features(other, layer), features(cat, layer)) for layer in layers]
        assert loss_of(term, other, encoder).item() == pytest.approx(sum(shares) / len(shares), rel=1e-4)
        assert loss_of(term, cat, encoder).item() == pytest.approx(0, abs=1e-9)

    def test_it_and_what_is_natural_are_added_up(self, inversion):
        plan = inversion(layer=LAYERS, smoothness=0.25, restraint=0.5).plan()
        assert [(weight, term.name) for weight, term in weighted(plan)] == [
            (1.0, "content"),
            (0.25, "tv"),
            (0.5, "alphanorm"),
            (0.0, "pixels"),
        ]
        (leg,) = stages(inversion(layer=LAYERS, smoothness=0.25, restraint=0.5)).values()
        assert [(weight, term.name) for weight, term in leg.parts] == [
            (1.0, "content"),
            (0.25, "tv"),
            (0.5, "alphanorm"),
            (0.0, "pixels"),
        ]

    def test_of_what_is_natural_what_weighs_nothing_is_left_out(self, inversion):
        assert [term.name for term in terms(inversion(smoothness=0, restraint=0).plan())] == ["content", "pixels"]
        assert [term.name for term in terms(inversion(smoothness_by_depth=(0, 1, 1)).plan())] == [
            "content",
            "alphanorm",
            "pixels",
        ]

    def test_without_a_prior_the_loss_alone_pulls(self, inversion):
        plan = inversion(prior="none", layer=LAYERS).plan()
        (weight, content), (nothing, pixels) = weighted(plan)
        assert (weight, nothing, pixels.name) == (1.0, 0.0, "pixels")
        assert (content.normalization, content.weights) == ("relative", None)
        assert content.layers == tuple(f"{TINY}:{layer}" for layer in LAYERS)

    def test_how_far_the_pixels_are_is_told_and_changes_nothing(self, inversion):
        plan = inversion(layer="relu2", steps=5).plan()
        synthesis = run(inversion(layer="relu2", steps=5))
        picture = resize(DRAWN["cat"], tuple(synthesis.image.shape[2:]))
        told = synthesis.outcomes["relu2"].losses["pixels"]
        assert told == pytest.approx(float((synthesis.image - picture).square().mean()), rel=1e-4)
        (leg,) = plan.schedule.scales
        without = Sum(tuple(part for part in leg.objective.parts if part[0]))
        alone = replace(plan, schedule=Schedule((replace(leg, objective=without),)))
        assert torch.equal(finished(alone), synthesis.image)

    def test_only_activations_are_measured_by_pixels(self, inversion):
        for read in ("style", "caricature"):
            assert "pixels" not in [term.name for term in terms(inversion(read=read, layer=LAYERS).plan())]

    def test_of_the_style_the_gram_matrices_are_compared(self, inversion):
        term = terms(inversion(read="style", layer=LAYERS).plan())[0]
        assert isinstance(term, Style)
        assert (term.statistics, term.normalization) == ("gram", "relative")
        # Positions are forgotten: rolled by the stride of the pool, inside a frame that stays, nothing changes.
        framed = torch.zeros(1, 3, HEIGHT, WIDTH)
        framed[..., 12:28, 12:28] = DRAWN["cat"][..., 12:28, 12:28]
        bound = Style(framed, term.layers, "gram", "relative")
        assert loss_of(bound, framed.roll(4, 3), Encoder()).item() == pytest.approx(0, abs=1e-6)
        assert loss_of(term, DRAWN["dull"], Encoder()) > 0.01

    def test_a_caricature_is_more_of_what_is_there(self, inversion):
        options = {"read": "caricature", "start": "picture", "steps": 10, "prior": "none", "caricature_power": 1.5}
        (term,) = terms(inversion(**options).plan())
        assert isinstance(term, Caricature)
        assert term.power == 1.5
        assert loss_of(term, DRAWN["cat"], Encoder()).item() == pytest.approx(-1)
        synthesis = run(inversion(**options))
        assert synthesis.outcomes["relu2"].losses["caricature"] < -1.05

    def test_a_mask_confines_what_is_compared(self, inversion):
        assert isinstance(terms(inversion(mask="left").plan())[0], Masked)
        begin = {"canvas": "pixels", "start": "grey", "prior": "none", "size": WIDTH, "steps": 5}
        image = finished(inversion(mask="left", **begin).plan())
        # Farther than the layer sees there is no gradient.
        assert torch.equal(image[..., WIDTH // 2 + 12 :], torch.full((1, 3, HEIGHT, WIDTH // 2 - 12), 0.5))
        assert (image[..., : WIDTH // 2] - 0.5).abs().mean() > 0.03

    def test_layers_without_a_name_are_those_that_draw_well(self, inversion):
        assert inversion(model="pocket", layer=()).layers() == ("pocket:relu4_2",)
        with pytest.raises(PlanError, match="no layers are chosen for 'tiny' here"):
            inversion(layer=()).plan()

    def test_all_means_every_layer_and_for_the_style_those_with_positions(self, inversion):
        every = inversion(model="pocket", layer="all").layers()
        assert (every[0], every[-1], len(every)) == ("pocket:relu1_1", "pocket:fc", 15)
        assert inversion(model="pocket", layer="all", read="style").layers() == every[:-1]
        assert terms(inversion(model="pocket", layer="all").plan())[0].layers == every


class TestDepth:
    @pytest.mark.parametrize(
        ("layer", "depth"), [("see3", 0), ("see63", 0), ("see64", 1), ("see149", 1), ("see150", 2), ("classes", 2)]
    )
    def test_what_a_layer_sees_decides(self, layer, depth, inversion):
        assert depth_of(resolve(f"{DEEP}:{layer}")) == depth
        plan = inversion(model=DEEP, layer=layer, smoothness_by_depth=(1, 2, 3)).plan()
        assert weighted(plan)[1][0] == depth + 1

    def test_in_alexnet_they_are_the_papers_groups(self):
        """Of its 20 layers 1 to 6, 7 to 12, and from conv5 on."""
        groups = [
            ("conv1", "relu1", "pool1", "conv2", "relu2"),
            ("pool2", "conv3", "relu3", "conv4", "relu4"),
            ("conv5", "relu5", "pool5", "fc6", "relu6", "fc7", "relu7", "fc8"),
        ]
        for depth, names in enumerate(groups):
            assert {depth_of(resolve(f"alexnet:{name}")) for name in names} == {depth}

    def test_of_layers_together_the_deepest_decides(self, inversion):
        plan = inversion(model=DEEP, layer=("see150", "see3"), smoothness_by_depth=(1, 2, 3)).plan()
        assert weighted(plan)[1][0] == 3

    def test_in_a_figure_each_has_its_own(self, inversion):
        legs = stages(
            inversion(model=DEEP, layer=("see3", "see64", "classes"), smoothness_by_depth=(1, 2, 3), sheet=True)
        )
        assert [objective.parts[1][0] for objective in legs.values()] == [1, 2, 3]

    @pytest.mark.parametrize(("layer", "says"), [("twice", "runs more than once"), ("never", "never runs")])
    def test_a_layer_that_nothing_can_be_read_from_is_told(self, layer, says, inversion):
        class Odd(nn.Module):
            def __init__(self):
                super().__init__()
                self.conv, self.twice, self.never = nn.Conv2d(3, 3, 1), nn.ReLU(), nn.ReLU()

            def forward(self, image):
                return self.twice(self.conv(self.twice(image)))

        register_backbone("odd", Odd())
        for layers in (layer, ("conv", layer)):
            with pytest.raises(AddressError, match=says):
                run(inversion(model="odd", layer=layers))


class Published:
    """Mahendran and Vedaldi's published code, in float64 and their units: x is 255 times a picture, less mid-grey."""

    NATURAL = 68.9  # the root of the mean square of a natural picture's values: x0_sigma / sqrt(values)

    def __init__(self, picture, network, lambda_v):
        self.network = network
        self.lambda_v = lambda_v
        self.phi_0 = network(picture.double())
        self.x0_sigma = self.NATURAL * picture.numel() ** 0.5

    def energy(self, x):
        phi = self.network(x / 255 + 0.5)
        loss = (phi - self.phi_0).square().sum() / self.phi_0.square().sum()
        _, channels, height, width = x.shape
        variation = x.new_zeros(())
        for c in range(channels):
            right = torch.cat([x[0, c, :, 1:], x[0, c, :, -1:]], 1) - x[0, c]
            below = torch.cat([x[0, c, 1:], x[0, c, -1:]], 0) - x[0, c]
            assert right.shape == below.shape == (height, width)
            variation = variation + (right**2 + below**2).sum()
        held = (x**6).sum()
        return loss + (self.lambda_v / 2 * variation + 8e-10 / 2 * held) / self.x0_sigma**2

    def descend(self, x, learning_rates):
        momentum, previous = torch.zeros_like(x), None
        for learning_rate in learning_rates:
            x = x.detach().requires_grad_()
            (gradient,) = torch.autograd.grad(self.energy(x), x)
            if learning_rate != previous:
                momentum, previous = torch.zeros_like(x), learning_rate
            momentum = 0.9 * momentum - learning_rate * self.x0_sigma**2 * gradient
            x = x.detach() + momentum
        return x


class TestMahendranVedaldi:
    @pytest.mark.parametrize(("layer", "lambda_v"), [("see63", 1), ("see149", 10), ("see150", 100), ("classes", 100)])
    @pytest.mark.parametrize("contrast", [0.2, 1.0, 1.5])
    def test_the_energy_is_theirs(self, contrast, layer, lambda_v, inversion):
        plan = inversion("mahendran-vedaldi", model=DEEP, layer=layer, size=WIDTH).plan()
        stack = copy.deepcopy(deep_network()).double()
        upto = [name for name, _ in stack.named_children()].index(layer) + 1
        theirs = Published(DRAWN["cat"], lambda image: stack[:upto](normalised(image)), lambda_v)
        shown = 0.5 + contrast * (DRAWN["dull"].flip(3) - 0.5) * 5  # also beyond what a picture can hold
        expected = theirs.energy(255 * (shown.double() - 0.5)).item()
        assert loss_of(plan.objective, shown, Encoder()).item() == pytest.approx(expected, rel=1e-4)

    def test_every_part_of_it_counts(self, inversion):
        """Or the comparison would say nothing of the lighter ones."""
        plan = inversion("mahendran-vedaldi", model=DEEP, layer="see63", size=WIDTH).plan()
        shown = DRAWN["cat"].flip(3)
        parts = [weight * loss_of(term, shown, Encoder()).item() for weight, term in weighted(plan) if weight]
        assert min(parts) > 0.005 * sum(parts)

    @pytest.mark.parametrize("steps", [(3, 4, 3), (4,), (1, 1, 1)])
    def test_the_steps_are_theirs_over_changes_of_the_rate(self, steps, inversion):
        technique = inversion("mahendran-vedaldi", model=SMOOTH, layer="soft2", size=WIDTH, steps=steps)
        synthesis = Synthesis(technique.plan(), precision="float32", seed=2)
        x = 255 * (synthesis.state()["parameters"][0].double() - 0.5)
        begin = x.clone()
        for _ in synthesis:
            pass
        theirs = Published(DRAWN["cat"], lambda image: activations(image, "soft2"), 1)
        factors = (1.0, 0.1, 0.01)[: len(steps)]
        x = theirs.descend(x, [0.004 * f for f, n in zip(factors, steps, strict=True) for _ in range(n)])
        found = synthesis.state()["parameters"][0].double()
        assert_close(found, x / 255 + 0.5, atol=2e-6, rtol=0)
        assert (x - begin).abs().mean() > 1  # of 255 levels

    def test_as_published_it_is_400_steps_in_three_stretches(self, inversion):
        technique = Inversion.configured("mahendran-vedaldi", image="sample:cat")
        plan = technique.plan()
        scales = plan.schedule.scales
        height, width = plan.canvas.size(227)
        values = 3 * height * width
        assert max(height, width) == 227
        assert [scale.steps for scale in scales] == [100, 200, 100]
        for scale, rate in zip(scales, (0.004, 0.0004, 0.00004), strict=True):
            assert plan.optimiser.rate * scale.rate * 255**2 == pytest.approx(rate * 68.9**2 * values)
        assert technique.layers() == ("alexnet:relu4",)
        begin = begun(plan)
        assert begin.mean().item() == pytest.approx(0.5, abs=0.005)
        assert begin.std().item() == pytest.approx(68.9 / 255, rel=0.07)  # less what is clipped

    def test_a_rate_of_plain_steps_means_the_same_at_any_size(self, inversion):
        rates = {}
        for size in (24, 48):
            plan = inversion(canvas="pixels", optimiser="sgd", rate=0.5, size=size).plan()
            (rates[size],) = (scale.rate for scale in plan.schedule.scales)
            assert rates[size] == 3 * torch.Size(fit(HEIGHT, WIDTH, size)).numel()
        assert [s.rate for s in inversion(optimiser="adam", rate=0.5).plan().schedule.scales] == [1]


class TestGatys:
    def test_nothing_is_held_natural(self, inversion):
        plan = Inversion.configured("gatys", image="sample:cat").plan()
        (content,) = (term for weight, term in weighted(plan) if weight)
        assert isinstance(content, Content)
        assert content.layers == ("vgg19-caffe:relu4_2",)
        assert (plan.optimiser.name, plan.schedule.total) == ("lbfgs", 500)
        begin = begun(inversion("gatys").plan())
        assert (begin.mean().item(), begin.std().item()) == (pytest.approx(0.5, abs=0.02), pytest.approx(0.2, abs=0.03))

    def test_that_the_loss_is_relative_changes_nothing(self, inversion):
        """As its departures say: half the sum of squares, the paper's, leads to the same picture."""
        plan = inversion("gatys", model=SMOOTH, layer="soft2", steps=12).plan()
        theirs = Content(DRAWN["cat"], f"{SMOOTH}:soft2", "gatys")
        pictures = [finished(plan), finished(replace(plan, schedule=plan.schedule.leg("theirs", objective=theirs)))]
        assert_close(*pictures, atol=2e-3, rtol=0)
        assert (pictures[0] - begun(plan)).abs().mean() > 0.02


class TestMaking:
    def test_a_spectrum_begins_as_noise_or_as_told(self, inversion):
        assert isinstance(inversion().plan().canvas, Fourier)
        assert begun(inversion(spread=0.5).plan()).std() > 5 * begun(inversion(spread=0.01).plan()).std()
        for start, level in (("grey", 0.5), ("white", 0.995), ("black", 0.005)):
            assert_close(begun(inversion(start=start).plan()), torch.full((1, 3, 20, 24), level), atol=1e-3, rtol=0)
        assert_close(begun(inversion(start="picture").plan()), resize(DRAWN["cat"], (20, 24)), atol=6e-3, rtol=0)

    def test_so_do_pixels(self, inversion):
        def of(**options):
            return begun(inversion(canvas="pixels", **options).plan())

        for start, level in (("grey", 0.5), ("white", 1.0), ("black", 0.0)):
            assert_close(of(start=start), torch.full((1, 3, 20, 24), level))
        assert torch.equal(of(start="picture"), resize(DRAWN["cat"], (20, 24)))
        white, pink = of(spread=0.1), of(start="pink-noise", spread=0.1)
        assert (white.std().item(), pink.std().item()) == (pytest.approx(0.1, rel=0.1),) * 2
        assert pink.diff(dim=-1).std() < 0.8 * white.diff(dim=-1).std()

    def test_unclipped_pixels_leave_the_range_until_the_end(self, inversion):
        options = {"canvas": "pixels", "rate": 0.5, "steps": 3}
        for unclipped in (True, False):
            synthesis = run(inversion(unclipped=unclipped, **options))
            assert (synthesis.state()["parameters"][0].abs().max() > 1.01) == unclipped
            assert 0 <= synthesis.image.min() <= synthesis.image.max() <= 1

    def test_the_rate_of_adam_is_decided_by_depth(self, inversion):
        plan = inversion(model=DEEP, layer=("see3", "see63"), sheet=True).plan()
        rates = [plan.optimiser.rate * scale.rate for scale in plan.schedule.scales]
        assert rates == pytest.approx([0.04, 0.02])
        told = inversion(model=DEEP, layer="see64", rate=0.5).plan()
        assert told.optimiser.rate * told.schedule.scales[0].rate == 0.5
        assert inversion(optimiser="lbfgs").plan().optimiser.rate is None

    def test_stretches_have_rates_of_their_own_of_which_the_last_stays(self, inversion):
        scales = inversion(steps=(5, 4, 3), rate_factors=(1, 0.5), rate=0.1).plan().schedule.scales
        assert [(scale.steps, scale.rate, scale.size) for scale in scales] == [(5, 1, 24), (4, 0.5, 24), (3, 0.5, 24)]
        assert [scale.stage for scale in scales] == [None, None, "relu2"]

    def test_shallow_layers_give_the_picture_back_and_deep_ones_less_of_it(self):
        back = {}
        for layer in ("relu1_1", "relu3_1", "fc"):
            technique = Inversion(image="sample:cat", layer=layer, size=48, rate=0.1, steps=80, prior="none")
            image = finished(technique.plan())
            original = resize(technique.picture("sample:cat").image, tuple(image.shape[2:]))
            back[layer] = -10 * (image - original).square().mean().log10().item()
        assert back["relu1_1"] > 25 > back["relu3_1"] + 4 > back["fc"] + 4
        assert back["fc"] < 17

    @pytest.mark.parametrize("read", ["features", "caricature"])
    def test_layers_without_positions_are_read_too(self, read, inversion):
        technique = inversion(model=DEEP, layer="classes", steps=30, read=read, size=WIDTH, rate=0.05, prior="none")
        synthesis = Synthesis(technique.plan(), precision="float32")
        losses = [step.loss for step in synthesis]
        told = next(iter(synthesis.outcomes["classes"].losses.values()))
        assert told < (0.1 * losses[0] if read == "features" else losses[0] - 0.15)

    @pytest.mark.parametrize("read", ["features", "style", "caricature"])
    @pytest.mark.parametrize("canvas", ["fourier", "pixels"])
    def test_every_reading_goes_down_on_every_canvas(self, canvas, read, inversion):
        losses = [
            step.loss
            for step in Synthesis(
                inversion(read=read, canvas=canvas, layer=LAYERS, steps=15).plan(), precision="float32"
            )
        ]
        assert losses[-1] < losses[0] - 0.05 * abs(losses[0])


@pytest.fixture
def laid_out(monkeypatch):
    """The figures that are drawn: their cells and labels."""
    seen, draw = [], module.sheet

    def drawn(rows, **labels):
        seen.append((rows, labels))
        return draw(rows, **labels)

    monkeypatch.setattr(module, "sheet", drawn)
    return seen


class TestSheet:
    def test_every_layer_has_a_leg_that_begins_anew(self, inversion):
        plan = inversion(layer=LAYERS, sheet=True, steps=(3, 2)).plan()
        scales = plan.schedule.scales
        assert [scale.stage for scale in scales] == [None, "relu1", None, "relu2", None, "relu3"]
        assert [isinstance(scale.carry, Anew) for scale in scales] == [False, False, True, False, True, False]
        for scale, layer in zip(scales, [name for name in LAYERS for _ in range(2)], strict=True):
            assert scale.objective.parts[0][1].layers == (f"{TINY}:{layer}",)

    def test_a_leg_is_the_picture_read_back_from_that_layer_alone(self, inversion):
        options = {"start": "grey"}  # noise differs from leg to leg
        synthesis = run(inversion(layer=LAYERS, sheet=True, **options))
        assert list(synthesis.outcomes) == list(LAYERS)
        for layer in LAYERS:
            alone = run(inversion(layer=layer, **options))
            assert torch.equal(synthesis.outcomes[layer].image, alone.image)
            assert synthesis.outcomes[layer].losses == alone.outcomes[layer].losses

    def test_the_figure_shows_the_picture_and_each_with_its_loss(self, inversion, laid_out):
        technique = inversion(layer=LAYERS, sheet=True)
        synthesis = run(technique)
        image = technique.finished(synthesis)
        (((first, one), (two, three)), labels) = laid_out[0]
        assert labels == {}
        assert (first.caption, first.image.shape) == ("the picture", one.image.shape)
        assert_close(first.image, resize(DRAWN["cat"], tuple(one.image.shape[2:])))
        for cell, layer in zip((one, two, three), LAYERS, strict=True):
            outcome = synthesis.outcomes[layer]
            assert torch.equal(cell.image, outcome.image)
            decibels = -10 * math.log10(outcome.losses["pixels"])
            assert cell.caption == f"{layer}: error {outcome.losses['content']:.2g}, {decibels:.1f} dB"
        assert image.shape[:2] == (1, 3)
        assert image.shape[2] > 2 * HEIGHT

    def test_with_several_smoothnesses_there_is_a_row_for_each(self, inversion, laid_out):
        technique = inversion(layer=("relu1", "relu3"), smoothness=(0, 0.5, 2), sheet=True)
        legs = stages(technique)
        assert list(legs) == ["relu1, 0", "relu3, 0", "relu1, 0.5", "relu3, 0.5", "relu1, 2", "relu3, 2"]
        told = [[weight for weight, term in legs[name].parts if term.name == "tv"] for name in legs]
        assert told == [[], [], [0.5], [0.5], [2], [2]]
        synthesis = run(technique)
        technique.finished(synthesis)
        (rows, labels) = laid_out[0]
        assert labels == {"row_labels": ["smoothness 0", "smoothness 0.5", "smoothness 2"]}
        assert [row[0].caption for row in rows] == ["the picture", "", ""]
        shown = [cell.image for row in rows for cell in row[1:]]
        assert len(shown) == 6
        assert all(map(torch.equal, shown, [synthesis.outcomes[name].image for name in legs]))

    def test_smoother_is_smoother(self, inversion):
        technique = inversion(layer="relu2", smoothness=(0.01, 30), sheet=True, steps=60, rate=0.1)
        rough, smooth = (outcome.losses["tv"] for outcome in run(technique).outcomes.values())
        assert smooth < rough / 2

    def test_the_style_is_read_from_all_up_to_each(self, inversion):
        legs = stages(inversion(layer=LAYERS, sheet=True, read="style"))
        assert list(legs) == ["relu1", "relu2 and those before", "relu3 and those before"]
        addresses = tuple(f"{TINY}:{layer}" for layer in LAYERS)
        for count, objective in enumerate(legs.values(), 1):
            assert objective.parts[0][1].layers == addresses[:count]

    def test_a_caricature_has_no_loss_that_says_anything(self, inversion, laid_out):
        technique = inversion(layer=LAYERS, sheet=True, read="caricature")
        technique.finished(run(technique))
        assert [cell.caption for row in laid_out[0][0] for cell in row] == ["the picture", *LAYERS]

    @pytest.mark.parametrize("smoothness", [(), (0.1, 1)])
    @pytest.mark.parametrize("done", [0, 1, 2, 3])
    def test_stopped_early_it_shows_what_there_is(self, done, smoothness, inversion, laid_out):
        technique = inversion(layer=LAYERS, sheet=True, smoothness=smoothness)
        synthesis = Synthesis(technique.plan(), precision="float32")
        for step in synthesis:
            if step.done == max(1, 2 * done):  # of two steps each
                break
        technique.finished(synthesis)
        cells = [cell for row in laid_out[0][0] for cell in row if cell.caption]
        assert [cell.image is not None for cell in cells] == [True] * (1 + done) + [False] * (len(cells) - 1 - done)

    def test_layers_of_one_name_in_two_networks_are_told_apart(self, inversion, laid_out):
        register_backbone("other", tiny_network(seed=5))
        technique = inversion(layer=("relu2", "other:relu2"), sheet=True)
        synthesis = run(technique)
        assert list(synthesis.outcomes) == ["relu2", "other:relu2"]
        technique.finished(synthesis)
        shown = [cell.image for row in laid_out[0][0] for cell in row[-2:]]
        assert not torch.equal(shown[-1], shown[-2])

    def test_without_it_one_picture_is_read_from_all(self, inversion):
        assert list(stages(inversion(layer=LAYERS))) == ["relu3 and those before"]
        synthesis = run(technique := inversion(layer=LAYERS))
        assert torch.equal(technique.finished(synthesis), synthesis.image)
        assert torch.equal(technique.run(precision="float32"), synthesis.image)

    def test_the_picture_keeps_its_transparency_and_a_figure_has_none(self, inversion):
        technique = inversion(image="glass")
        alpha = technique.transparency(finished(technique.plan()))
        assert torch.equal(alpha, resize(ALPHA["glass"], fit(30, 60, 24)))
        assert inversion().transparency(torch.zeros(1, 3, 20, 24)) is None
        assert inversion(image="glass", sheet=True).transparency(torch.zeros(1, 3, 99, 99)) is None


@pytest.mark.parametrize(
    ("options", "error", "says"),
    [
        ({"smoothness": (0.1, 1)}, PlanError, r"^several numbers of --smoothness make the rows of a --sheet: "),
        (
            {"smoothness": 0.1, "prior": "none"},
            PlanError,
            r"^--smoothness is part of --prior natural, and --prior is none",
        ),
        ({"smoothness": (1, 1), "sheet": True}, PlanError, "two are called 'relu2, 1': name each once$"),
        ({"layer": ("relu2", "relu2"), "sheet": True}, PlanError, "two are called 'relu2': name each once$"),
        ({"unclipped": True}, PlanError, "^--unclipped is for --canvas pixels"),
        ({"optimiser": "lbfgs-b"}, PlanError, "^lbfgs-b bounds the values of clamped Pixels"),
        ({"layer": "rule2"}, AddressError, "unknown layer 'rule2' of tiny; did you mean 'relu2'"),
        ({"layer": "all"}, PlanError, "no layers are chosen for 'tiny' here"),
        ({"image": "nowhere.png"}, ImageError, r"nowhere\.png"),
        ({"mask": "long"}, PlanError, "is 80x20, the picture 48x40"),
        ({"mask": "dark"}, PlanError, "black everywhere"),
        ({"mask": "left", "model": DEEP, "layer": "classes"}, PlanError, "a layer that has no positions"),
        ({"read": "style", "model": DEEP, "layer": "classes"}, OneiraError, "positions"),
        ({"read": "colours"}, PlanError, "^--read cannot be 'colours'; allowed: .*'caricature'"),
        ({"size": 15}, PlanError, "^--size cannot be 15; allowed: at least 16"),
        ({"steps": (3, 0)}, PlanError, "^--steps cannot be 0; allowed: at least 1"),
        ({"steps": ()}, PlanError, "^--steps cannot be "),
        ({"rate": 0}, PlanError, "^--rate cannot be 0; allowed: above 0"),
        ({"rate_factors": (1, 0)}, PlanError, "^--rate-factors cannot be 0; allowed: above 0"),
        ({"smoothness": -1}, PlanError, "^--smoothness cannot be -1; allowed: at least 0"),
        ({"smoothness_by_depth": (1, 2)}, PlanError, "^--smoothness-by-depth cannot be "),
        ({"caricature_power": 9}, PlanError, "^--caricature-power cannot be 9; allowed: at least 0 and at most 8"),
        ({"start": "content"}, PlanError, "^--start cannot be 'content'; allowed: .*'picture'"),
    ],
)
def test_what_cannot_be_is_told_in_one_line(options, error, says, inversion):
    with pytest.raises(error, match=says) as told:
        run(inversion(**options))
    assert len(str(told.value).splitlines()) == 1
