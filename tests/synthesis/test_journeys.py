"""Laws of what goes from scale to scale, and of legs that begin anew."""

import math

import pytest
import torch
import torch.nn.functional as F
from networks import TINY, tiny_network
from plans import dream_plan, finished, resumes_equal
from torch.testing import assert_close

from oneira import register_backbone
from oneira.errors import PlanError, SynthesisError
from oneira.images import resize
from oneira.objectives import Channel, Dream
from oneira.synthesis.canvas import Pixels
from oneira.synthesis.fourier import Fourier
from oneira.synthesis.loop import Synthesis, synthesize
from oneira.synthesis.optimisers import OptimiserSpec
from oneira.synthesis.schedules import Blend, Mix, Scale, Schedule, Zoom, journey, octaves, single


@pytest.fixture
def blob():
    """A soft spot off the middle of a wide picture."""
    y, x = torch.meshgrid(torch.linspace(-1, 1, 48), torch.linspace(-1.5, 1.5, 72), indexing="ij")
    return torch.exp(-((y + 0.2) ** 2 + (x - 0.4) ** 2) / 0.05).expand(1, 3, 48, 72)


def centre(picture):
    """(y, x) of the mass, from the middle, in pixels."""
    mass = picture[0, 0] / picture[0, 0].sum()
    height, width = mass.shape
    y = (mass.sum(1) * torch.arange(height)).sum() - (height - 1) / 2
    x = (mass.sum(0) * torch.arange(width)).sum() - (width - 1) / 2
    return float(y), float(x)


class TestZoom:
    def test_nothing_is_nothing(self, blob):
        assert_close(Zoom(1.0, 0.0)(blob), blob, atol=1e-5, rtol=0)

    def test_what_is_magnified_moves_outwards_in_proportion(self, blob):
        before, after = centre(blob), centre(Zoom(1.25)(blob))
        assert_close(torch.tensor(after), 1.25 * torch.tensor(before), atol=0.1, rtol=0)

    def test_positive_degrees_turn_counter_clockwise_whatever_the_proportions(self, blob):
        (y, x), (turned_y, turned_x) = centre(blob), centre(Zoom(1.0, 20.0)(blob))
        angle = math.radians(20)
        # Rows count downwards: seen with y upwards, (x, -y) turns by +20 degrees.
        assert_close(turned_x, x * math.cos(angle) + y * math.sin(angle), atol=0.15, rtol=0)
        assert_close(turned_y, -x * math.sin(angle) + y * math.cos(angle), atol=0.15, rtol=0)

    def test_the_result_is_an_image(self):
        picture = torch.rand(1, 3, 9, 14).round()
        zoomed = Zoom(1.1, 33.0)(picture)
        assert zoomed.shape == picture.shape
        assert 0 <= zoomed.min() <= zoomed.max() <= 1


def test_a_palette_keeps_the_colours_of_every_frame(image):
    other = 0.3 + 0.4 * torch.rand(1, 3, 20, 28, generator=torch.Generator().manual_seed(8))
    frame = Zoom(1.3, 5.0, palette=other)(image)
    assert_close(frame.mean((2, 3)), other.mean((2, 3)), atol=0.02, rtol=0)
    assert_close(frame.std((2, 3)), other.std((2, 3)), atol=0.02, rtol=0)


def test_a_mix_holds_its_share_of_the_original(image):
    original, picture = torch.ones(1, 3, 40, 56), torch.zeros_like(image)
    assert_close(Mix(original, 0.2)(picture), torch.full_like(image, 0.2))
    assert_close(Mix(original, 0.0)(image), image)


def test_a_blend_is_the_recursion_of_hvass(image):
    # optimise(blend * image + (1 - blend) * upscaled result), from small to large; without steps, in plain words:
    sizes = [(10, 14), (14, 20), (20, 28)]
    picture = resize(image, sizes[0])
    for size in sizes[1:]:
        picture = 0.3 * resize(image, size) + 0.7 * resize(picture, size)
    plan = dream_plan(image, schedule=octaves(28, count=3, steps=0, carry=Blend(0.3)))
    assert_close(finished(plan), picture)


def test_detail_is_carried_beyond_the_range_of_pictures_where_pixels_are_not_clamped(image):
    plan = dream_plan(image, canvas=Pixels(image, clamp=False), optimiser=OptimiserSpec("ascent", 0.5), augmentation=())
    synthesis = Synthesis(plan, precision="float32")
    for step in synthesis:
        if step.scale == 1 and step.index == 1:
            break
    assert synthesis.state()["parameters"][0].abs().max() > 1.5


def test_smoothing_blurs_what_is_made_smaller_and_nothing_else(image):
    smooth = Pixels(image, smoothing=1.0)
    assert torch.equal(smooth.base((20, 28), image.device), image)
    assert smooth.base((10, 14), image.device).std() < Pixels(image).base((10, 14), image.device).std()


