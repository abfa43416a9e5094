"""Histograms matched as scikit-image does it, and the laws of it."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from skimage.exposure import match_histograms
from torch.testing import assert_close

from oneira.images import match_histogram


def as_scikit_image(image, target):
    channels_last = [np.ascontiguousarray(picture[0].permute(1, 2, 0)) for picture in (image, target)]
    return torch.from_numpy(match_histograms(*channels_last, channel_axis=-1)).permute(2, 0, 1)[None]


@st.composite
def pictures(draw):
    """(1, 3, h, w) of any size, with many equal values or hardly any."""
    height, width = draw(st.integers(1, 12)), draw(st.integers(1, 12))
    levels = draw(st.sampled_from([1, 2, 5, 255, 10**6]))
    generator = torch.Generator().manual_seed(draw(st.integers(0, 2**32 - 1)))
    return torch.randint(levels, (1, 3, height, width), generator=generator) / levels


@given(pictures(), pictures(), st.sampled_from([torch.float32, torch.float64]))
def test_as_in_scikit_image(image, target, dtype):
    image, target = image.to(dtype), target.to(dtype)
    matched = match_histogram(image, target)
    assert matched.dtype == dtype
    assert_close(matched, as_scikit_image(image, target), atol=1e-6, rtol=0)


@given(pictures())
def test_matching_a_picture_to_itself_changes_no_bit(picture):
    assert torch.equal(match_histogram(picture, picture), picture)


@given(st.permutations(range(60)))
def test_a_picture_of_the_targets_size_takes_exactly_its_values(order):
    target = torch.rand(1, 3, 6, 10, generator=torch.Generator().manual_seed(1))
    image = torch.tensor(order, dtype=torch.float32).div(60).reshape(1, 1, 10, 6).expand(1, 3, 10, 6)
    matched = match_histogram(image, target)
    assert torch.equal(matched.flatten(2).sort().values, target.flatten(2).sort().values)
    assert torch.equal(matched.flatten(2).argsort(), image.flatten(2).argsort())


@given(pictures(), pictures())
def test_order_and_equality_stay_and_nothing_leaves_the_targets_range(image, target):
    matched = match_histogram(image, target)
    lowest, highest = target.amin((2, 3), keepdim=True), target.amax((2, 3), keepdim=True)
    assert bool(((matched >= lowest) & (matched <= highest)).all())
    values, order = image.flatten(2).sort()
    along = matched.flatten(2).gather(2, order)
    assert bool((along.diff() >= 0).all())
    assert bool((along.diff()[values.diff() == 0] == 0).all())


def test_only_the_shares_of_the_target_count(image):
    target = torch.rand(1, 3, 5, 7, generator=torch.Generator().manual_seed(1))
    assert torch.equal(match_histogram(image, target.repeat(1, 1, 3, 2)), match_histogram(image, target))


def test_one_colour_becomes_the_targets_brightest_and_a_target_of_one_colour_that_colour(image):
    flat = torch.tensor([0.2, 0.7, 0.0])[None, :, None, None].expand(1, 3, 4, 5)
    assert torch.equal(match_histogram(flat, image), image.amax((2, 3), keepdim=True).expand(1, 3, 4, 5))
    assert torch.equal(match_histogram(image, flat), flat[..., :1, :1].expand_as(image))


def test_channels_and_pictures_are_matched_one_by_one(image):
    batch = torch.cat([image, image.flip(1)])
    targets = torch.rand(2, 3, 9, 9, generator=torch.Generator().manual_seed(1))
    together = match_histogram(batch, targets)
    for index in (0, 1):
        assert torch.equal(together[index], match_histogram(batch[index], targets[index]))
    with pytest.raises(ValueError, match="shorter"):
        match_histogram(batch, targets[:1])
