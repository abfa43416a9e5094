"""Pictures that tile without a seam: canvas, network and smoothness on a torus."""

from dataclasses import replace
from functools import partial

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from plans import finished
from torch.testing import assert_close

from oneira.errors import PlanError
from oneira.features import Backbone, Variant, registry, stride_of
from oneira.features.backbones.vgg import vgg, vgg_aliases
from oneira.features.encoder import Encoder
from oneira.features.weights import LoadedWeights
from oneira.images import resize
from oneira.objectives import BoundObjective, Style, TotalVariation
from oneira.synthesis.canvas import Pixels
from oneira.synthesis.carrying import Blend
from oneira.synthesis.optimisers import OptimiserSpec
from oneira.synthesis.plan import Plan
from oneira.synthesis.schedules import Scale, Schedule

DEPTHS = (2, 1)
NARROW = Backbone("narrow", partial(vgg, DEPTHS, widths=(8, 12), hidden=4, classes=2), aliases=vgg_aliases(DEPTHS))
LAYERS = ("narrow:relu1_1", "narrow:relu1_2", "narrow:relu2_1")


@pytest.fixture(autouse=True)
def _narrow(monkeypatch):
    """One of Oneira's own networks, since a variant leaves those of a user alone."""

    def loaded(*_, **__) -> LoadedWeights:
        generator = torch.Generator().manual_seed(0)
        network = NARROW.build().eval()
        with torch.no_grad():
            for weight in network.parameters():
                fan = weight[0].numel() if weight.ndim > 1 else 1
                weight.copy_(torch.randn(weight.shape, generator=generator) * (2 / fan) ** 0.5)
                if weight.ndim == 1:
                    weight.mul_(0.05)
        return LoadedWeights(network, None, None)

    monkeypatch.setattr(registry, "_REGISTERED", {**registry._REGISTERED, NARROW.name: NARROW})
    monkeypatch.setattr("oneira.features.encoder.load_weights", loaded)


@pytest.mark.parametrize("pooling", ["max", "avg"])
@pytest.mark.parametrize("gradient", [False, True])
def test_the_style_of_a_picture_rolled_by_strides_is_the_same(pooling, gradient, generator):
    picture, style = torch.rand(2, 1, 3, 16, 24, generator=generator)
    stride = stride_of(LAYERS[-1])
    assert stride == 2
    variant = Variant(pooling, padding="circular")
    objective = BoundObjective(Style(style, LAYERS), Encoder(variant=variant), (16, 24))
    plain, rolled = (
        objective(each.requires_grad_(gradient)).total.detach()
        for each in (picture, picture.roll((3 * stride, -5 * stride), (2, 3)))
    )
    assert plain > 1e-3
    assert_close(rolled, plain, rtol=1e-4, atol=0)
    zeros = BoundObjective(Style(style, LAYERS), Encoder(variant=Variant(pooling)), (16, 24))
    assert abs(zeros(picture).total - zeros(picture.roll(6, 3)).total) > 1e-3 * plain


def stripes(height: int, width: int) -> torch.Tensor:
    """Slanted stripes, whose left and right, top and bottom borders do not fit."""
    down, right = torch.arange(height)[:, None], torch.arange(width)[None, :]
    wave = 0.5 + 0.4 * torch.sin(2 * torch.pi * (down / 9.3 + right / 7.1))
    return torch.stack([wave, 0.8 * wave, 1 - wave])[None]


def jumps(picture: torch.Tensor) -> tuple[float, float]:
    """How much neighbours differ on average: over the border, and inside."""
    right, down = ((picture.roll(-1, axis) - picture).abs() for axis in (3, 2))
    over = torch.cat([right[..., -1].flatten(), down[..., -1, :].flatten()])
    inside = torch.cat([right[..., :-1].flatten(), down[..., :-1, :].flatten()])
    return float(over.mean()), float(inside.mean())


def texture_plan(canvas: Pixels, *, wraps: bool, steps: int = 20) -> Plan:
    return Plan(
        canvas=replace(canvas, wraps=wraps, multiple=4),
        objective=Style(stripes(40, 40), LAYERS) + 0.1 * TotalVariation(wraps=wraps),
        schedule=Schedule((Scale(25, steps), Scale(49, steps))),
        optimiser=OptimiserSpec("lbfgs-b"),
        variant=Variant("avg", padding="circular" if wraps else "zeros"),
    )


@pytest.mark.parametrize("seed", range(3))
def test_a_texture_that_wraps_has_no_seam_and_one_that_does_not_has(seed):
    noise = Pixels.grey(49, 49, "white")
    seamless, plain = (finished(texture_plan(noise, wraps=wraps), seed=seed) for wraps in (True, False))
    assert seamless.shape == (1, 3, 48, 48)
    assert (seamless - 0.5).abs().mean() > 0.1
    over, inside = jumps(seamless)
    assert over < 1.2 * inside
    over, inside = jumps(plain)
    assert over > 1.3 * inside


def test_a_run_from_a_rolled_start_ends_in_the_rolled_picture():
    start = resize(stripes(20, 20), (48, 48))
    shift = (8, -12)  # whole strides at both sizes, 24 and 48
    one, other = (
        finished(texture_plan(Pixels.of(each), wraps=True, steps=8)) for each in (start, start.roll(shift, (2, 3)))
    )
    assert (one - start).abs().mean() > 0.02
    # Roundings, which depend on the place, grow in L-BFGS from step to step.
    assert (other - one.roll(shift, (2, 3))).abs().mean() < 1e-3


@given(st.integers(1, 300), st.integers(1, 300), st.integers(1, 300), st.sampled_from([1, 2, 8, 16]))
def test_sides_are_multiples_near_the_proportions_and_never_nothing(height, width, long_side, multiple):
    start = torch.zeros(1, 3, height, width)
    size = Pixels(start, multiple=multiple).size(long_side)
    for side, fitted in zip(size, Pixels(start).size(long_side), strict=True):
        assert side % multiple == 0
        assert side >= multiple
        assert abs(side - fitted) <= multiple / 2 or side == multiple


def test_sides_are_multiples_of_something(image):
    with pytest.raises(PlanError, match="multiples of at least 1 pixel, not of 0"):
        Pixels(image, multiple=0)


@pytest.mark.parametrize("carry", ["result", "detail", Blend(0.3)])
@pytest.mark.parametrize("smoothing", [0.0, 0.8])
def test_a_canvas_that_wraps_goes_from_size_to_size_as_a_period(carry, smoothing, generator):
    start = torch.rand(1, 3, 24, 32, generator=generator)
    grown = []
    for shift in ((0, 0), (8, -16)):
        canvas = Pixels(start.roll(shift, (2, 3)), wraps=True, smoothing=smoothing)
        surface = canvas.begin((12, 16), generator, torch.device("cpu"))
        with torch.no_grad():
            surface.parameters[0].square_()
        grown.append(surface.resized((18, 24), carry).image().detach())
    assert_close(grown[1], grown[0].roll((6, -12), (2, 3)), atol=1e-5, rtol=0)
    assert grown[0].std() > 0.05
