"""Following light and dark: what of two pictures counts, and how much."""

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from torch.testing import assert_close

from oneira.errors import PlanError
from oneira.features.encoder import Encoder
from oneira.images import yiq_to_rgb
from oneira.objectives import BoundObjective, Masked, Shades

HEIGHT, WIDTH = 12, 24


def drawn(seed=0):
    """Noise on a slope, so that its shades vary however large the cells are."""
    noise = torch.rand(1, 3, HEIGHT, WIDTH, generator=torch.Generator().manual_seed(seed))
    return 0.5 * (noise + torch.linspace(0, 1, WIDTH))


def loss_of(term, image):
    return BoundObjective(term, Encoder(), tuple(image.shape[2:]))(image).total


def by_formula(image, target, side):
    """Cells of `side` pixels, one after the other."""
    weights = torch.tensor([0.299, 0.587, 0.114])[:, None, None]
    ours, theirs = ((each[0] * weights).sum(0) for each in (image, target))
    places = [(y, x) for y in range(0, HEIGHT, side) for x in range(0, WIDTH, side)]
    means = torch.tensor(
        [[luma[y : y + side, x : x + side].mean() for y, x in places] for luma in (ours, theirs)], dtype=torch.float64
    )
    variance = (means[1] - means[1].mean()).square().mean()
    return ((means[0] - means[1]).square().mean() / variance).float()


@pytest.mark.parametrize(("cells", "side"), [(24, 1), (12, 2), (8, 3), (4, 6), (2, 12)])
def test_it_is_what_its_formula_says(cells, side):
    image, target = drawn(1), drawn(2)
    assert_close(loss_of(Shades(target, cells), image), by_formula(image, target, side), rtol=1e-4, atol=1e-6)


def test_more_cells_than_pixels_are_pixels():
    assert_close(loss_of(Shades(drawn(2), 48), drawn(1)), by_formula(drawn(1), drawn(2), 1), rtol=1e-4, atol=1e-6)


@given(seed=st.integers(0, 99), cells=st.sampled_from([2, 4, 8, 12]), contrast=st.floats(0.2, 1))
def test_nothing_for_the_picture_itself_and_one_for_its_mean(seed, cells, contrast):
    target = 0.5 + (drawn(seed) - 0.5) * contrast
    # Cells are equally large, so that the mean of lumas is the luma of means.
    flat = target.mean((2, 3), keepdim=True).expand_as(target)
    assert_close(loss_of(Shades(target, cells), flat), torch.tensor(1.0), rtol=1e-3, atol=0)
    assert_close(loss_of(Shades(target, cells), target), torch.tensor(0.0), rtol=0, atol=1e-6)


@given(seed=st.integers(0, 99))
def test_what_is_finer_than_a_cell_does_not_count_and_neither_does_chroma(seed):
    term, image = Shades(drawn(0), 4), drawn(1)
    blocks = F.unfold(image, 6, stride=6).view(3, 36, -1)
    order = torch.randperm(36, generator=torch.Generator().manual_seed(seed))
    shuffled = F.fold(blocks[:, order].reshape(1, 108, -1), (HEIGHT, WIDTH), 6, stride=6)
    assert_close(loss_of(term, shuffled), loss_of(term, image), rtol=1e-4, atol=1e-6)
    dye = (drawn(seed) - 0.5) * torch.tensor([0.0, 1.0, 1.0])[:, None, None]
    assert_close(loss_of(term, image + yiq_to_rgb(dye)), loss_of(term, image), rtol=1e-3, atol=1e-5)


def test_a_flat_picture_is_followed_too():
    term = Shades(torch.full((1, 3, HEIGHT, WIDTH), 0.5), 4)
    nearer, farther = (loss_of(term, torch.full((1, 3, HEIGHT, WIDTH), level)) for level in (0.55, 0.6))
    assert 0 < nearer < farther < torch.inf


def test_the_picture_is_brought_to_the_canvas():
    half = F.avg_pool2d(drawn(2), 2)
    assert loss_of(Shades(half, 2), drawn(2)) < 1e-4
    assert loss_of(Shades(half, 2), drawn(2).flip(3)) > 1


def test_through_a_mask_only_its_cells_count():
    mask = torch.zeros(1, 1, HEIGHT, WIDTH)
    mask[..., : WIDTH // 2] = 1
    term, image, changed = Shades(drawn(2), 4), drawn(1), drawn(1)
    changed[..., WIDTH // 2 :] = 0
    assert_close(loss_of(Masked(mask, term), changed), loss_of(Masked(mask, term), image))
    assert not torch.isclose(loss_of(term, changed), loss_of(term, image), rtol=0.01)


def test_a_gradient_descends():
    target, image = drawn(2), drawn(1).requires_grad_()
    loss = loss_of(Shades(target, 8), image)
    loss.backward()
    assert loss_of(Shades(target, 8), image.detach() - 0.1 * image.grad) < loss.detach()


def test_it_sees_the_picture_unmoved_and_asks_for_no_layer():
    bound = Shades(drawn()).bind(Encoder(), (HEIGHT, WIDTH))
    assert bound.aligned
    assert (bound.name, bound.layers) == ("shades", frozenset())


@pytest.mark.parametrize(
    ("image", "cells", "message"),
    [
        (torch.zeros(3, 4, 4), 4, r"^the picture to follow is \(1, 3, height, width\), not \(3, 4, 4\)$"),
        (torch.zeros(1, 1, 4, 4), 4, r"not \(1, 1, 4, 4\)$"),
        (torch.zeros(2, 3, 4, 4), 4, r"not \(2, 3, 4, 4\)$"),
        (torch.zeros(1, 3, 4, 4), 0, "^there is at least 1 cell, not 0$"),
    ],
)
def test_what_cannot_be_followed(image, cells, message):
    with pytest.raises(PlanError, match=message):
        Shades(image, cells)
