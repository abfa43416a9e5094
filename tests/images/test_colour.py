"""Colour spaces against scikit-image, and the laws of carrying colours from one picture to another."""

import numpy as np
import pytest
import skimage.color
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.testing import assert_close

from oneira.images import (
    lab_to_rgb,
    linear_to_srgb,
    match_mean_covariance,
    rgb_to_lab,
    rgb_to_yiq,
    srgb_to_linear,
    transfer_luma,
    yiq_to_rgb,
)

SPACES = {"yiq": (rgb_to_yiq, yiq_to_rgb), "lab": (rgb_to_lab, lab_to_rgb), "linear": (srgb_to_linear, linear_to_srgb)}


@st.composite
def colours(draw, low=0.0, high=1.0):
    """(1, 3, 1, n) in float64, corners of the cube and all."""
    values = draw(st.lists(st.floats(low, high), min_size=3, max_size=30))
    return torch.tensor(values[: len(values) // 3 * 3], dtype=torch.float64).reshape(1, 3, 1, -1)


@pytest.fixture
def picture(generator):
    return torch.rand(1, 3, 16, 20, generator=generator, dtype=torch.float64)


def as_oracle(function, image):
    """scikit-image's function, which has channels last."""
    return torch.from_numpy(function(np.ascontiguousarray(image[0].permute(1, 2, 0)))).permute(2, 0, 1)[None]


@pytest.mark.parametrize(
    ("ours", "theirs", "tolerance"),
    [
        (rgb_to_yiq, skimage.color.rgb2yiq, 1e-9),
        (yiq_to_rgb, skimage.color.yiq2rgb, 1e-7),
        (rgb_to_lab, skimage.color.rgb2lab, 1e-3),  # scikit-image rounds Lab's own constants
    ],
)
def test_as_in_scikit_image(picture, ours, theirs, tolerance):
    assert_close(ours(picture), as_oracle(theirs, picture), atol=tolerance, rtol=0)


def test_lab_back_as_in_scikit_image(picture):
    lab = rgb_to_lab(picture)
    assert_close(lab_to_rgb(lab), as_oracle(skimage.color.lab2rgb, lab), atol=1e-4, rtol=0)


def test_light_as_in_scikit_image(picture):
    # It has no function for the curve alone, but XYZ is a matrix times the light.
    xyz = as_oracle(skimage.color.rgb2xyz, picture)
    light = torch.linalg.solve(torch.from_numpy(skimage.color.colorconv.xyz_from_rgb), xyz.flatten(2)).reshape(
        xyz.shape
    )
    assert_close(srgb_to_linear(picture), light, atol=1e-9, rtol=0)


@pytest.mark.parametrize("space", SPACES)
@given(image=colours())
def test_there_and_back(space, image):
    there, back = SPACES[space]
    assert_close(back(there(image)), image, atol=1e-5, rtol=0)


@pytest.mark.parametrize("space", SPACES)
@given(image=colours(-0.5, 1.5))
def test_gradients_are_finite_everywhere(space, image):
    for function in SPACES[space]:
        point = image.clone().requires_grad_()
        function(point).sum().backward()
        assert point.grad.isfinite().all()


@pytest.mark.parametrize("space", SPACES)
def test_gradients_are_those_of_finite_differences(space, generator):
    point = (0.1 + 0.8 * torch.rand(2, 3, 2, 2, generator=generator, dtype=torch.float64)).requires_grad_()
    for function in SPACES[space]:
        assert torch.autograd.gradcheck(function, point)


@pytest.mark.parametrize("space", SPACES)
def test_any_batch_and_none(space, picture):
    for function in SPACES[space]:
        alone = function(picture[0])
        assert_close(function(picture.repeat(2, 1, 1, 1)), alone.expand(2, -1, -1, -1))
        assert function(picture.float()).dtype == torch.float32


@given(colours(), st.integers(0, 2**32 - 1))
def test_luma_comes_from_one_picture_and_chroma_from_the_other(image, seed):
    other = torch.rand(image.shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    mixed = rgb_to_yiq(transfer_luma(image, colours_from=other))
    assert_close(mixed[:, :1], rgb_to_yiq(image)[:, :1], atol=1e-9, rtol=0)
    assert_close(mixed[:, 1:], rgb_to_yiq(other)[:, 1:], atol=1e-9, rtol=0)


def test_a_picture_keeps_its_own_colours(picture):
    assert_close(transfer_luma(picture, picture), picture)


def statistics(image):
    pixels = image.double().flatten(2)[0]
    return pixels.mean(dim=1), torch.cov(pixels, correction=0)


@given(st.integers(0, 2**32 - 1), st.floats(0.02, 1), st.sampled_from([torch.float32, torch.float64]))
def test_matched_statistics_are_the_targets(seed, spread, dtype):
    generator = torch.Generator().manual_seed(seed)
    image, target = torch.rand(2, 1, 3, 12, 14, generator=generator, dtype=dtype)
    target = target[..., :5] * spread
    mean, covariance = statistics(match_mean_covariance(image, target))
    wanted_mean, wanted_covariance = statistics(target)
    assert_close(mean, wanted_mean, atol=1e-5, rtol=0)
    assert_close(covariance, wanted_covariance, atol=1e-4, rtol=0)


def test_matching_a_picture_to_itself_changes_nothing(picture):
    assert_close(match_mean_covariance(picture, picture), picture, atol=1e-6, rtol=0)


def test_the_order_of_channels_does_not_matter(picture, generator):
    target = torch.rand(1, 3, 5, 5, generator=generator, dtype=torch.float64)
    matched = match_mean_covariance(picture, target)
    assert_close(match_mean_covariance(picture.flip(1), target.flip(1)).flip(1), matched)


def flat(red, green, blue):
    return torch.tensor([red, green, blue], dtype=torch.float64).reshape(1, 3, 1, 1).expand(1, 3, 6, 7)


def test_one_colour_becomes_the_targets_mean(picture):
    matched = match_mean_covariance(flat(0.2, 0.2, 0.9), picture)
    assert_close(matched, picture.mean(dim=(2, 3), keepdim=True).expand(1, 3, 6, 7), atol=1e-6, rtol=0)


def test_matching_one_colour_leaves_that_colour(picture):
    assert_close(
        match_mean_covariance(picture, flat(0.2, 0.2, 0.9)),
        flat(0.2, 0.2, 0.9).mean(dim=(2, 3), keepdim=True).expand_as(picture),
        atol=0.02,
        rtol=0,
    )


@pytest.mark.parametrize("target", ["flat", "grey", "picture"])
@pytest.mark.parametrize("image", ["flat", "grey", "picture"])
def test_matching_is_differentiable_even_between_flat_and_grey_pictures(picture, image, target):
    pictures = {"flat": flat(0.5, 0.5, 0.5), "grey": picture[:, :1].expand(1, 3, 16, 20), "picture": picture}
    source, colours_of = (pictures[name].clone().requires_grad_() for name in (image, target))
    matched = match_mean_covariance(source, colours_of)
    assert matched.isfinite().all()
    matched.square().sum().backward()
    assert source.grad.isfinite().all()
    assert colours_of.grad.isfinite().all()
