"""Laws of shapings, and the published formulas that they stand for."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy import ndimage, signal
from torch.testing import assert_close

from oneira.errors import PlanError
from oneira.synthesis.shaping import Blur, GaussianCascade, LaplacianPyramid, MeanAbs, Std

EVERY = [
    MeanAbs(),
    Std(),
    LaplacianPyramid(),
    LaplacianPyramid(sigma=1.5),
    Blur(2.0),
    Blur(2.0, kernel=9),
    GaussianCascade(),
    GaussianCascade(kernel=9),
]


def noise(*shape, dtype=torch.float32):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(0), dtype=dtype)


def test_shaped_gradients_have_unit_size_picture_by_picture(generator):
    gradient = torch.randn(2, 3, 17, 23, generator=generator) * torch.tensor([1e-6, 50.0])[:, None, None, None]
    assert_close(MeanAbs()(gradient, 0.0).abs().mean((1, 2, 3)), torch.ones(2))
    assert_close(Std()(gradient, 0.0).std((1, 2, 3), unbiased=False), torch.ones(2))


@pytest.mark.parametrize("shaping", EVERY)
def test_no_gradient_stays_no_gradient(shaping):
    assert shaping(torch.zeros(1, 3, 9, 9), 0.5).abs().max() == 0


@pytest.mark.parametrize("shaping", EVERY)
def test_each_picture_of_a_batch_is_shaped_alone(shaping):
    gradients = noise(2, 3, 11, 14) * torch.tensor([1.0, 30.0])[:, None, None, None]
    alone = torch.cat([shaping(gradient[None], 0.5) for gradient in gradients])
    assert_close(shaping(gradients, 0.5), alone)


# Gaussians


def by_scipy(gradient, sigma):
    return torch.tensor(ndimage.gaussian_filter(gradient.numpy(), (0, 0, sigma, sigma), mode="reflect"))


@given(st.integers(1, 30), st.integers(1, 30), st.floats(0.1, 6))
def test_a_blur_is_scipys_gaussian_filter(height, width, sigma):
    gradient = noise(2, 3, height, width)
    assert_close(Blur(sigma)(gradient, 0.0), by_scipy(gradient, sigma), atol=1e-5, rtol=0)


@given(st.integers(1, 30), st.integers(1, 30), st.floats(0, 1, exclude_max=True))
def test_the_cascade_is_hvass_labs_formula_of_scipys_filters(height, width, progress):
    gradient = noise(1, 3, height, width)
    sigma = 4.0 * progress + 0.5  # his (i * 4.0) / num_iterations + 0.5
    blurs = [by_scipy(gradient, sigma), by_scipy(gradient, sigma * 2), by_scipy(gradient, sigma * 0.5)]
    assert_close(GaussianCascade()(gradient, progress), sum(blurs) / 3, atol=1e-5, rtol=0)


@given(st.integers(2, 30), st.integers(2, 30), st.floats(0, 1, exclude_max=True))
def test_the_cascade_with_a_kernel_is_pytorch_deepdreams_formula(height, width, progress):
    gradient = noise(1, 3, height, width)
    sigma = 0.5 + 2 * progress
    across = np.arange(9) - 4
    padded = np.pad(gradient[0].numpy(), ((0, 0), (4, 4), (4, 4)), mode="reflect")
    expected = np.zeros(gradient.shape[1:])
    for factor in (0.5, 1.0, 2.0):
        line = np.exp(-((across / (sigma * factor)) ** 2) / 2)
        square = np.outer(line, line) / np.outer(line, line).sum()
        expected += np.stack([signal.correlate2d(channel, square, mode="valid") for channel in padded]) / 3
    cascade = GaussianCascade(start=0.5, growth=2.0, factors=(0.5, 1.0, 2.0), kernel=9)
    assert_close(cascade(gradient, progress)[0].double(), torch.tensor(expected), atol=1e-5, rtol=0)


@pytest.mark.parametrize("shaping", [Blur(3.0), Blur(3.0, kernel=7), GaussianCascade(), GaussianCascade(kernel=9)])
@pytest.mark.parametrize("size", [(1, 1), (1, 6), (40, 2)])
def test_blurs_leave_a_constant_whatever_its_size(shaping, size):
    gradient = torch.full((1, 3, *size), 0.7)
    assert_close(shaping(gradient, 0.9), gradient)


def test_the_cascade_widens_as_the_steps_go_on():
    gradient = noise(1, 3, 48, 48)
    deviations = [float(GaussianCascade()(gradient, progress).std()) for progress in (0.0, 0.3, 0.6, 0.9)]
    assert deviations == sorted(deviations, reverse=True)
    assert deviations[0] > 3 * deviations[-1]
    assert torch.equal(Blur(1.0)(gradient, 0.0), Blur(1.0)(gradient, 0.9))


@pytest.mark.parametrize("sigma", [0.0, -1.0, float("nan"), float("inf")])
def test_a_blur_of_nothing_is_refused(sigma):
    for build in (Blur, LaplacianPyramid, GaussianCascade):
        with pytest.raises(PlanError, match="sigma above 0 pixels"):
            build(**{"start" if build is GaussianCascade else "sigma": sigma})


def test_a_cascade_that_shrinks_to_nothing_is_refused():
    with pytest.raises(PlanError, match="sigma above 0 pixels"):
        GaussianCascade(start=1.0, growth=-1.0)
    with pytest.raises(PlanError, match="at least one factor"):
        GaussianCascade(factors=())


@pytest.mark.parametrize("kernel", [0, 8, -3])
def test_a_kernel_without_a_middle_is_refused(kernel):
    for build in (Blur, GaussianCascade):
        with pytest.raises(PlanError, match=f"odd number of pixels from 1 on, not {kernel}"):
            build(kernel=kernel)


# The Laplacian pyramid


def published_pyramid(gradient, kernel, levels):
    """`lap_normalize` of TensorFlow's deepdream.ipynb for one channel; odd sides, where SAME pads two on each side."""

    def down(image):
        return signal.correlate2d(image, kernel, mode="same")[::2, ::2]

    def up(image, like):
        spread = np.zeros_like(like)
        spread[::2, ::2] = image
        return signal.convolve2d(spread, kernel * 4, mode="same")

    levels_high_first = []
    for _ in range(levels):
        low = down(gradient)
        levels_high_first.append(gradient - up(low, gradient))
        gradient = low
    pyramid = [gradient, *reversed(levels_high_first)]
    pyramid = [band / max(np.sqrt(np.mean(np.square(band))), 1e-10) for band in pyramid]
    merged = pyramid[0]
    for band in pyramid[1:]:
        merged = up(merged, band) + band
    return merged