def leg(**options):
    return octaves(28, count=2, steps=3, carry="detail").leg(**options)


def test_a_journey_is_one_run_after_the_other(image):
    still = {"augmentation": ()}  # nothing random: a run of its own draws other numbers
    other = Dream(f"{TINY}:relu3")
    back = Mix(image, 0.25)
    schedule = journey([leg(name="one"), leg(name="two", begins=back, objective=other)])
    first = finished(dream_plan(image, schedule=leg(), **still))
    second = finished(dream_plan(image, canvas=Pixels.of(back(first)), objective=other, schedule=leg(), **still))
    steps = list(synthesize(dream_plan(image, schedule=schedule, **still), precision="float32"))
    assert_close(steps[-1].image, second)
    assert [(step.done, step.stage) for step in steps if step.stage] == [(6, "one"), (12, "two")]


@pytest.mark.parametrize("canvas", [Pixels.of, Fourier.of, lambda image: Pixels.grey(20, 28, "pink")])
@pytest.mark.parametrize("stop", [2, 6, 7, 10])
def test_a_journey_resumes_to_the_same_bytes(stop, canvas, image):
    schedule = journey([leg(name="1"), leg(name="2", begins=Zoom(1.1, 2.0)), leg(name="3", begins=Zoom(1.1))])
    resumes_equal(dream_plan(image, canvas=canvas(image), schedule=schedule), stop)


def test_the_rate_of_a_scale_is_a_factor(image):
    still = {"augmentation": (), "canvas": Pixels(image, clamp=False)}
    once = finished(dream_plan(image, schedule=single(28, 1), optimiser=OptimiserSpec("ascent", 0.001), **still))
    twice = finished(
        dream_plan(
            image,
            schedule=octaves(28, count=1, steps=1, rates=(2.0,)),
            optimiser=OptimiserSpec("ascent", 0.001),
            **still,
        )
    )
    inside = (image > 0.1) & (image < 0.9)
    assert_close((twice - image)[inside], 2 * (once - image)[inside], atol=1e-6, rtol=1e-3)


def test_the_last_rate_stays():
    assert [scale.rate for scale in octaves(64, count=4, rates=(1.0, 0.5)).scales] == [1.0, 0.5, 0.5, 0.5]


class TestNoGradient:
    @pytest.fixture
    def silent(self):
        """A layer whose first channel never fires."""
        network = tiny_network()
        with torch.no_grad():
            network[3].bias[0] = -100.0
        register_backbone("silent", network)
        return "silent:relu2"

    def test_a_silent_channel_is_told_before_anything_changes(self, image, silent):
        with pytest.raises(SynthesisError, match=r"channel finds nothing .* before its ReLU") as caught:
            next(synthesize(dream_plan(image, objective=Channel(silent, 0))))
        assert "\n" not in str(caught.value)

    def test_an_objective_that_wakes_up_later_is_only_noted(self, image, silent):
        awake = Schedule((Scale(14, 1), Scale(28, 1, objective=Channel(silent, 1))))
        steps = list(synthesize(dream_plan(image, objective=Channel(silent, 0), schedule=awake)))
        assert "finds nothing" in steps[0].note
        assert steps[1].note is None


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: Blend(1.5), "between 0 and 1"),
        (lambda: Mix(torch.zeros(1, 3, 4, 4), -1.0), "between 0 and 1"),
        (lambda: Zoom(0.0), "cannot zoom by 0"),
        (lambda: Zoom(float("nan")), "cannot zoom"),
        (lambda: Scale(8, 1, rate=0.0), "above 0"),
        (lambda: Scale(8, 1, "details"), "did you mean 'detail'"),
        (lambda: journey([]), "at least one scale"),
        (lambda: octaves(8, count=1, rates=()), "no number of rates"),
    ],
)
def test_what_is_no_journey_is_told_in_one_line(make, says):
    with pytest.raises(PlanError, match=says) as caught:
        make()
    assert "\n" not in str(caught.value)


def test_zooming_in_by_pieces_is_zooming_in_at_once():
    # Smooth pictures survive resampling; the law is about places, not about sharpness.
    smooth = F.interpolate(torch.rand(1, 3, 3, 4, generator=torch.Generator().manual_seed(1)), (48, 72), mode="bicubic")
    smooth = smooth.clamp(0, 1)
    picture = smooth
    for _ in range(4):
        picture = Zoom(1.05, 1.5)(picture)
    assert_close(picture[..., 8:-8, 8:-8], Zoom(1.05**4, 6.0)(smooth)[..., 8:-8, 8:-8], atol=0.03, rtol=0)
