"""Laws of tending, and the published steps that it stands for, transcribed from the authors' code."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from plans import dream_plan, finished, resumes_equal, style_plan
from scipy import ndimage
from torch.testing import assert_close

from oneira.errors import PlanError
from oneira.features.encoder import Encoder
from oneira.objectives import BoundObjective
from oneira.synthesis.canvas import Pixels
from oneira.synthesis.confined import Confined
from oneira.synthesis.fourier import Fourier
from oneira.synthesis.loop import Synthesis
from oneira.synthesis.luminance import Luminance
from oneira.synthesis.optimisers import OptimiserSpec
from oneira.synthesis.schedules import octaves
from oneira.synthesis.tending import Blur, Decay, SmallContributions, SmallNorms

EVERY = [Decay(0.1), Blur(0.7, 2), SmallNorms(30), SmallContributions(60)]
PERCENTILES = st.one_of(st.integers(0, 100), st.floats(0, 100))


def noise(*shape, seed=0, dtype=torch.float32):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def published(x, gradient, index, decay, width, every, norm, contribution):
    """The authors' update of one picture (3, h, w), behind the step along the gradient, in NumPy."""
    x = x * (1 - decay)
    if width > 0 and index % every == 0:
        x = np.stack([ndimage.gaussian_filter(channel, width) for channel in x])
    if norm > 0:
        sizes = np.linalg.norm(x, axis=0)
        x = np.where(sizes < np.percentile(sizes, norm), 0, x)
    if contribution > 0:
        sizes = np.abs((gradient * -x).sum(0))
        x = np.where(sizes < np.percentile(sizes, contribution), 0, x)
    return x


def tended(pictures, gradients, index, decay, width, every, norm, contribution):
    for tending in (Decay(decay), Blur(width, every), SmallNorms(norm), SmallContributions(contribution)):
        pictures = tending(pictures, gradients, index)
    return pictures


@settings(max_examples=25)
@given(
    st.integers(1, 12),
    st.integers(1, 12),
    st.integers(0, 9),
    st.floats(0, 0.9),
    st.floats(0.3, 2),
    st.integers(1, 5),
    PERCENTILES,
    PERCENTILES,
)
def test_all_four_are_the_authors_update(height, width, index, decay, blur, every, norm, contribution):
    four = (decay, blur, every, norm, contribution)
    pictures, gradients = noise(2, 3, height, width, dtype=torch.float64), noise(2, 3, height, width, seed=1).double()
    alone = [published(x.numpy(), g.numpy(), index, *four) for x, g in zip(pictures, gradients, strict=True)]
    assert_close(tended(pictures, gradients, index, *four), torch.tensor(np.stack(alone)))


@given(st.integers(1, 9), st.integers(1, 9), PERCENTILES)
def test_below_a_percentile_is_what_numpy_finds_below_it_though_many_are_equal(height, width, percentile):
    """Few values, so that the percentile often falls on one of them, or between two that are the same."""
    picture = noise(1, 3, height, width).round()
    sizes = picture.square().sum(1, keepdim=True).numpy()
    kept = torch.from_numpy(sizes >= np.percentile(sizes, percentile, method="higher"))
    assert_close(SmallNorms(percentile)(picture, picture, 0), picture * kept)


@pytest.mark.parametrize("tending", EVERY)
@pytest.mark.parametrize("index", [0, 1])
def test_each_picture_of_a_batch_is_tended_alone_and_grey_stays_grey(tending, index):
    sizes = torch.tensor([0.1, 1.0, 0.0])[:, None, None, None]
    pictures, gradients = noise(3, 3, 9, 11) * sizes, noise(3, 3, 9, 11, seed=1) * sizes.flip(0)
    kept = pictures.clone()
    together = tending(pictures, gradients, index)
    pairs = zip(pictures.split(1), gradients.split(1), strict=True)
    alone = [tending(picture, gradient, index) for picture, gradient in pairs]
    assert_close(together, torch.cat(alone))
    assert (together[2] == 0).all()
    assert torch.equal(pictures, kept)


@pytest.mark.parametrize(("tending", "share"), [(SmallNorms(30), 0.3), (SmallContributions(60), 0.6)])
def test_a_percentile_of_the_pixels_turns_grey_and_the_others_stay(tending, share):
    picture = noise(1, 3, 20, 30)
    clipped = tending(picture, noise(1, 3, 20, 30, seed=1), 0)
    grey = (clipped == 0).all(1)
    assert float(grey.float().mean()) == pytest.approx(share, abs=0.01)
    assert torch.equal(clipped[0][:, ~grey[0]], picture[0][:, ~grey[0]])


