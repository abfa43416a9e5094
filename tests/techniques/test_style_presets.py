"""Presets of others' programs: what the first step of each minimises is what its source says, weights and all."""

from collections import OrderedDict

import pytest
import torch
from published import Layers, Scene, anishathalye, crowsonkb, gatys, hvass, hvass_gradient, neural_style_pt
from styles import begun, picture, weighted
from torch import nn
from torch.testing import assert_close

from oneira import register_backbone
from oneira.errors import PlanError
from oneira.features.encoder import Encoder
from oneira.features.variant import Variant
from oneira.images import save
from oneira.objectives import BoundObjective
from oneira.synthesis.loop import Synthesis
from oneira.synthesis.optimisers import OptimiserSpec
from oneira.synthesis.shaping import Std
from oneira.techniques.style import Style

SIZE = (48, 64)
DEEP = "deep"
VGG_16 = (2, 2, 3, 3, 3)
FIVE = "relu1_1 relu2_1 relu3_1 relu4_1 relu5_1"
THIRTEEN = "relu1_1 relu1_2 relu2_1 relu2_2 relu3_1 relu3_2 relu3_3 relu4_1 relu4_2 relu4_3 relu5_1 relu5_2 relu5_3"
# Of the canvas's area, in other proportions, so that it is looked at as it is; of Hvass' 300 pixels.
STYLES = {"wide": (32, 96), "hvass": (32, 300)}


def deep_network():
    """VGG-16 in miniature: conv1_1, relu1_1, ... pool4, conv5_1, ..., of four channels each."""
    generator = torch.Generator().manual_seed(5)
    layers = OrderedDict()
    inputs = 3
    for stage, convolutions in enumerate(VGG_16, 1):
        for number in range(1, convolutions + 1):
            conv = nn.Conv2d(inputs, 4, 3, padding=1)
            with torch.no_grad():
                conv.weight.copy_(torch.randn(conv.weight.shape, generator=generator) * (2 / (9 * inputs)) ** 0.5)
                conv.bias.copy_(torch.rand(conv.bias.shape, generator=generator) * 0.2)
            layers[f"conv{stage}_{number}"] = conv
            layers[f"relu{stage}_{number}"] = nn.ReLU()
            inputs = 4
        layers[f"pool{stage}"] = nn.MaxPool2d(2)
    return nn.Sequential(layers)


@pytest.fixture(scope="module")
def scene_of(tmp_path_factory):
    """A preset's technique on its way from a content to a style, and the same scene for a transcription."""
    register_backbone(DEEP, deep_network())
    folder = tmp_path_factory.mktemp("published")
    drawn = {"content": picture(1, *SIZE), "canvas": picture(2, *SIZE, low=0.3)}
    drawn |= {name: picture(3, *size, 0.2, 0.9, dye=(1.0, 0.6, 0.3)) for name, size in STYLES.items()}
    for name, image in drawn.items():
        save(folder / f"{name}.png", image)

    def scene(preset, model, content, style):
        name = preset if preset in STYLES else "wide"
        paths = {field: folder / f"{each}.png" for field, each in (("content", "content"), ("style", name))}
        start = {"start_picture": folder / "canvas.png", "start_noise": 0}
        technique = Style.configured(preset, **paths, **start, model=model, size=max(SIZE))
        encoder = Encoder(variant=technique.variant())
        layers = Layers.of(model, content, style)
        return technique, Scene.of(layers, encoder, drawn["canvas"], drawn["content"], drawn[name])

    return scene


def first_losses(technique):
    """Weight times loss of every term, as its first step reports them."""
    plan = technique.plan()
    step = next(iter(Synthesis(plan, precision="float32")))
    return {term.name: weight * step.losses[term.name] for weight, term in weighted(plan)}


@pytest.mark.parametrize(
    ("preset", "transcription", "weights"),
    [
        ("gatys", gatys, {"content": 1, "style": 1000}),
        ("neural-style-pt", neural_style_pt, {"content": 1, "style": 1, "tv": 1}),
        ("crowsonkb", crowsonkb, {"content": 1, "style": 1, "tv": 1}),
        ("anishathalye", anishathalye, {"content": 1, "style": 1, "tv": 1}),
    ],
)
def test_the_first_losses_are_the_sources(preset, transcription, weights, scene_of):
    technique, scene = scene_of(preset, "pocket", "relu4_2", FIVE)
    expected = [weight * loss.item() for weight, loss in zip(weights.values(), transcription(scene), strict=True)]
    assert first_losses(technique) == pytest.approx(dict(zip(weights, expected, strict=True)), rel=1e-5)


@pytest.fixture(scope="module")
def hvass_scene(scene_of):
    return scene_of("hvass", DEEP, "relu3_1", THIRTEEN)


