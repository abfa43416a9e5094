"""Other sizes of the same picture."""

import math

import numpy as np
import pytest
import skimage.transform
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.testing import assert_close

from oneira.images import fit, fit_area, resize

METHODS = ["bicubic", "area"]
SIDES = st.integers(1, 40)


@given(st.integers(1, 10_000), st.integers(1, 10_000), st.integers(1, 10_000))
def test_a_fitted_size_has_the_long_side_and_nearly_the_shape(height, width, long_side):
    fitted = fit(height, width, long_side)
    assert max(fitted) == long_side
    for side, was in zip(fitted, (height, width), strict=True):
        assert side >= 1
        assert abs(side - max(1, was * long_side / max(height, width))) <= 0.5


@given(st.integers(1, 10_000), st.integers(1, 10_000))
def test_fitting_to_what_is_already_there_changes_nothing(height, width):
    assert fit(height, width, max(height, width)) == (height, width)
    assert fit_area(height, width, height * width) == (height, width)


@given(st.integers(1, 10_000), st.integers(1, 10_000), st.floats(1, 1e8))
def test_a_size_fitted_to_an_area_has_it_and_nearly_the_shape(height, width, area):
    for side, other, fitted in zip((height, width), (width, height), fit_area(height, width, area), strict=True):
        exact = (area * side / other) ** 0.5
        assert abs(fitted - max(1, exact)) <= 0.5 + 1e-9 * exact


@pytest.mark.parametrize("method", METHODS)
@given(SIDES, SIDES, SIDES, SIDES)
def test_any_size_from_any_size_in_range(method, height, width, new_height, new_width):
    image = torch.rand(1, 3, height, width, generator=torch.Generator().manual_seed(height * width))
    resized = resize(image, (new_height, new_width), method=method)
    assert resized.shape == (1, 3, new_height, new_width)
    assert resized.min() >= 0
    assert resized.max() <= 1


@pytest.mark.parametrize("method", METHODS)
@given(SIDES, SIDES, SIDES, SIDES, st.floats(0, 1, width=32))
def test_a_flat_picture_stays_as_it_is(method, height, width, new_height, new_width, level):
    resized = resize(torch.full((1, 1, height, width), level), (new_height, new_width), method=method)
    assert_close(resized, torch.full_like(resized, level))


@pytest.mark.parametrize("method", METHODS)
def test_extreme_shapes(method):
    assert resize(torch.rand(1, 3, 1, 5000), (1, 100), method=method).shape == (1, 3, 1, 100)
    assert resize(torch.rand(1, 3, 1, 1), (64, 48), method=method).shape == (1, 3, 64, 48)


@pytest.mark.parametrize("method", METHODS)
def test_smaller_is_the_mean_of_what_falls_together_and_never_an_alias(method):
    checks = (torch.arange(64)[:, None] + torch.arange(64)) % 2
    resized = resize(checks.float().expand(1, 3, 64, 64), (8, 8), method=method)
    assert_close(resized, torch.full((1, 3, 8, 8), 0.5), atol=0.01, rtol=0)


def test_a_ramp_stays_a_ramp():
    ramp = torch.linspace(0.1, 0.9, 33).expand(1, 1, 4, 33)
    resized = resize(ramp, (8, 66))[0, 0, 0]
    assert_close(resized.diff()[8:-8], torch.full((49,), 0.8 / 32 / 2), atol=1e-5, rtol=0)


def test_area_as_in_scikit_image(generator):
    image = torch.rand(1, 3, 24, 30, generator=generator)
    expected = skimage.transform.downscale_local_mean(image[0].numpy(), (1, 4, 5))
    assert_close(resize(image, (6, 6), method="area")[0].numpy(), expected, atol=1e-6, rtol=0)


def test_a_mirrored_picture_gives_a_mirrored_result(image):
    assert_close(resize(image.flip(-1), (13, 17)).flip(-1), resize(image, (13, 17)), atol=1e-6, rtol=0)


def test_the_same_size_is_the_same_picture(image):
    assert resize(image, (20, 28)) is image


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16, torch.float16])
@pytest.mark.parametrize("method", METHODS)
def test_kinds_of_floats_are_kept(image, method, dtype):
    resized = resize(image.to(dtype), (7, 9), method=method)
    assert resized.dtype == dtype
    assert np.abs((resized.float() - resize(image, (7, 9), method=method)).numpy()).max() < 0.01


@pytest.mark.parametrize("method", METHODS)
def test_gradients_pass(image, method):
    image = image.requires_grad_()
    resize(image, (7, 9), method=method).sum().backward()
    assert image.grad.abs().sum() > 0


@pytest.mark.parametrize("method", METHODS)
@given(st.integers(1, 16), st.integers(1, 16), st.integers(1, 16), st.integers(1, 16))
def test_a_picture_that_wraps_is_resized_as_one_of_its_repetitions_among_many(
    method, height, width, new_height, new_width
):
    image = torch.rand(1, 2, height, width, generator=torch.Generator().manual_seed(height + 17 * width)).double()
    among = resize(image.repeat(1, 1, 9, 9), (9 * new_height, 9 * new_width), method=method)
    expected = among[..., 4 * new_height : 5 * new_height, 4 * new_width : 5 * new_width]
    assert_close(resize(image, (new_height, new_width), method=method, wraps=True), expected, atol=1e-9, rtol=0)


@pytest.mark.parametrize("method", METHODS)
@given(SIDES, SIDES, SIDES, SIDES, st.integers(-5, 5), st.integers(-5, 5))
def test_rolling_by_whole_pixels_of_both_sizes_and_resizing_can_change_places(
    method, height, width, new_height, new_width, down, right
):
    image = torch.rand(1, 1, height, width, generator=torch.Generator().manual_seed(height * width)).double()
    vertical, horizontal = math.gcd(height, new_height), math.gcd(width, new_width)
    rolled = image.roll((down * height // vertical, right * width // horizontal), (2, 3))
    wrapped = resize(image, (new_height, new_width), method=method, wraps=True)
    expected = wrapped.roll((down * new_height // vertical, right * new_width // horizontal), (2, 3))
    assert_close(resize(rolled, (new_height, new_width), method=method, wraps=True), expected, atol=1e-9, rtol=0)


def test_a_picture_that_wraps_is_another_one_at_its_border_alone(image):
    plain, wrapped = (resize(image, (40, 56), wraps=wraps) for wraps in (False, True))
    assert_close(wrapped[..., 4:-4, 4:-4], plain[..., 4:-4, 4:-4], atol=1e-6, rtol=0)
    assert (wrapped - plain).abs()[..., :2, :].max() > 0.05
    assert resize(image, (20, 28), wraps=True) is image


def test_differences_that_wrap_are_not_bounded_where_they_are_not_to_be(image):
    # Bicubic interpolation is linear but for the clamp.
    wide, shifted = (resize(each, (31, 17), bounded=False, wraps=True) for each in (image, 3 * image - 2))
    assert_close(shifted, 3 * wide - 2, atol=1e-5, rtol=0)
    assert shifted.min() < -0.5


@pytest.mark.parametrize("width", [1, 5])
@pytest.mark.parametrize("size", [(31, 1), (7, 1), (1, 1), (18, 1), (7, 2)])
def test_a_single_column_is_resized_as_a_single_row_is(width, size):
    picture = torch.rand(1, 3, 18, width, generator=torch.Generator().manual_seed(0))
    across = resize(picture.mT, (size[1], 18))  # rows first
    assert_close(resize(picture, size), resize(across, (size[1], size[0])).mT, atol=0.02, rtol=0)