def test_without_a_gradient_no_pixel_contributes_less_than_another():
    picture = noise(1, 3, 5, 5)
    assert torch.equal(SmallContributions(90)(picture, torch.zeros(1, 3, 5, 5), 0), picture)


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: Decay(1.0), "at least 0 and below 1, not 1.0"),
        (lambda: Decay(-0.1), "not -0.1"),
        (lambda: Decay(float("nan")), "not nan"),
        (lambda: Blur(0.0), "some pixels wide, not 0.0"),
        (lambda: Blur(float("inf")), "not inf"),
        (lambda: Blur(1.0, 0), "not every 0 steps"),
        (lambda: SmallNorms(101), "between 0 and 100, not at 101"),
        (lambda: SmallContributions(-1), "between 0 and 100, not at -1"),
    ],
)
def test_what_is_no_tending_is_told_in_one_line(make, says):
    with pytest.raises(PlanError, match=says) as caught:
        make()
    assert "\n" not in str(caught.value)


# In a plan

FOUR = (0.01, 0.5, 2, 20, 30)
TENDING = (Decay(0.01), Blur(0.5, 2), SmallNorms(20), SmallContributions(30))


def ascending(image, **changes):
    """Plain steps at one size, of the picture as it is."""
    ascent = OptimiserSpec("ascent", 20.0)
    schedule = octaves(28, count=1, steps=5)
    options = {"schedule": schedule, "optimiser": ascent, "augmentation": (), "shaping": (), "tending": TENDING}
    return dream_plan(image, **{**options, **changes})


def test_a_run_is_the_authors_loop(image):
    plan = ascending(image)
    objective = BoundObjective(plan.objective, Encoder(precision=torch.float32), (20, 28))
    x = image[0].numpy() - 0.5
    for index in range(5):
        picture = torch.tensor(x[None] + 0.5, dtype=torch.float32).requires_grad_()
        (gradient,) = torch.autograd.grad(objective(picture).total, picture)
        stepped = picture.detach().numpy()[0] - 20.0 * gradient.numpy()[0] - 0.5
        x = np.clip(published(stepped, gradient.numpy()[0], index, *FOUR) + 0.5, 0, 1) - 0.5
    result = finished(plan)
    assert_close(result[0], torch.tensor(x + 0.5, dtype=torch.float32), atol=1e-4, rtol=0)
    assert (result == 0.5).all(1).float().mean() > 0.2
    assert (result - finished(replace(plan, tending=()))).abs().mean() > 0.01


@pytest.mark.parametrize("stop", [1, 4, 6, 9])
@pytest.mark.parametrize("make", [ascending, style_plan])
def test_a_resumed_run_ends_in_the_same_bytes(make, stop, image):
    tending = (Decay(0.01), Blur(0.5, 3), SmallNorms(20), SmallContributions(30))
    resumes_equal(make(image, tending=tending, schedule=octaves(28, count=2, steps=6)), stop)


def test_each_picture_of_a_run_is_tended_alone(generator):
    pictures = torch.rand(2, 3, 20, 28, generator=generator)
    alone = torch.cat([finished(ascending(picture[None])) for picture in pictures])
    assert_close(finished(ascending(pictures)), alone, atol=1e-4, rtol=0)


def test_it_is_part_of_what_a_plan_is_known_by(image):
    ways = ((), *([each] for each in EVERY), EVERY[:2], EVERY[1::-1])
    plans = [ascending(image, tending=tending) for tending in ways]
    assert len({plan.fingerprint for plan in plans}) == len(plans)


def test_what_is_kept_by_a_mask_is_not_tended(image):
    mask = torch.zeros(1, 1, 20, 28)
    mask[..., :14] = 1
    canvas, slow = Confined(Pixels.of(image), image, mask), OptimiserSpec("ascent", 1e-6)
    result = finished(ascending(image, canvas=canvas, tending=(Decay(0.5),), optimiser=slow))
    assert torch.equal(result[..., 14:], image[..., 14:])
    assert_close(result[..., :14] - 0.5, (image[..., :14] - 0.5) / 2**5, atol=1e-4, rtol=0)


def test_the_values_of_every_clamped_picture_are_tended(image):
    slow = OptimiserSpec("ascent", 1e-6)
    for canvas in (Pixels.of(image), Luminance(Pixels.of(image), image)):
        plan = ascending(image, canvas=canvas, tending=(Decay(0.5),), optimiser=slow)
        synthesis = Synthesis(plan, precision="float32")
        next(iter(synthesis))
        (values,) = synthesis.state()["parameters"]
        assert_close(values - 0.5, (image - 0.5) / 2, atol=1e-4, rtol=0)


def test_other_canvases_and_optimisers_that_search_are_refused(image):
    mask = torch.ones(1, 1, 20, 28)
    for canvas in (Fourier(20, 28), replace(Pixels.of(image), clamp=False), Confined(Fourier(20, 28), image, mask)):
        kind = type(canvas).__name__
        with pytest.raises(PlanError, match=f"^tending is for the values of clamped Pixels, not .* of {kind} holds$"):
            ascending(image, canvas=canvas)
    for name in ("lbfgs", "lbfgs-b"):
        with pytest.raises(PlanError, match=f"^{name} compares one step with the next; .*: use adam$"):
            ascending(image, optimiser=OptimiserSpec(name))
