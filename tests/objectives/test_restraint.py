"""Total variation of pictures that wrap: the border is a place like any other."""

from typing import get_args

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.testing import assert_close

from oneira.features.encoder import Encoder
from oneira.images.wrapping import wrap
from oneira.objectives import BoundObjective, Masked, TotalVariation
from oneira.objectives.restraint import VariationForm

FORMS = [(form, 2.0) for form in get_args(VariationForm)] + [("beta", 1.5)]


def loss_of(term, image):
    return BoundObjective(term, Encoder(), tuple(image.shape[2:]))(image).total


def by_formula(image: torch.Tensor, form: str, beta: float) -> torch.Tensor:
    """Every form, written down for a torus."""
    around = wrap(image, (0, 1), (0, 1))
    right, down = around[..., :-1, 1:] - image, around[..., 1:, :-1] - image
    if form in ("l1", "l1-sum"):
        variation = right.abs() + down.abs()
        return variation.sum() if form == "l1-sum" else variation.mean()
    if form == "nine-point":
        falling, rising = around[..., 1:, 1:] - image, around[..., :-1, 1:] - around[..., 1:, :-1]
        return (right**2 + down**2).mean() * 2 / 3 + (falling**2 + rising**2).mean() / 6
    return ((right**2 + down**2) ** (beta / 2)).mean()


@pytest.mark.parametrize(("form", "beta"), FORMS)
def test_it_is_what_its_formula_says_on_a_torus(form, beta, image):
    ours, torchs = image.clone().requires_grad_(), image.clone().requires_grad_()
    found, expected = loss_of(TotalVariation(beta, form, wraps=True), ours), by_formula(torchs, form, beta)
    assert_close(found, expected, rtol=1e-4, atol=1e-6)
    found.backward()
    expected.backward()
    assert_close(ours.grad, torchs.grad, rtol=1e-3, atol=1e-6)


@pytest.mark.parametrize(("form", "beta"), FORMS)
@given(down=st.integers(0, 19), right=st.integers(0, 27))
def test_a_rolled_picture_varies_as_much(form, beta, down, right):
    image = torch.rand(1, 3, 20, 28, generator=torch.Generator().manual_seed(0))
    image[..., 10:, :] *= 0.2  # a step inside, another over the border
    term = TotalVariation(beta, form, wraps=True)
    assert_close(loss_of(term, image.roll((down, right), (2, 3))), loss_of(term, image), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("form", get_args(VariationForm))
def test_what_wraps_counts_the_step_over_the_border_and_else_it_does_not(form):
    ramp = torch.linspace(0, 1, 16).expand(1, 3, 16, 16)
    inside, over = (loss_of(TotalVariation(form=form, wraps=wraps), ramp) for wraps in (False, True))
    assert over > 1.5 * inside


def test_through_a_mask_it_is_the_mean_over_the_region(image):
    mask = torch.zeros(1, 1, 20, 28)
    mask[..., 14:] = 1
    squares = (image.roll(-1, 3) - image) ** 2 + (image.roll(-1, 2) - image) ** 2
    assert_close(loss_of(Masked(mask, TotalVariation(wraps=True)), image), squares[..., 14:].mean())