class TestHvass:
    def test_the_first_losses_are_the_logarithms_of_the_sources(self, hvass_scene):
        technique, scene = hvass_scene
        content, style, noise = (loss.item() for loss in hvass(scene))
        weights = {"content": 1.5, "style": 10.0, "tv": 0.3}
        # Our pixels are 1/255 of theirs, which a logarithm adds up and a gradient does not see.
        logarithms = torch.tensor([content, style, noise / 255], dtype=torch.float64).log().tolist()
        expected = {name: weights[name] * loss for name, loss in zip(weights, logarithms, strict=True)}
        assert first_losses(technique) == pytest.approx(expected, rel=1e-5)

    def test_the_first_gradient_is_the_sources(self, hvass_scene):
        technique, scene = hvass_scene
        image = scene.canvas.image.clone().requires_grad_()
        BoundObjective(technique.plan().objective, scene.encoder, SIZE)(image).total.backward()
        expected = hvass_gradient(scene)
        assert (image.grad - expected).norm() <= 1e-5 * expected.norm()


# What is minimised is seen above; by what steps, from where, and how the network is run, is said here.
LBFGS = OptimiserSpec("lbfgs")
STEPS = {
    "gatys": (LBFGS, [(512, 500)], Variant("avg", 1.0, normalised=True)),
    "neural-style-pt": (OptimiserSpec("lbfgs", 1.0, {"history_size": 100}), [(512, 1000)], Variant("max", 1.0)),
    "crowsonkb": (
        OptimiserSpec("adam", 0.02, {"betas": (0.9, 0.99)}),
        [(128, 1000), (181, 500), (256, 500), (362, 500), (512, 500)],
        Variant("max", 1.0, "replicate-first"),
    ),
    "hvass": (OptimiserSpec("ascent", 10 / 255), [(512, 120)], Variant("max", 1.0)),
    "anishathalye": (
        OptimiserSpec("adam", 10 / 255, {"betas": (0.9, 0.999), "eps": 1e-8}),
        [(512, 1000)],
        Variant("max", 1.0),
    ),
}
MODELS = {
    "gatys": "vgg19-caffe",
    "neural-style-pt": "vgg19-caffe",
    "crowsonkb": "vgg19",
    "hvass": "vgg16-caffe",
    "anishathalye": "vgg19-caffe",
}
# Standard deviation around mid-grey; None: it begins with the content.
NOISES = {
    "gatys": 0.2,
    "neural-style-pt": 0.001 / 256,
    "crowsonkb": None,
    "hvass": 12**-0.5 / 255,
    "anishathalye": 0.256 / 255,
}


@pytest.fixture(scope="module")
def configured(tmp_path_factory):
    """Presets as they are, for a content of 512 pixels."""
    path = tmp_path_factory.mktemp("content") / "content.png"
    save(path, picture(1, 384, 512))

    def preset(name, **options):
        return Style.configured(name, content=path, style=path, **options)

    return preset


def test_all_are_here():
    assert set(Style.presets) == {"pocket", *STEPS} == {"pocket", *MODELS} == {"pocket", *NOISES}


@pytest.mark.parametrize("name", STEPS)
class TestNumbers:
    def test_of_the_descent(self, name, configured):
        optimiser, _, variant = STEPS[name]
        plan = configured(name).plan()
        assert plan.optimiser == optimiser
        assert plan.variant == variant
        assert (plan.averaging, plan.keep_momentum) == ((0.99, True) if name == "crowsonkb" else (0.0, False))
        assert plan.shaping == ((Std(),) if name == "hvass" else ())
        assert configured(name).model == MODELS[name]

    def test_of_the_sizes(self, name, configured):
        _, sizes, _ = STEPS[name]
        assert [(scale.size, scale.steps) for scale in configured(name).plan().schedule.scales] == sizes

    def test_of_the_start(self, name, configured):
        technique = configured(name)
        start, content = begun(technique.plan()), technique.picture(technique.content).image
        if NOISES[name] is None:
            assert torch.equal(start, content)
        else:
            assert start.mean().item() == pytest.approx(0.5, abs=1e-3)
            assert start.double().std().item() == pytest.approx(NOISES[name], rel=0.02)


@pytest.mark.parametrize("name", [name for name in Style.presets if name != "pocket"])
def test_options_beside_a_preset_override_it(name, configured):
    technique = configured(name, optimiser="adam", **({"history": None} if name == "neural-style-pt" else {}))
    assert technique.optimiser == "adam"
    assert technique.plan().optimiser.name == "adam"


def test_a_scale_of_the_style_takes_the_place_of_hvass_size(configured):
    assert configured("hvass").style_size == 300
    assert configured("hvass", style_scale=2).style_size is None


def test_a_preset_refuses_what_does_not_go_with_it(configured):
    with pytest.raises(PlanError, match=r"^--history is a setting of lbfgs, not of adam$"):
        configured("neural-style-pt", optimiser="adam").plan()
    assert_close(torch.tensor(configured("crowsonkb").style_layer_weight).sum(), torch.tensor(1.0))
