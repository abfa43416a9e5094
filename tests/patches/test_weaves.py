"""What holds for every way of copying: only the sample's pixels, only the mask's, one look at the end, refusals."""

import itertools

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.testing import assert_close
from weaving import colours, constant, corner, made, noisy, on_threads, seeded

from oneira.errors import PlanError
from oneira.patches import EfrosLeung, Quilting, WeiLevoy
from oneira.patches.matching import eight_bits, largest_square, shown, wholly_inside


def quilting(sample, size, **given):
    return Quilting(sample, size, block=6, overlap=2, **given)


def transferring(sample, size, **given):
    return Quilting(sample, size, block=6, like=noisy(*size, seed=9), passes=2, **given)


def grown(sample, size, **given):
    return EfrosLeung(sample, size, window=5, **given)


def scanned(sample, size, **given):
    return WeiLevoy(sample, size, window=3, **given)


def searched(sample, size, **given):
    return WeiLevoy(sample, size, window=3, search="tree", **given)


ALL = pytest.mark.parametrize("declare", [quilting, transferring, grown, scanned, searched])


@ALL
@settings(max_examples=5)
@given(height=st.integers(1, 15), width=st.integers(1, 15), seed=st.integers(0, 99))
def test_every_pixel_is_one_of_the_samples(declare, height, width, seed):
    sample = torch.rand(1, 3, 14, 13, generator=seeded(seed))
    picture = made(declare(sample, (height, width)), seed)
    assert picture.shape == (1, 3, height, width)
    assert colours(picture) <= colours(sample)


@ALL
@settings(max_examples=5)
@given(rows=st.integers(9, 20), columns=st.integers(9, 22), seed=st.integers(0, 99))
def test_every_pixel_is_one_of_the_masks_and_what_lies_outside_it_changes_nothing(declare, rows, columns, seed):
    sample, mask = noisy(20, 22, seed=seed), corner(20, 22, rows, columns).roll((2, -3), (2, 3))
    picture = made(declare(sample, (11, 12), mask=mask), seed)
    inside = sample[..., mask[0, 0] >= 0.5][..., None]
    assert colours(picture) <= colours(inside)
    other = torch.where(mask >= 0.5, sample, noisy(20, 22, seed=seed + 100))
    assert torch.equal(made(declare(other, (11, 12), mask=mask), seed), picture)


@ALL
def test_a_white_mask_is_none_and_a_small_one_is_enlarged(declare):
    sample = noisy(20, 22)
    whole = made(declare(sample, (11, 12)))
    assert torch.equal(made(declare(sample, (11, 12), mask=torch.ones(1, 1, 3, 5))), whole)
    half = declare(sample, (11, 12), mask=torch.tensor([[[[1.0, 0.0]]]]))
    assert half.inside[:, :10].all()
    assert not half.inside[:, 12:].any()


@ALL
def test_a_constant_sample_gives_a_constant(declare):
    assert torch.equal(made(declare(constant(14, 14), (11, 17))), constant(11, 17))


@ALL
def test_the_seed_alone_decides_not_the_number_of_threads(declare):
    weave = declare(noisy(24, 25), (20, 21))
    one, two = (on_threads(count, lambda: made(weave, 3)) for count in (1, 2))
    assert torch.equal(one, two)
    assert not torch.equal(one, made(weave, 4))


@ALL
@pytest.mark.parametrize("size", [(11, 17), (3, 40), (1, 1)])
def test_looks_go_up_to_the_total_each_at_the_size_of_the_result(declare, size):
    weave = declare(noisy(), size)
    looks = list(weave.looks(seeded()))
    assert all(0 < a.done < b.done for a, b in itertools.pairwise(looks))
    assert looks[-1].done == weave.total
    assert looks[-1].size == size
    assert {look.picture.shape for look in looks} == {(1, 3, *size)}


@ALL
@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"size": (0, 9)}, "at least 1x1 pixels, not 9x0"),
        ({"sample": torch.zeros(3, 20, 20)}, "one colour picture"),
        ({"sample": torch.zeros(1, 1, 20, 20)}, "one colour picture"),
        ({"sample": torch.zeros(1, 3, 0, 20)}, "one colour picture"),
        ({"sample": torch.full((1, 3, 20, 20), torch.nan)}, "not between 0 and 1"),
        ({"mask": torch.zeros(1, 1, 16, 18)}, "black everywhere"),
        ({"mask": torch.full((1, 1, 16, 18), 2.0)}, "between 0 and 1, not between 2 and 2"),
        ({"mask": torch.full((1, 1, 16, 18), torch.nan)}, "between 0 and 1, not between nan"),
        ({"mask": torch.zeros(16, 18)}, r"\(1, 1, height, width\), not \(16, 18\)"),
        ({"mask": corner(16, 18, 1, 18)}, "does not fit inside the mask of a sample of 18x16 pixels"),
        ({"sample": torch.zeros(1, 3, 2, 30)}, "does not fit a sample of 30x2 pixels"),
    ],
)
def test_what_cannot_be_is_refused_when_it_is_declared(declare, given, message):
    chosen = {"sample": noisy(), "size": (9, 9)} | given
    with pytest.raises(PlanError, match=message) as caught:
        declare(chosen.pop("sample"), chosen.pop("size"), **chosen)
    assert "\n" not in str(caught.value)


@given(height=st.integers(1, 9), width=st.integers(1, 9), side=st.integers(1, 5), seed=st.integers(0, 999))
def test_squares_inside_are_those_without_an_outside_pixel(height, width, side, seed):
    inside = scattered(seed, height, width)
    squares = {
        (y, x): bool(inside[y : y + side, x : x + side].all())
        for y in range(height - side + 1)
        for x in range(width - side + 1)
    }
    if squares:
        found = wholly_inside(inside, side)
        assert found.shape == (height - side + 1, width - side + 1)
        assert all(bool(found[place]) == whole for place, whole in squares.items())
    assert (largest_square(inside) >= side) == any(squares.values())


def scattered(seed, height, width):
    return torch.rand(height, width, generator=seeded(seed)) < 0.8


def test_pictures_are_compared_in_whole_numbers_and_shown_as_they_are():
    sample = torch.rand(1, 3, 4, 5, generator=seeded())
    assert_close(eight_bits(sample), (sample[0].double() * 255).round(), rtol=0, atol=0)
    places = torch.tensor([[7, -1], [0, 19]])
    picture = shown(sample, places)
    assert torch.equal(picture[0, :, 0, 0], sample[0, :, 1, 2])
    assert torch.equal(picture[0, :, 1], sample[0, :, [0, 3], [0, 4]])
    assert not picture[0, :, 0, 1].any()
