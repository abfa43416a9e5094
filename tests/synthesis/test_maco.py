"""Laws of the canvas whose magnitudes are fixed."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.testing import assert_close

from oneira.errors import PlanError
from oneira.synthesis.canvas import spatial_frequencies
from oneira.synthesis.fourier import COLOUR_COVARIANCE_ROOT
from oneira.synthesis.maco import NATURAL, Maco, measure_spectrum, spectrum_at

CPU = torch.device("cpu")
ROOT = np.array(COLOUR_COVARIANCE_ROOT)
COLOURS = ROOT / np.linalg.norm(ROOT, axis=0).max()


def decorrelated(image):
    """(3, h, w) in (0, 1) -> the channels before colours and sigmoid, in float64."""
    image = image.double().numpy().clip(0.005, 0.995)
    return np.einsum("oc,chw->ohw", np.linalg.inv(COLOURS), np.log(image / (1 - image)))


def correlation(one, other):
    return float(torch.corrcoef(torch.stack([one.flatten(), other.flatten()]).detach())[0, 1])


def begun(canvas, size, seed=0):
    return canvas.begin(size, torch.Generator().manual_seed(seed), CPU)


@pytest.mark.parametrize("size", [(16, 24), (17, 21), (20, 15), (9, 32)])
def test_magnitudes_stay_while_the_picture_changes(size):
    canvas = Maco(*size)
    surface = begun(canvas, size)
    before = surface.image().detach().clone()
    target = torch.rand(before.shape, generator=torch.Generator().manual_seed(1))
    optimiser = torch.optim.Adam(surface.parameters, lr=0.1)
    losses = []
    for _ in range(15):
        optimiser.zero_grad()
        loss = (surface.image() - target).square().mean()
        loss.backward()
        optimiser.step()
        losses.append(float(loss.detach()))
    assert losses[-1] < 0.9 * losses[0]
    assert (surface.image() - before).abs().mean() > 0.02
    found = torch.fft.rfft2(surface.channels().detach(), norm="ortho").abs()[0]
    # Up to four coefficients of a real picture are real: their phase is a sign.
    signs = torch.zeros(found.shape[1:], dtype=torch.bool)
    for row in {0, size[0] // 2 if size[0] % 2 == 0 else 0}:
        for column in {0, size[1] // 2 if size[1] % 2 == 0 else 0}:
            signs[row, column] = True
    expected = canvas.spectrum(size, CPU)
    assert_close(found[:, ~signs], expected[:, ~signs], rtol=1e-2, atol=1e-3)


@given(st.integers(1, 20), st.integers(2, 20), st.integers(1, 3), st.integers(0, 99))
def test_a_picture_is_the_published_formula_of_its_phases(height, width, batch, seed):
    canvas = Maco(height, width, batch)
    surface = begun(canvas, (height, width), seed)
    assert surface.parameters[0].shape == (batch, 3, height, width // 2 + 1)
    magnitude = canvas.spectrum((height, width), CPU).numpy()
    for phase, picture in zip(surface.parameters[0].detach().numpy(), surface.image().detach(), strict=True):
        channels = np.fft.irfft2(magnitude * np.exp(1j * phase), s=(height, width))
        channels = (channels - channels.mean()) / channels.std()
        colours = np.einsum("oc,chw->ohw", COLOURS, channels)
        assert_close(picture.double(), torch.tensor(1 / (1 + np.exp(-colours))), atol=1e-4, rtol=0)


def test_phases_are_equally_likely_and_the_generators():
    phases = begun(Maco(64, 64), (64, 64)).parameters[0].detach()
    counts = torch.histc(phases, bins=8, min=-torch.pi, max=torch.pi)
    assert counts.min() > 0.85 * counts.mean()
    assert counts.max() < 1.15 * counts.mean()
    means = begun(Maco(8, 8, batch=16), (8, 8)).parameters[0].detach()[..., 0, 0]
    assert set(means.cos().round().flatten().tolist()) == {-1.0, 1.0}  # as often light as dark
    assert torch.equal(phases, begun(Maco(64, 64), (64, 64)).parameters[0])
    assert not torch.equal(phases, begun(Maco(64, 64), (64, 64), seed=1).parameters[0])


def test_natural_magnitudes_fall_and_give_coloured_pictures():
    assert NATURAL.stat().st_size <= 60_000
    spectrum = Maco().spectrum((128, 128), CPU)
    frequency = spatial_frequencies(128, 128)
    for low, high in ((0.01, 0.05), (0.05, 0.2), (0.2, 0.5)):
        inside = (frequency > low) & (frequency <= high)
        beyond = (frequency > high) & (frequency <= 2.5 * high)
        assert (spectrum[:, inside].mean(1) > 2 * spectrum[:, beyond].mean(1)).all()
    picture = begun(Maco(128, 128), (128, 128)).image()
    assert 0.1 < picture.std() < 0.2
    assert 0.3 < picture.mean() < 0.7
    assert (picture[:, 0] - picture[:, 2]).std() > 0.02


@pytest.mark.parametrize("size", [(96, 96), (45, 45), (32, 32)])
@pytest.mark.parametrize("carry", ["result", "detail"])
def test_another_size_shows_the_same_picture(size, carry):
    surface = begun(Maco(64, 64), (64, 64))
    resized = surface.resized(size, carry).image()
    assert resized.shape == (1, 3, *size)
    alike = torch.nn.functional.interpolate(surface.image(), size, mode="bicubic", antialias=True)
    assert correlation(resized, alike) > 0.95
    assert_close(surface.resized((64, 64), carry).image(), surface.image(), atol=1e-4, rtol=0)


def smooth_picture(height, width):
    down, right = torch.meshgrid(torch.linspace(0, 3, height), torch.linspace(0, 5, width), indexing="ij")
    waves = torch.stack([(down + right).sin(), (2 * down - right).cos(), (down * right).sin()])
    return (0.5 + 0.3 * waves)[None]


def test_a_picture_with_its_own_magnitudes_is_itself_but_for_contrast():
    image = smooth_picture(32, 32)
    canvas = Maco(32, 32, magnitude=measure_spectrum([image], 32)).starting_from(image)
    surface = begun(canvas, (32, 32))
    channels = surface.channels().detach()
    assert_close(channels[0].double(), torch.tensor(decorrelated(image[0])), atol=1e-3, rtol=1e-3)


def test_a_start_is_still_seen_through_natural_magnitudes():
    image = smooth_picture(48, 64)
    canvas = Maco.of(image)
    assert canvas.size(32) == (24, 32)
    assert correlation(begun(canvas, (48, 64)).image(), image) > 0.5
    assert torch.equal(begun(Maco(48, 64).starting_from(image), (48, 64)).image(), begun(canvas, (48, 64)).image())


@given(st.integers(1, 12), st.integers(1, 30), st.integers(1, 30))
def test_magnitudes_that_fall_as_natural_pictures_do_fall_so_at_any_size(side, height, width):
    def falling(height, width):
        frequency = spatial_frequencies(height, width).clamp(min=1 / max(height, width))
        return (2.0 / frequency).expand(3, -1, -1)

    assert_close(spectrum_at(falling(side, side), (height, width)), falling(height, width), rtol=1e-4, atol=0)


@given(st.integers(1, 16))
def test_at_their_own_size_magnitudes_are_as_measured(side):
    magnitude = 0.1 + torch.rand(3, side, side // 2 + 1, generator=torch.Generator().manual_seed(side))
    assert_close(spectrum_at(magnitude, (side, side)), magnitude, rtol=1e-4, atol=0)


@given(st.integers(1, 12), st.integers(1, 30), st.integers(1, 30))
def test_magnitudes_that_are_alike_upwards_and_downwards_stay_so(side, height, width):
    drawn = 0.1 + torch.rand(3, side, side // 2 + 1, generator=torch.Generator().manual_seed(side))
    alike = drawn + drawn.flip(1).roll(1, 1)
    there = spectrum_at(alike, (height, width))
    assert_close(there, there.flip(1).roll(1, 1), rtol=1e-4, atol=0)


@given(st.integers(1, 8), st.integers(0, 9), st.integers(0, 9))
def test_a_measured_spectrum_is_the_mean_of_the_magnitudes_in_the_middle(side, above, beside):
    # The square in the middle is `side` pixels already: nothing is resized.
    above = above if beside == 0 else 0
    images = torch.rand(3, 3, side + above, side + beside, generator=torch.Generator().manual_seed(0))
    spectra = []
    for image in images:
        middle = image[:, above // 2 : above // 2 + side, beside // 2 : beside // 2 + side]
        spectra.append(np.abs(np.fft.rfft2(decorrelated(middle))) / side)
    expected = torch.tensor(np.mean(spectra, axis=0))
    for batches in ([images], [images[:1], images[1:]]):
        assert_close(measure_spectrum(batches, side).double(), expected, rtol=1e-4, atol=1e-4)


def test_larger_pictures_are_measured_resized():
    image = smooth_picture(40, 60)
    assert measure_spectrum([image], 16).shape == (3, 16, 9)
    coarse = measure_spectrum([image], 10)
    # Magnitudes of the coarse structure do not depend on how many pixels it is drawn on, but for the transform's norm.
    assert_close(coarse[:, 1, 1] / 10, measure_spectrum([image], 40)[:, 1, 1] / 40, rtol=0.1, atol=1e-3)


@pytest.mark.parametrize(
    ("images", "side", "message"),
    [
        ([], 8, "no pictures"),
        ([torch.rand(1, 3, 20, 7)], 8, "7 x 20 px is smaller than 8 px"),
        ([torch.rand(1, 3, 9, 9)], 0, "at least 1 px, not 0"),
    ],
)
def test_what_cannot_be_measured_is_refused(images, side, message):
    with pytest.raises(PlanError, match=message):
        measure_spectrum(images, side)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"height": 0}, "no pixels"),
        ({"batch": 0}, "no pixels"),
        ({"magnitude": torch.ones(3, 8, 8)}, r"not \(3, 8, 8\)"),
        ({"magnitude": torch.ones(8, 5)}, r"not \(8, 5\)"),
        ({"magnitude": torch.zeros(3, 8, 5)}, "not all of them 0"),
        ({"magnitude": torch.full((3, 8, 5), float("nan"))}, "finite"),
        ({"magnitude": torch.full((3, 8, 5), -1.0)}, "at least 0"),
        ({"start": torch.rand(3, 8, 8)}, r"not \(3, 8, 8\)"),
    ],
)
def test_canvases_that_are_none_are_refused(options, message):
    with pytest.raises(PlanError, match=message):
        Maco(**options)


def test_a_start_without_a_batch_is_refused():
    with pytest.raises(PlanError, match=r"not \(3, 8, 8\)"):
        Maco.of(torch.rand(3, 8, 8))
