"""The networks are the published ones, and draw pictures of any size."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from small_networks import SMALL, conditional, shuffled, unconditional
from torch.testing import assert_close

from oneira.errors import PlanError
from oneira.feedforward import TextureNetwork, TransformerNetwork
from oneira.feedforward.convolution import EnlargingConvolution, WideConvolution, padded

SIDES = st.integers(1, 21)


def count(network):
    return sum(parameter.numel() for parameter in network.parameters())


def pictures(*shape, seed=0):
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def mirrored(values, reach):
    return F.pad(values, (reach,) * 4, mode="reflect")


def layer(values, normed, *, stride=1, enlarge=False, style=None, rectified=True):
    """One layer as pytorch/examples and magenta write it."""
    convolution, norm = normed.convolution, normed.normalisation
    if enlarge:
        values = F.interpolate(values, scale_factor=2, mode="nearest")
    values = mirrored(values, convolution.weight.shape[-1] // 2)
    values = F.conv2d(values, convolution.weight, convolution.bias, stride)
    if isinstance(norm, torch.nn.BatchNorm2d):
        values = F.batch_norm(values, norm.running_mean, norm.running_var, norm.weight, norm.bias)
    elif norm is not None:
        scale, shift = (norm.scale, norm.shift) if style is None else (norm.scale[style], norm.shift[style])
        values = F.instance_norm(values, weight=scale, bias=shift)
    return F.relu(values) if rectified else values


def transcribed(network, image, style=None):
    values = image
    for stride, block in zip((1, 2, 2), network.contract, strict=True):
        values = layer(values, block, stride=stride, style=style)
    for block in network.residuals:
        inner = layer(values, block.first, style=style)
        values = values + layer(inner, block.second, style=style, rectified=False)
    for block in network.expand:
        values = layer(values, block, enlarge=True, style=style)
    return torch.sigmoid(layer(values, network.draw, style=style, rectified=False))


def test_the_identity_gives_back_each_picture_s_own_brightness_and_contrast():
    network, image = conditional(identity=1).double(), pictures(2, 3, 24, 32)
    drawn = torch.logit(network(image, torch.eye(3).double()[[1, 1]])).flatten(2)
    given = torch.logit(image, eps=0.01).flatten(2)
    assert_close(drawn.mean(2), given.mean(2))
    assert_close(drawn.std(2), given.std(2), rtol=1e-3, atol=0)  # what is normalised has a deviation just below 1
    maps = torch.zeros(2, 3, 24, 32).double()
    maps[:, 1] = 1
    assert_close(network(image, maps), network(image, torch.eye(3).double()[[1, 1]]))


def test_the_other_styles_know_nothing_of_the_identity():
    image, shares = pictures(1, 3, 24, 32), torch.tensor([[0.3, 0.0, 0.7]]).double()
    with_it, without = conditional(identity=1).double(), conditional().double()
    without.load_state_dict(with_it.state_dict())
    assert_close(with_it(image, shares), without(image, shares))


def test_the_identity_is_one_of_the_styles_of_a_conditional_network():
    with pytest.raises(PlanError, match="style 3 as the identity, of 3 styles and conditional"):
        TransformerNetwork(styles=3, identity=3)
    with pytest.raises(PlanError, match="of 1 styles and instance"):
        TransformerNetwork("instance", identity=0)


def test_they_have_the_published_numbers_of_parameters():
    assert count(TransformerNetwork("instance")) == 1_679_235
    assert count(TransformerNetwork("batch")) == 1_679_235
    for styles in (1, 32):
        assert count(TransformerNetwork("conditional", styles)) == 1_674_432 + 3_206 * styles


@pytest.mark.parametrize("style", [0, 2])
def test_the_conditional_network_is_magentas(style):
    network, image = conditional(), pictures(1, 3, 12, 20)
    # Their picture is not centred; the first normalisation takes a constant out.
    assert_close(network(image, torch.eye(3).double()[[style]]), transcribed(network, image, style))


def test_the_network_with_instance_normalisation_is_pytorch_examples():
    network, image = unconditional(), pictures(2, 3, 12, 20)
    assert_close(network(image), transcribed(network, image))


def test_the_network_with_batch_normalisation_is_johnsons():
    network, image = unconditional("batch"), pictures(2, 3, 12, 20)
    assert_close(network(image), transcribed(network, image - 0.5))


@given(inputs=st.integers(1, 5), outputs=st.integers(1, 5), size=st.sampled_from([3, 5, 9]), bias=st.booleans())
def test_a_wide_convolution_is_a_convolution(inputs, outputs, size, bias):
    wide = shuffled(WideConvolution(inputs, outputs, size, bias=bias))
    values = pictures(2, inputs, 8, 6 + size // 4 * 2)
    assert_close(wide(values), F.conv2d(mirrored(values, size // 2), wide.weight, wide.bias))


@given(inputs=st.integers(1, 5), outputs=st.integers(1, 5), height=st.integers(1, 7), bias=st.booleans())
def test_an_enlarging_convolution_is_one_of_the_picture_with_its_pixels_repeated(inputs, outputs, height, bias):
    enlarging = shuffled(EnlargingConvolution(inputs, outputs, bias=bias))
    values = pictures(2, inputs, height, 4)
    repeated = F.interpolate(values, scale_factor=2, mode="nearest")
    assert_close(enlarging(values), F.conv2d(mirrored(repeated, 1), enlarging.weight, enlarging.bias))


def test_autocast_pads_what_is_bfloat16_as_it_is():
    with torch.autocast("cpu", torch.bfloat16):
        assert padded(pictures(1, 3, 8, 8).bfloat16(), 1).dtype == torch.bfloat16


@given(height=SIDES, width=SIDES)
def test_any_size_comes_back_as_it_was(height, width):
    drawn = conditional()(pictures(1, 3, height, width), torch.eye(3).double()[:1])
    assert drawn.shape == (1, 3, height, width)
    assert (drawn >= 0).all()
    assert (drawn <= 1).all()


@given(height=SIDES, width=SIDES)
def test_what_lacks_to_a_multiple_of_four_is_mirrored_and_cut_off_again(height, width):
    network, image = unconditional(), pictures(1, 3, height, width)
    lacking = [max(-(-side // 4) * 4, 8) - side for side in (height, width)]
    grown = np.pad(image.numpy(), [(0, 0), (0, 0), (0, lacking[0]), (0, lacking[1])], mode="reflect")
    assert_close(network(image), network(torch.from_numpy(grown))[..., :height, :width])


def test_every_picture_of_a_batch_is_drawn_as_if_alone():
    network, images = conditional(), pictures(2, 3, 13, 9)
    weights = pictures(2, 3, seed=1)
    together = network(images, weights)
    for one in (slice(0, 1), slice(1, 2)):
        assert_close(together[one], network(images[one], weights[one]))


@pytest.mark.parametrize("size", [(13, 9), (1, 1), (40, 50)])
def test_constant_maps_draw_what_weights_draw(size):
    network, image = conditional(), pictures(1, 3, 13, 9)
    weights = pictures(1, 3, seed=1)
    assert_close(network(image, weights[..., None, None].expand(-1, -1, *size)), network(image, weights))


@torch.no_grad()
def test_maps_lie_over_the_picture_from_its_left_to_its_right():
    network, image = conditional(2), pictures(1, 3, 24, 80)
    maps = torch.zeros(1, 2, 24, 80, dtype=torch.float64)
    maps[:, 0, :, :40] = 1
    maps[:, 1, :, 40:] = 1
    first, second = (network(image, weights) for weights in torch.eye(2).double().split(1))
    mixed = network(image, maps)
    away = lambda style, part: float((mixed - style)[..., part].abs().mean())  # noqa: E731
    left, right = slice(0, 20), slice(60, 80)
    assert away(first, left) < away(second, left)
    assert away(second, right) < away(first, right)


def test_what_learns_draws_what_has_learned():
    network, image = conditional(), pictures(2, 3, 12, 12)
    weights = pictures(2, 3, seed=1)
    learning = network(image, weights)
    with torch.no_grad():
        assert_close(learning, network(image, weights))
    learning.square().mean().backward()
    assert all(parameter.grad is not None and parameter.grad.abs().sum() > 0 for parameter in network.parameters())


def test_a_network_of_one_style_needs_no_weights():
    network, image = conditional(1), pictures(1, 3, 12, 12)
    assert_close(network(image), network(image, torch.ones(1, 1).double()))
    alone = unconditional()
    assert_close(alone(image), alone(image, torch.ones(1, 1).double()))


def test_bfloat16_draws_the_same_picture():
    network, image = TransformerNetwork(styles=2, **SMALL).eval(), pictures(1, 3, 32, 32).float()
    weights = torch.tensor([[0.5, 0.5]])
    with torch.no_grad():
        exact = network(image, weights)
        with torch.autocast("cpu", torch.bfloat16):
            rounded = network(image, weights)
    assert rounded.dtype == torch.bfloat16
    assert (rounded.float() - exact).abs().mean() < 0.02


@pytest.mark.parametrize(
    ("network", "shape", "style", "told"),
    [
        (conditional(), (3, 8, 8), None, "(batch, 3, height, width)"),
        (conditional(), (1, 3, 8, 8), None, "3 styles"),
        (conditional(), (1, 3, 8, 8), torch.ones(1, 4), "(1, 3)"),
        (conditional(), (2, 3, 8, 8), torch.ones(1, 3), "(2, 3)"),
        (conditional(), (1, 3, 8, 8), torch.ones(3), "(1, 3)"),
        (unconditional(), (1, 3, 8, 8), torch.full((1, 1), 0.5), "no other weight than 1"),
    ],
)
def test_what_does_not_fit_is_told_in_one_line(network, shape, style, told):
    with pytest.raises(PlanError) as refusal:
        network(torch.rand(shape), style)
    assert told in str(refusal.value)
    assert "\n" not in str(refusal.value)


def test_networks_that_cannot_be_are_refused():
    with pytest.raises(PlanError, match="did you mean 'instance'"):
        TransformerNetwork("instanse")
    with pytest.raises(PlanError, match="one style, not 2"):
        TransformerNetwork("batch", styles=2)
    with pytest.raises(PlanError, match="at least 1"):
        TransformerNetwork(styles=0)
    with pytest.raises(PlanError, match="did you mean 'batch'"):
        TextureNetwork("bach")


def test_the_texture_network_has_the_published_size():
    # Blocks of 3x3, 3x3 and 1x1, with biases: five of 3 channels to 8, then mixtures of 16, 24, 32 and 40 channels.
    branches = 5 * ((3 * 8 * 9 + 8) + (8 * 8 * 9 + 8) + (8 * 8 + 8))
    mixtures = sum(2 * (9 * wide**2 + wide) + wide**2 + wide for wide in (16, 24, 32, 40))
    # A scale and a shift behind every one of them, and before what is coarse and what is fine are joined.
    scales = 2 * (5 * 3 * 8 + 3 * (16 + 24 + 32 + 40) + (8 + 16 + 24 + 32) + 4 * 8)
    assert count(TextureNetwork()) == branches + mixtures + scales + (40 * 3 + 3) == 71_659


@pytest.mark.parametrize("normalisation", ["instance", "batch"])
def test_textures_wrap_around(normalisation, generator):
    network = shuffled(TextureNetwork(normalisation, scales=3, channels=4))
    noise = [scale.double() for scale in network.noise(2, 16, 24, generator)]
    turned = [scale.roll((2**octave, 2**octave), (2, 3)) for octave, scale in enumerate(noise)]
    drawn = network(noise)
    assert drawn.shape == (2, 3, 16, 24)
    assert_close(network(turned), drawn.roll((4, 4), (2, 3)))
    assert not torch.allclose(drawn, drawn.roll((4, 4), (2, 3)))
    assert (drawn >= 0).all()
    assert (drawn <= 1).all()


def test_other_noise_is_another_texture_and_the_same_noise_the_same(generator):
    network = shuffled(TextureNetwork(scales=3, channels=4)).float()
    first, second = (network(network.noise(1, 16, 16, generator)) for _ in range(2))
    assert not torch.allclose(first, second, atol=1e-3)
    assert_close(network(network.noise(1, 16, 16, torch.Generator().manual_seed(0))), first)


def test_textures_have_sides_that_can_be_halved(generator):
    with pytest.raises(PlanError, match="40x24 pixels; both sides must be multiples of 16"):
        TextureNetwork().noise(1, 24, 40, generator)
