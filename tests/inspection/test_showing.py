"""What is shown keeps signs and proportions."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.testing import assert_close

from oneira.errors import PlanError
from oneira.inspection.showing import saliency, shown


@pytest.fixture
def projection(generator):
    return torch.randn(2, 3, 9, 7, generator=generator)


@given(st.floats(1e-12, 1e12), st.integers(0, 99))
def test_the_scale_of_a_projection_is_not_seen_and_its_sign_is(scale, seed):
    projection = torch.randn(1, 3, 6, 5, generator=torch.Generator().manual_seed(seed))
    picture = shown(projection)
    assert_close(shown(projection * scale), picture)
    assert_close(shown(-projection), 1 - picture)
    assert torch.equal((picture - 0.5).sign(), projection.sign())


def test_nothing_is_grey():
    assert torch.equal(shown(torch.zeros(1, 3, 4, 5)), torch.full((1, 3, 4, 5), 0.5))


def test_the_largest_becomes_black_or_white_and_the_rest_keeps_its_proportions(projection):
    assert_close(shown(projection, percentile=100), 0.5 + projection / (2 * projection.abs().max()))


def test_what_is_beyond_the_percentile_is_cut(projection):
    sizes = projection.abs().flatten().sort().values
    cut = (shown(projection, percentile=90) - 0.5).abs() == 0.5
    assert cut.sum() == (projection.abs() >= sizes[round(0.9 * len(sizes)) - 1]).sum()


def test_zeros_do_not_count():
    projection = torch.zeros(1, 3, 50, 50)
    projection[0, :, 7, 7] = torch.tensor([1.0, -2.0, 4.0])
    assert_close(shown(projection)[0, :, 7, 7], torch.tensor([0.625, 0.25, 1.0]))


@pytest.mark.parametrize("percentile", [0, -1, 101, float("nan")])
def test_a_percentile_is_one(projection, percentile):
    with pytest.raises(PlanError, match="a percentile is above 0 and at most 100"):
        shown(projection, percentile=percentile)


def test_saliency_is_the_largest_absolute_value_of_a_pixel(projection):
    expected = torch.stack([projection[:, colour].abs() for colour in range(3)]).max(0).values
    assert torch.equal(saliency(projection), expected[:, None])
