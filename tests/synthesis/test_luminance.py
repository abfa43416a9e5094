"""Laws of the canvas that keeps a picture's colours."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.testing import assert_close

from oneira.errors import PlanError
from oneira.images import resize, rgb_to_yiq, transfer_luma
from oneira.synthesis.canvas import Pixels
from oneira.synthesis.fourier import Fourier
from oneira.synthesis.luminance import Luminance

CPU = torch.device("cpu")
LUMA = torch.tensor([0.299, 0.587, 0.114])[:, None, None]


def chroma(image):
    return rgb_to_yiq(image)[:, 1:]


@given(st.integers(0, 1000), st.booleans(), st.booleans())
def test_colours_stay_whatever_happens_to_the_parameters(seed, fourier, saturated):
    generator = torch.Generator().manual_seed(seed)
    image = torch.rand(1, 3, 9, 12, generator=generator)
    if saturated:
        image = image.round()  # the corners of the cube, where hardly anything can move
    inner = Fourier.of(image) if fourier else Pixels(image, clamp=False)
    surface = Luminance(inner, image).begin((9, 12), generator, CPU)
    with torch.no_grad():
        surface.parameters[0].add_(torch.randn(surface.parameters[0].shape, generator=generator))
    picture = surface.image()
    assert_close(chroma(picture), chroma(image), atol=1e-6, rtol=0)
    assert picture.min() >= 0
    assert picture.max() <= 1
    if not saturated:
        assert (picture - image).abs().mean() > 1e-2


def test_it_begins_with_the_picture_and_takes_the_inner_luma_where_it_can(generator):
    image = 0.4 + 0.2 * torch.rand(1, 3, 8, 8, generator=generator)
    assert_close(Luminance(Pixels.of(image), image).begin((8, 8), generator, CPU).image(), image, atol=1e-6, rtol=0)
    other = 0.4 + 0.2 * torch.rand(1, 3, 8, 8, generator=generator)
    picture = Luminance(Pixels.of(other), image).begin((8, 8), generator, CPU).image()
    # Gatys et al.'s luminance-only transfer, done after the fact.
    assert_close(picture, transfer_luma(other, image), atol=1e-6, rtol=0)


def test_the_gradient_is_the_luma_weighted_sum_over_red_green_and_blue(generator):
    image, other = (0.3 + 0.4 * torch.rand(2, 1, 3, 5, 6, generator=generator, dtype=torch.float64)).unbind()
    surface = Luminance(Pixels.of(other), image).begin((5, 6), generator, CPU)
    rgb_gradient = torch.randn(1, 3, 5, 6, generator=generator, dtype=torch.float64)

    def loss():
        return (surface.image() * rgb_gradient).sum() + (surface.image() ** 3).sum()

    (found,) = torch.autograd.grad(loss(), surface.parameters)
    of_rgb = rgb_gradient + 3 * surface.image().detach() ** 2
    assert_close(found, LUMA * of_rgb.sum(1, keepdim=True), rtol=1e-6, atol=1e-9)
    values = surface.parameters[0].data.view(-1)
    for index in (0, 17, 44, 89):
        here = float(values[index])
        values[index] = here + 1e-5
        above = float(loss().detach())
        values[index] = here - 1e-5
        below = float(loss().detach())
        values[index] = here
        assert found.view(-1)[index] == pytest.approx((above - below) / 2e-5, rel=1e-6)


@pytest.mark.parametrize(("start", "target"), [(3.0, 0.4), (-2.0, 0.6)])
def test_a_pixel_that_went_too_far_finds_its_way_back(generator, start, target):
    image = torch.full((1, 3, 2, 2), 0.5)
    surface = Luminance(Pixels(torch.full_like(image, start), clamp=False), image).begin((2, 2), generator, CPU)
    assert_close(surface.image(), torch.full_like(image, min(max(start, 0.0), 1.0)))
    optimiser = torch.optim.SGD(surface.parameters, lr=0.5)
    for _ in range(200):
        optimiser.zero_grad()
        (surface.image() - target).square().sum().backward()
        optimiser.step()
    assert_close(surface.image().detach(), torch.full_like(image, target), atol=1e-3, rtol=0)


def test_beyond_the_limit_nothing_pushes_further_out(generator):
    image = torch.full((1, 3, 2, 2), 0.5)
    surface = Luminance(Pixels(torch.full_like(image, 3.0), clamp=False), image).begin((2, 2), generator, CPU)
    (-surface.image().sum()).backward()
    assert surface.parameters[0].grad.abs().max() == 0


def test_colours_at_another_size_are_those_of_the_resized_picture(image, generator):
    canvas = Luminance(Pixels.grey(20, 28, "white"), image)
    surface = canvas.begin((10, 14), generator, CPU)
    assert_close(chroma(surface.image()), chroma(resize(image, (10, 14))), atol=1e-6, rtol=0)
    larger = surface.resized((20, 28), "result")
    assert_close(chroma(larger.image()), chroma(image), atol=1e-6, rtol=0)
    assert larger.image().shape == (1, 3, 20, 28)


def test_the_inner_canvas_is_constrained(image, generator):
    surface = Luminance(Pixels.of(image), image).begin((20, 28), generator, CPU)
    with torch.no_grad():
        surface.parameters[0].add_(5)
    surface.constrain()
    assert surface.parameters[0].max() == 1


def test_it_begins_with_the_luma_of_the_inner_canvas_share_of_noise(generator):
    image = 0.4 + 0.2 * torch.rand(1, 3, 8, 8, generator=generator)
    inner = Pixels(image, "white", spread=0.1, noise_share=0.4)
    picture = Luminance(inner, image).begin((8, 8), torch.Generator().manual_seed(1), CPU).image()
    alone = inner.begin((8, 8), torch.Generator().manual_seed(1), CPU).image()
    assert_close(picture, transfer_luma(alone, image), atol=1e-6, rtol=0)
    assert (picture - image).abs().mean() > 0.01


def test_another_start_brings_its_colours(image, generator):
    canvas = Luminance(Pixels.of(image), image).starting_from(1 - image)
    assert canvas.size(14) == (10, 14)
    assert_close(canvas.begin((20, 28), generator, CPU).image(), 1 - image, atol=1e-6, rtol=0)


@pytest.mark.parametrize("shape", [(3, 4, 4), (1, 1, 4, 4), (1, 3, 4, 0)])
def test_pictures_that_are_none_are_refused(image, shape):
    with pytest.raises(PlanError, match="colours come from an image"):
        Luminance(Pixels.of(image), torch.rand(shape))
