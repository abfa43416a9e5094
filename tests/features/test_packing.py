"""Packed convolutions against torch's own, both ways."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn
from torch.testing import assert_close

from oneira.features.packing import PackedConv, _packed, _squares, packable

pytestmark = pytest.mark.skipif(
    not packable(nn.Conv2d(3, 4, 3).requires_grad_(False)), reason="this torch cannot pack convolutions"
)


def convolution(*shape: int, seed: int = 0, **options: object) -> nn.Conv2d:
    torch.manual_seed(seed)
    return nn.Conv2d(*shape, **options).requires_grad_(False)


def both_ways(conv: nn.Conv2d, features: torch.Tensor, rectified: bool) -> tuple[list[torch.Tensor], ...]:
    """Output and gradient to the input: packed, and as torch has them."""
    plain = features.clone().requires_grad_()
    expected = conv(plain)
    gradient = torch.randn(expected.shape, generator=torch.Generator().manual_seed(1)).to(features.dtype)
    (by_plain,) = torch.autograd.grad(expected, plain, gradient)
    packed = PackedConv(conv)
    found = [packed.there(features, rectified=rectified), packed.back(gradient)]
    return found, [expected.detach().relu() if rectified else expected.detach(), by_plain]


@given(
    channels=st.tuples(st.integers(1, 9), st.integers(1, 9)),
    kernel=st.tuples(st.integers(1, 4), st.integers(1, 4)),
    size=st.tuples(st.integers(4, 9), st.integers(4, 9)),
    batch=st.integers(1, 2),
    rectified=st.booleans(),
    data=st.data(),
)
def test_a_packed_convolution_is_torchs(channels, kernel, size, batch, rectified, data):
    padding = data.draw(st.tuples(*(st.integers(0, length - 1) for length in kernel)))
    conv = convolution(*channels, kernel, padding=padding)
    found, expected = both_ways(conv, torch.rand(batch, channels[0], *size), rectified)
    assert_close(found, expected, rtol=1e-4, atol=1e-5)


@given(
    channels=st.tuples(st.integers(1, 9), st.integers(1, 9)),
    kernel=st.tuples(st.integers(1, 4), st.integers(1, 4)),
    size=st.tuples(st.integers(1, 9), st.integers(1, 9)),
    data=st.data(),
)
def test_one_that_wraps_is_that_of_a_picture_among_its_repetitions(channels, kernel, size, data):
    padding = data.draw(st.tuples(*(st.integers(0, length - 1) for length in kernel)))
    conv = convolution(*channels, kernel, padding=padding)
    features = torch.rand(1, channels[0], *size, generator=torch.Generator().manual_seed(0)).requires_grad_()
    packed = PackedConv(conv, wraps=True)
    among = conv(features.repeat(1, 1, 9, 9))
    expected = among[..., 4 * size[0] : 5 * size[0], 4 * size[1] : 5 * size[1]]
    gradient = torch.rand(expected.shape, generator=torch.Generator().manual_seed(1))
    (by_features,) = torch.autograd.grad(expected, features, gradient)
    found = packed.there(features.detach(), rectified=False), packed.back(gradient)
    assert_close(found, (expected.detach(), by_features), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("size", [(8, 12), (2, 2), (9, 12), (8, 13), (9, 13), (1, 1)])
@pytest.mark.parametrize(("channels", "padding"), [(1, 1), (3, 1), (4, 1), (5, 1), (3, 0), (3, 2)])
def test_the_gradient_to_few_channels_is_exact_at_any_size(channels, padding, size):
    features = torch.rand(2, channels, *(max(length, 3 - 2 * padding) for length in size))
    found, expected = both_ways(convolution(channels, 6, 3, padding=padding), features, False)
    assert_close(found, expected, rtol=1e-4, atol=1e-5)


def test_bfloat16_is_torchs_within_its_rounding():
    conv = convolution(3, 8, 3, padding=1).bfloat16().to(memory_format=torch.channels_last)
    if not packable(conv):
        pytest.skip("this processor has no bfloat16")
    found, expected = both_ways(conv, torch.rand(1, 3, 8, 8).bfloat16(), True)
    assert [each.dtype for each in found] == [torch.bfloat16] * 2
    assert_close(found, expected, rtol=0.02, atol=0.02)


def test_weights_are_packed_when_a_direction_is_first_taken_and_then_kept(monkeypatch):
    laid = []
    for way in (_packed, _squares):
        monkeypatch.setattr(
            f"oneira.features.packing.{way.__name__}", lambda *given, way=way: laid.append(way) or way(*given)
        )
    packed, features = PackedConv(convolution(3, 4, 3, padding=1)), torch.rand(1, 3, 8, 8)
    assert laid == []
    there = packed.there(features, rectified=False)
    assert laid == [_packed]
    packed.back(there)
    assert laid == [_packed, _squares]
    packed.back(packed.there(features, rectified=True))
    assert laid == [_packed, _squares]
    packed.back(there[:, :, 1:])
    assert laid == [_packed, _squares, _packed]


def test_what_was_packed_in_inference_mode_takes_part_in_gradients():
    packed = PackedConv(convolution(3, 4, 3, padding=1))
    with torch.inference_mode():
        gradient = packed.there(torch.rand(1, 3, 8, 8), rectified=True)
        expected = packed.back(gradient)
    wanted = gradient.clone().requires_grad_()
    found = packed.back(wanted)
    assert_close(found.detach(), expected)
    assert found.requires_grad


@pytest.mark.parametrize(
    "conv",
    [
        convolution(4, 4, 3, stride=2),
        convolution(4, 4, 3, dilation=2),
        convolution(4, 4, 3, groups=2),
        convolution(4, 4, 3, padding="same"),
        convolution(4, 4, 3, padding=3),
        convolution(4, 4, 3, padding=1, padding_mode="reflect"),
        convolution(4, 4, 3).double(),
        convolution(4, 4, 3, device="meta"),
    ],
    ids=["stride", "dilation", "groups", "a word for padding", "wide padding", "other padding", "float64", "elsewhere"],
)
def test_what_is_unusual_is_not_packed(conv):
    assert not packable(conv)


def test_where_torch_lacks_the_operations_nothing_is_packed(monkeypatch):
    monkeypatch.setattr("oneira.features.packing._OPERATIONS", ("an_operation_of_the_future",))
    assert not packable(convolution(3, 4, 3))
