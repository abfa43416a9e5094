"""Laws of schedules, augmentations and canvases."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.testing import assert_close

from oneira.errors import PlanError
from oneira.images import resize
from oneira.synthesis.augmentation import Chain, Jitter, Pad, Rotate, Scale
from oneira.synthesis.canvas import Pixels, pink_noise
from oneira.synthesis.fourier import Fourier
from oneira.synthesis.optimisers import OptimiserSpec
from oneira.synthesis.schedules import octaves


@given(st.integers(20, 4000), st.integers(1, 8), st.floats(1.05, 3))
def test_octaves_grow_by_their_ratio_up_to_the_largest(largest, count, ratio):
    sizes = [scale.size for scale in octaves(largest, count=count, ratio=ratio).scales]
    assert sizes[-1] == largest
    assert len(sizes) == count
    assert sizes == sorted(sizes)
    for index, size in enumerate(reversed(sizes)):
        assert abs(size - max(1, largest / ratio**index)) <= 0.5


@given(st.integers(20, 4000), st.integers(10, 500), st.floats(1.05, 3))
def test_octaves_named_by_their_smallest_stay_above_it(largest, smallest, ratio):
    sizes = [scale.size for scale in octaves(largest, smallest=smallest, ratio=ratio).scales]
    assert sizes[-1] == largest
    assert sizes[0] >= min(smallest - 1, largest)
    assert largest / ratio ** len(sizes) < smallest * 1.001


def test_steps_may_differ_from_size_to_size_and_the_last_number_stays():
    assert [s.steps for s in octaves(100, count=4, steps=(9, 5)).scales] == [9, 5, 5, 5]


def test_jitter_rolls_and_nothing_else(image, generator):
    moved = Jitter(5)(image, generator)
    assert_close(moved.flatten(2).sort(2).values, image.flatten(2).sort(2).values)
    assert not torch.equal(moved, image)


def test_a_turn_by_nothing_and_a_scale_by_one_leave_the_picture(image, generator):
    assert_close(Rotate(0.0)(image, generator), image, atol=1e-5, rtol=0)
    assert_close(Scale(1.0, 1.0)(image, generator), image)


def test_a_small_turn_moves_a_point_along_its_circle(generator):
    picture = torch.zeros(1, 3, 41, 81)
    picture[..., 20, 70] = 1  # 30 px to the right of the middle
    turned = Rotate(20.0)(picture, generator)[0, 0]
    y, x = divmod(int(turned.argmax()), 81)
    assert ((y - 20) ** 2 + (x - 40) ** 2) ** 0.5 == pytest.approx(30, abs=1)


def test_augmentations_chain_and_pass_gradients(image, generator):
    picture = image.clone().requires_grad_()
    result = Chain((Pad(4), Jitter(3), Scale(), Rotate()))(picture, generator)
    assert min(result.shape[2:]) >= 20
    result.sum().backward()
    assert picture.grad.abs().mean() > 0


def test_pink_noise_has_a_falling_spectrum_and_unit_deviation(generator):
    noise = pink_noise((1, 3, 128, 128), generator)
    assert_close(noise.std((2, 3), unbiased=False), torch.ones(1, 3))
    spectrum = torch.fft.rfft2(noise).abs()[0].mean(0)
    assert spectrum[1:9, 1:9].mean() > 5 * spectrum[40:60, 40:60].mean()


@given(st.integers(2, 33), st.integers(2, 33), st.booleans())
def test_a_fourier_canvas_shows_the_picture_it_began_with(height, width, decorrelate):
    image = 0.1 + 0.8 * torch.rand(1, 3, height, width, generator=torch.Generator().manual_seed(0))
    canvas = Fourier(height=height, width=width, start=image, decorrelate=decorrelate)
    surface = canvas.begin((height, width), torch.Generator(), torch.device("cpu"))
    assert_close(surface.image(), image, atol=2e-3, rtol=0)


def test_a_fourier_canvas_begins_near_grey_whatever_its_size(generator):
    for side in (32, 128):
        picture = Fourier(height=side, width=side).begin((side, side), generator, torch.device("cpu")).image()
        assert_close(picture.mean(), torch.tensor(0.5), atol=0.05, rtol=0)
        assert 0.001 < picture.std() < 0.1


def test_noise_canvases_have_the_proportions_asked_for(generator):
    canvas = Pixels.grey(30, 60, "white")
    assert canvas.size(100) == (50, 100)
    picture = canvas.begin((50, 100), generator, torch.device("cpu")).image()
    assert picture.shape == (1, 3, 50, 100)
    assert picture.std() > 0.1


@pytest.mark.parametrize("noise", ["white", "pink"])
@given(share=st.floats(0, 1))
def test_a_share_of_noise_lies_between_the_start_and_noise_alone(noise, share):
    start = 0.4 + 0.2 * torch.rand(1, 3, 20, 28, generator=torch.Generator().manual_seed(0))

    def begun(share):
        generator = torch.Generator().manual_seed(1)
        canvas = Pixels(start, noise, spread=0.02, noise_share=share)
        return canvas.begin((10, 14), generator, torch.device("cpu")).image().detach(), generator.get_state()

    (mixed, drawn), (plain, same), (alone, again) = begun(share), begun(0.0), begun(1.0)
    assert torch.equal(plain, resize(start, (10, 14)))
    assert_close(mixed, (1 - share) * plain + share * alone, atol=1e-6, rtol=0)
    assert (alone - plain).abs().mean() > 0.01
    assert torch.equal(drawn, same)
    assert torch.equal(drawn, again)


def test_noise_alone_knows_nothing_of_the_start_and_is_clamped(image):
    pictures = [
        Pixels(start, "white", spread=1.0)
        .begin((20, 28), torch.Generator().manual_seed(1), torch.device("cpu"))
        .image()
        for start in (image, 1 - image)
    ]
    drawn = torch.randn(1, 3, 20, 28, generator=torch.Generator().manual_seed(1))
    assert torch.equal(*pictures)
    assert torch.equal(pictures[0], (0.5 + drawn).clamp(0, 1))


@pytest.mark.parametrize("share", [-0.1, 1.1, float("nan")])
def test_a_share_of_noise_is_a_share(share, image):
    with pytest.raises(PlanError, match=f"between 0 and 1, not {share}"):
        Pixels(image, "white", noise_share=share)


def test_the_lectures_adam_has_the_lectures_numbers():
    optimiser = OptimiserSpec("lecture-adam", 0.02).build([torch.zeros(2, requires_grad=True)])
    group = optimiser.param_groups[0]
    assert (group["lr"], group["betas"][0], group["eps"]) == (0.02, 0.99, 1e-1)
