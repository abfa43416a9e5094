"""What a position sees of a picture, cut out of it."""

import pytest
import torch
from networks import TINY

from oneira.features import Encoder
from oneira.features.description import field_of
from oneira.inspection.patches import patch


@pytest.fixture
def picture():
    return torch.rand(1, 3, 40, 52, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize(("layer", "y", "x"), [("relu1", 7, 30), ("relu2", 9, 12), ("relu3", 10, 13)])
def test_a_patch_is_all_that_a_position_sees_and_no_more(picture, layer, y, x):
    picture.requires_grad_()
    features = Encoder()(picture, [f"{TINY}:conv{layer[-1]}"])
    next(iter(features.values()))[0, :, y, x].square().sum().backward()
    seen = (picture.grad.abs().sum(1, keepdim=True) > 0).float()
    inside = patch(seen, f"{TINY}:{layer}", y, x)
    assert inside.sum() == seen.sum()
    # A max pool's gradient goes to one pixel of its window, so that at most one row and column at an edge is not seen.
    for edge in (inside[..., :2, :], inside[..., -2:, :], inside[..., :2], inside[..., -2:]):
        assert edge.any()


def test_patches_of_a_layer_are_of_one_size_inside_the_picture(picture):
    extent = field_of(f"{TINY}:relu3").extent
    sizes = {patch(picture, f"{TINY}:relu3", y, x).shape for y in range(20) for x in range(26)}
    assert sizes == {(1, 3, extent, extent)}


def test_at_a_corner_the_patch_is_the_corner(picture):
    extent = field_of(f"{TINY}:relu3").extent
    assert torch.equal(patch(picture, f"{TINY}:relu3", 0, 25), picture[:, :, :extent, -extent:])


def test_a_picture_smaller_than_the_field_is_shown_whole():
    picture = torch.rand(1, 3, 5, 60)
    assert patch(picture, f"{TINY}:relu3", 1, 3).shape == (1, 3, 5, field_of(f"{TINY}:relu3").extent)


def test_layers_that_see_everything_show_everything(picture):
    assert torch.equal(patch(picture, "pocket:fc", 0, 0), picture)
