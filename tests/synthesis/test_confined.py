"""Laws of the canvas of which only a part may change."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.testing import assert_close

from oneira.errors import PlanError
from oneira.images import resize
from oneira.synthesis.canvas import Pixels
from oneira.synthesis.confined import Confined
from oneira.synthesis.fourier import Fourier

CPU = torch.device("cpu")
OPTIMISERS = {
    "adam": lambda parameters: torch.optim.Adam(parameters, lr=0.1),
    "sgd": lambda parameters: torch.optim.SGD(parameters, lr=50.0, momentum=0.9),
    "lbfgs": lambda parameters: torch.optim.LBFGS(parameters, max_iter=3),
}


def square(height, width):
    """White on a quarter in the middle."""
    mask = torch.zeros(1, 1, height, width)
    mask[:, :, height // 4 : height - height // 4, width // 4 : width - width // 4] = 1
    return mask


def descend(surface, optimiser, steps=4):
    """Towards a random picture, as the loop does it."""
    target = torch.rand(surface.image().shape, generator=torch.Generator().manual_seed(9))
    running = OPTIMISERS[optimiser](surface.parameters)

    def closure():
        running.zero_grad()
        loss = (surface.image() - target).square().mean()
        loss.backward()
        return loss

    for _ in range(steps):
        running.step(closure)
        if optimiser != "lbfgs":
            surface.constrain()


@pytest.mark.parametrize("optimiser", OPTIMISERS)
@pytest.mark.parametrize("canvas", [Pixels.of, Fourier.of, lambda image: Pixels.grey(5, 7, "white")])
def test_outside_the_mask_nothing_changes_by_a_bit(image, generator, optimiser, canvas):
    mask = square(20, 28)
    surface = Confined(canvas(image), image, mask).begin((10, 14), generator, CPU)
    descend(surface, optimiser)
    surface = surface.resized((20, 28), "result")
    begun = surface.image().detach().clone()
    descend(surface, optimiser)
    picture = surface.image().detach()
    outside = (mask == 0).expand_as(picture)
    assert torch.equal(picture[outside], image[outside])
    assert (picture - begun)[~outside].abs().mean() > 1e-3


def test_inside_a_white_mask_the_inner_canvas_shows(image, generator):
    mask = square(20, 28)
    other = 1 - image
    picture = Confined(Pixels.of(other), image, mask).begin((20, 28), generator, CPU).image()
    inside = (mask == 1).expand_as(picture)
    assert torch.equal(picture[inside], other[inside])


@given(st.floats(0, 1))
def test_grey_mixes_and_scales_the_gradient(share):
    generator = torch.Generator().manual_seed(0)
    image, other = torch.rand(2, 1, 3, 6, 5, generator=generator)
    mask = torch.full((1, 1, 6, 5), share)
    mask[..., 0, 0] = 1
    surface = Confined(Pixels.of(other), image, mask).begin((6, 5), generator, CPU)
    picture = surface.image()
    assert_close(picture, image + mask * (other - image))
    picture.sum().backward()
    assert_close(surface.parameters[0].grad, mask.expand_as(picture))


@given(st.integers(1, 30), st.integers(1, 30), st.integers(1, 60))
def test_sizes_have_the_pictures_proportions_and_its_pixels_outside(height, width, long_side):
    generator = torch.Generator().manual_seed(0)
    image = torch.rand(1, 3, height, width, generator=generator)
    mask = torch.zeros(1, 1, height, width)
    mask[..., 0, 0] = 1
    canvas = Confined(Fourier(height=3, width=2), image, mask)
    size = canvas.size(long_side)
    assert size == Pixels.of(image).size(long_side)
    picture = canvas.begin(size, generator, CPU).image()
    outside = (resize(mask, size) == 0).expand_as(picture)
    assert torch.equal(picture[outside], resize(image, size)[outside])


def test_detail_is_carried_by_the_inner_canvas(image, generator):
    surface = Confined(Pixels.of(image), image, torch.ones(1, 1, 20, 28)).begin((10, 14), generator, CPU)
    assert torch.equal(surface.resized((20, 28), "detail").image(), image)
    assert not torch.equal(surface.resized((20, 28), "result").image(), image)


def test_the_inner_canvas_is_constrained(image, generator):
    surface = Confined(Pixels.of(image), image, square(20, 28)).begin((20, 28), generator, CPU)
    with torch.no_grad():
        surface.parameters[0].add_(5)
    surface.constrain()
    assert surface.image().max() == 1


def test_another_start_is_what_is_kept_from_then_on(image, generator):
    mask = square(20, 28)
    canvas = Confined(Pixels.of(image), image, mask).starting_from(1 - image)
    assert torch.equal(canvas.mask, mask)
    surface = canvas.begin((20, 28), generator, CPU)
    assert torch.equal(surface.image(), 1 - image)


def test_it_begins_with_the_inner_canvas_share_of_noise(image):
    inner, mask = Pixels(image, "white", noise_share=0.4), square(20, 28)
    picture = Confined(inner, image, mask).begin((20, 28), torch.Generator().manual_seed(1), CPU).image()
    alone = inner.begin((20, 28), torch.Generator().manual_seed(1), CPU).image()
    assert torch.equal(picture, torch.where(mask == 1, alone, image))
    assert not torch.equal(picture, image)


def test_a_batch_is_confined_picture_by_picture(image, generator):
    canvas = Confined(Fourier(height=20, width=28, batch=2, spread=1.0), image, square(20, 28))
    pictures = canvas.begin((20, 28), generator, CPU).image()
    assert pictures.shape == (2, 3, 20, 28)
    assert torch.equal(pictures[0, :, 0], pictures[1, :, 0])
    assert not torch.equal(pictures[0], pictures[1])


@pytest.mark.parametrize(
    ("mask", "message"),
    [
        (torch.zeros(1, 1, 4, 4), "black everywhere"),
        (torch.ones(1, 3, 4, 4), r"not \(1, 3, 4, 4\)"),
        (torch.ones(4, 4), r"not \(4, 4\)"),
        (torch.full((1, 1, 4, 4), 255.0), "not between 255 and 255"),
        (torch.full((1, 1, 4, 4), float("nan")), "between 0 and 1"),
        (torch.ones(1, 1, 0, 4), r"not \(1, 1, 0, 4\)"),
    ],
)
def test_masks_that_are_none_are_refused(image, mask, message):
    with pytest.raises(PlanError, match=message):
        Confined(Pixels.of(image), image, mask)


@pytest.mark.parametrize("shape", [(3, 4, 4), (1, 1, 4, 4), (1, 3, 0, 4)])
def test_pictures_that_are_none_are_refused(image, shape):
    with pytest.raises(PlanError, match="what is kept is an image"):
        Confined(Pixels.of(image), torch.rand(shape), torch.ones(1, 1, 4, 4))