@pytest.mark.parametrize("size", [(33, 65), (17, 25), (49, 41)])
@pytest.mark.parametrize("sigma", [None, 0.6, 1.4])
def test_the_pyramid_is_the_published_lap_normalize(size, sigma):
    line = np.float64([1, 4, 6, 4, 1]) if sigma is None else np.exp(-(np.arange(-2, 3) ** 2) / (2 * sigma**2))
    kernel = np.outer(line, line) / np.outer(line, line).sum()
    channel = noise(*size, dtype=torch.float64)
    # Alike in the three channels, so that their common root mean square is the one channel's.
    shaped = LaplacianPyramid(3, sigma)(channel.expand(1, 3, *size), 0.0)
    expected = torch.tensor(published_pyramid(channel.numpy(), kernel, 3))
    assert_close(shaped, expected.expand(1, 3, *size), atol=1e-9, rtol=1e-9)


@given(st.integers(1, 40), st.integers(1, 40), st.integers(0, 5), st.sampled_from([None, 0.3, 2.0]))
def test_the_pyramid_takes_any_size_and_ignores_scale(height, width, levels, sigma):
    gradient = noise(1, 3, height, width)
    shaped = LaplacianPyramid(levels, sigma)(gradient, 0.0)
    assert shaped.shape == gradient.shape
    assert shaped.isfinite().all()
    assert_close(LaplacianPyramid(levels, sigma)(gradient * 1000, 0.0), shaped, rtol=1e-3, atol=1e-3)


def test_the_pyramid_lifts_what_is_coarse(generator):
    # A gradient with a weak wave across the whole picture under strong noise: the pyramid brings the wave up.
    wave = torch.linspace(0, 6.28, 64).sin().expand(1, 3, 64, 64)
    gradient = 0.05 * wave + torch.randn(1, 3, 64, 64, generator=generator)

    def share(g):
        return (g * wave).mean().abs() / g.std()

    assert share(LaplacianPyramid(4)(gradient, 0.0)) > 3 * share(gradient)
