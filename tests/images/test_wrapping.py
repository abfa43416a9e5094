"""The picture as a torus, against taking every pixel where a division's remainder finds it."""

import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.testing import assert_close

from oneira.images.wrapping import wrap

AMOUNTS = st.tuples(st.integers(0, 9), st.integers(0, 9))


def taken(image: torch.Tensor, vertical: tuple[int, int], horizontal: tuple[int, int]) -> torch.Tensor:
    for axis, (before, behind) in ((2, vertical), (3, horizontal)):
        extent = image.shape[axis]
        image = image.index_select(axis, torch.arange(-before, extent + behind) % extent)
    return image


@given(AMOUNTS, AMOUNTS, st.integers(1, 6), st.integers(1, 6), st.booleans())
def test_every_pixel_is_the_one_that_the_torus_has_there(vertical, horizontal, height, width, channels_last):
    generator = torch.Generator().manual_seed(0)
    layout = torch.channels_last if channels_last else torch.contiguous_format
    ours = torch.rand(2, 3, height, width, generator=generator).double().to(memory_format=layout).requires_grad_()
    torchs = ours.detach().clone().requires_grad_()
    found, expected = wrap(ours, vertical, horizontal), taken(torchs, vertical, horizontal)
    assert torch.equal(found, expected)
    weights = torch.rand(expected.shape, generator=generator).double()
    (found * weights).sum().backward()
    (expected * weights).sum().backward()
    assert_close(ours.grad, torchs.grad)


def test_the_layout_stays_and_a_gradient_that_was_given_is_not_written_over(image):
    laid = image.to(memory_format=torch.channels_last).requires_grad_()
    wrapped = wrap(laid, (1, 2), (3, 0))
    assert wrapped.is_contiguous(memory_format=torch.channels_last)
    given_gradient = torch.rand(wrapped.shape)
    kept = given_gradient.clone()
    wrapped.backward(given_gradient)
    assert torch.equal(given_gradient, kept)


def test_where_nothing_is_asked_for_it_is_the_picture_itself(image):
    assert wrap(image, (0, 0), (0, 0)) is image
