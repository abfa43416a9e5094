"""What instance normalisation with a scale and a shift per style must do."""

import pytest
import torch
import torch.nn.functional as F
from torch.testing import assert_close

from oneira.feedforward.normalisation import (
    EPSILON,
    BatchNorm,
    ConditionalInstanceNorm,
    InstanceNorm,
    by_formula,
    normalised,
)

CHANNELS, STYLES = 9, 3


@pytest.fixture
def values(generator):
    return torch.randn(2, CHANNELS, 8, 6, generator=generator, dtype=torch.float64) * 3 + 1


@pytest.fixture
def norm(generator):
    made = ConditionalInstanceNorm(CHANNELS, STYLES).double()
    with torch.no_grad():
        for parameters in made.parameters():
            parameters.copy_(torch.randn(parameters.shape, generator=generator))
    return made


def plain(values, scale, shift):
    """Ulyanov et al. 2016, equation 4, letter by letter."""
    mean = values.mean((2, 3), keepdim=True)
    variance = ((values - mean) ** 2).mean((2, 3), keepdim=True)
    return scale[..., None, None] * (values - mean) / (variance + EPSILON).sqrt() + shift[..., None, None]


@pytest.mark.parametrize("order", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize("learning", [True, False])
@pytest.mark.parametrize("channels", [3, CHANNELS])
def test_it_is_the_published_formula(values, norm, order, learning, channels):
    numbers = values[:, :channels].contiguous(memory_format=order)
    scale, shift = norm.scale[:2, :channels], norm.shift[:2, :channels]
    with torch.set_grad_enabled(learning):
        assert_close(normalised(numbers, scale, shift), plain(numbers, scale, shift))
        assert_close(by_formula(numbers, scale, shift), plain(numbers, scale, shift))


def test_its_gradients_are_those_of_the_formula(values, norm):
    inputs = [tensor.detach().requires_grad_() for tensor in (values[..., :3], norm.scale[:2], norm.shift[:2])]
    assert torch.autograd.gradcheck(normalised, inputs)


def test_bfloat16_keeps_its_statistics_in_full(generator):
    # A mean far from 0 takes all of bfloat16's digits.
    values = (torch.randn(1, CHANNELS, 32, 32, generator=generator) + 20).bfloat16()
    scale, shift = torch.ones(1, CHANNELS), torch.zeros(1, CHANNELS)
    assert_close(normalised(values, scale, shift).float(), plain(values.float(), scale, shift), atol=0.02, rtol=0.01)


def test_a_plain_instance_norm_ignores_brightness_and_contrast(values):
    norm = InstanceNorm(CHANNELS).double()
    assert_close(norm(5 * values + 7), norm(values), atol=1e-4, rtol=1e-4)  # but for epsilon
    assert_close(norm(values), F.instance_norm(values, eps=EPSILON))


@pytest.mark.parametrize("style", range(STYLES))
def test_one_hot_weights_are_a_plain_instance_norm_of_that_style(values, norm, style):
    weights = torch.eye(STYLES, dtype=torch.float64)[[style, style]]
    expected = F.instance_norm(values, weight=norm.scale[style], bias=norm.shift[style], eps=EPSILON)
    assert_close(norm(values, weights), expected)


def test_every_picture_of_a_batch_has_its_own_style(values, norm, generator):
    weights = torch.rand(2, STYLES, generator=generator, dtype=torch.float64)
    together = norm(values, weights)
    for picture in range(2):
        one = slice(picture, picture + 1)
        assert_close(together[one], norm(values[one], weights[one]))


def test_a_blend_of_a_style_with_itself_is_that_style(values, norm):
    with torch.no_grad():
        norm.scale[1], norm.shift[1] = norm.scale[0], norm.shift[0]
    blend = torch.tensor([[0.3, 0.7, 0.0]], dtype=torch.float64).expand(2, -1)
    alone = torch.tensor([[1.0, 0.0, 0.0]], dtype=torch.float64).expand(2, -1)
    assert_close(norm(values, blend), norm(values, alone))


def test_blends_are_linear_between_styles(values, norm):
    first, second = torch.eye(STYLES, dtype=torch.float64)[:2].unbind()
    at = lambda share: norm(values, ((1 - share) * first + share * second).expand(2, -1))  # noqa: E731
    assert_close(at(0.25), 0.75 * at(0) + 0.25 * at(1))


@pytest.mark.parametrize("size", [(8, 6), (1, 1), (16, 12), (5, 9)])
def test_constant_maps_are_weights(values, norm, generator, size):
    weights = torch.rand(2, STYLES, generator=generator, dtype=torch.float64)
    assert_close(norm(values, weights[..., None, None].expand(-1, -1, *size)), norm(values, weights))


def test_maps_change_the_style_from_place_to_place(values, norm):
    maps = torch.zeros(2, STYLES, 8, 6, dtype=torch.float64)
    maps[:, 0, :, :3] = 1
    maps[:, 2, :, 3:] = 1
    left, _, right = (norm(values, one.expand(2, -1)) for one in torch.eye(STYLES, dtype=torch.float64))
    assert_close(norm(values, maps), torch.cat([left[..., :3], right[..., 3:]], dim=-1))


def test_batch_norm_looks_at_the_whole_batch(values):
    norm = BatchNorm(CHANNELS).double()
    assert_close(norm(values), F.batch_norm(values, None, None, training=True, eps=EPSILON))
