"""What a frame takes over from the frame beside it, and what that makes of its plan."""

from dataclasses import replace
from decimal import ROUND_CEILING, Decimal

import pytest
import torch
from hypothesis import example, given
from hypothesis import strategies as st
from pydantic import ValidationError
from scenes import constant_flow, texture
from torch.testing import assert_close

from oneira.errors import PlanError
from oneira.images import resize, rgb_to_yiq
from oneira.motion.coherence import (
    Carried,
    Coherence,
    Habit,
    Neighbour,
    going_on,
    require_no_journey,
)
from oneira.motion.flow import Flow
from oneira.motion.warping import visible, warp
from oneira.objectives import Dream, Masked, PixelError
from oneira.synthesis.canvas import Pixels
from oneira.synthesis.carrying import Blend, Zoom
from oneira.synthesis.confined import Confined
from oneira.synthesis.fingerprint import fingerprint
from oneira.synthesis.luminance import Luminance
from oneira.synthesis.plan import Plan
from oneira.synthesis.run import Means
from oneira.synthesis.schedules import Scale, Schedule, octaves

LAYER = "tiny:relu2"
NONE_SEEN, ALL_SEEN = torch.zeros(1, 1, 20, 28), torch.ones(1, 1, 20, 28)


def plan_of(image, schedule=None, canvas=None):
    return Plan(canvas or Pixels.of(image), Dream(LAYER), schedule or octaves(28, count=2, steps=10))


def run_to_the_end(plan):
    run = plan.begin(Means(device="cpu", precision="float32"))
    for _ in run:
        pass
    return run.image


def detail_in(image):
    """The energy of what half as many pixels a side do not hold."""
    coarse = resize(resize(image, (10, 14)), (20, 28))
    return float((image - coarse).square().mean())


class Pan(Flow):
    """The flow of a film whose picture goes `across` pixels to the right from one frame to the next."""

    def __init__(self, across):
        self.across, self.asked, self.identity = across, [], f"pan {across}"

    def __call__(self, first, second, numbers):
        self.asked.append((first, second, numbers))
        return constant_flow((numbers[1] - numbers[0]) * self.across, 0, *first.shape[2:])


class TestHabit:
    def test_what_is_told_stands_and_the_rest_is_usual(self):
        usual = Habit(keep=0.9, effort=0.1, temporal_weight=2.0)
        assert Coherence().habit(usual) == usual
        assert Coherence(keep=0).habit(usual) == Habit(0, 0.1, 2.0)
        assert Coherence(effort=1, temporal_weight=0).habit(usual) == Habit(0.9, 1, 0)

    @pytest.mark.parametrize(
        "told",
        [
            {"keep": 1.1},
            {"keep": -0.1},
            {"effort": 0},
            {"effort": 1.1},
            {"temporal_weight": -1},
            {"temporal_weight": float("nan")},
            {"passes": 0},
            {"passes": 21},
            {"cut": 0},
            {"cut": 1.1},
            {"kept": 1},
        ],
    )
    def test_what_is_out_of_range_is_refused(self, told):
        with pytest.raises(ValidationError):
            Coherence(**told)


class TestCarried:
    def test_it_is_moved_to_where_the_frame_has_it(self):
        scene, flow = texture(20, 40), Pan(4)
        before, now = scene[..., 8:36], scene[..., 4:32]
        carried = Carried.along(flow, Neighbour(before, 1 - before, 7), now, 8)
        assert_close(carried.source[..., 4:], now[..., 4:], atol=1e-5, rtol=0)
        assert_close(carried.result[..., 4:], 1 - now[..., 4:], atol=1e-5, rtol=0)
        # Backward: from the frame to the neighbour; forward: from there to here.
        (first, second, back), (third, fourth, forth) = flow.asked
        assert (back, forth) == ((8, 7), (7, 8))
        assert first is fourth is now
        assert second is third is before

    @pytest.mark.parametrize("numbers", [(3, 4), (4, 3)], ids=["forth", "back"])
    def test_what_comes_in_at_the_edge_is_not_in_the_mask(self, numbers, image):
        neighbour, number = numbers
        mask = Carried.along(Pan(4), Neighbour(image, image, neighbour), image, number).mask
        seen = torch.ones(1, 1, 20, 28)
        seen[..., slice(None, 4) if number > neighbour else slice(-4, None)] = 0
        assert torch.equal(mask, seen)

    def test_the_mask_is_that_of_the_two_flows(self, image):
        class Random(Flow):
            identity = "random"

            def __call__(self, first, second, numbers):
                generator = torch.Generator().manual_seed(numbers[0])
                return 0.03 * torch.randn(1, 2, *first.shape[2:], generator=generator)

        back, forth = Random()(image, image, (2, 1)), Random()(image, image, (1, 2))
        carried = Carried.along(Random(), Neighbour(image, image, 1), image, 2)
        assert torch.equal(carried.mask, visible(forth, back))
        assert 0 < carried.mask.mean() < 1
        assert torch.equal(carried.result, warp(image, back))

    @given(st.floats(0, 1))
    def test_how_it_goes_into_a_start(self, share):
        picture, source, result = torch.rand(3, 1, 3, 4, 5, generator=torch.Generator().manual_seed(0))
        mask = (torch.rand(1, 1, 4, 5, generator=torch.Generator().manual_seed(1)) > 0.5).float()
        carried = Carried(source, result, mask)
        assert_close(carried.result_on(picture, share), (1 - share) * picture + share * result)
        assert_close(carried.result_over(picture, share), picture + share * mask * (result - picture))
        assert_close(carried.added_to(picture, share), (picture + share * (result - source)).clamp(0, 1))


class TestGoingOn:
    @example(effort=Decimal("0.07"), steps=[100], rate=1.0)  # as floats, 7.000000000000001
    @given(
        effort=st.decimals("0.01", 1, places=2),
        steps=st.lists(st.integers(0, 300), min_size=1, max_size=4),
        rate=st.floats(0.1, 3),
    )
    def test_steps_are_the_ceiling_of_the_share(self, effort, steps, rate):
        image = torch.full((1, 3, 20, 28), 0.5)
        schedule = Schedule(tuple(Scale(20 + place, each, rate=rate) for place, each in enumerate(steps)))
        habit = Habit(1, float(effort), 1)
        expected = [int((effort * each).to_integral_value(ROUND_CEILING)) for each in steps]
        for grows in (False, True):
            shorter = going_on(plan_of(image, schedule), image, ALL_SEEN, image, habit, grows=grows).schedule.scales
            assert [scale.steps for scale in shorter] == expected
            for before, after in zip(schedule.scales, shorter, strict=True):
                assert after.size == before.size
                if not grows:
                    assert after.rate == rate
                elif after.steps:
                    # What grows by its rate in every step, grows by the share of it.
                    assert after.rate * after.steps == pytest.approx(float(effort) * before.rate * before.steps)

    def test_it_is_drawn_to_what_is_held_where_that_is_seen(self, image):
        plan, held, mask = plan_of(image), 1 - image, ALL_SEEN.clone()
        mask[..., 14:] = 0
        found = going_on(plan, image, mask, held, Habit(1, 1, 3.0))
        assert fingerprint(found.objective) == fingerprint(Dream(LAYER) + 3.0 * Masked(mask, PixelError(held)))

    def test_so_is_a_size_with_an_objective_of_its_own(self, image):
        own = Schedule((Scale(20, 2), Scale(28, 2, objective=Dream("tiny:relu3"))))
        scales = going_on(plan_of(image, own), image, ALL_SEEN, image, Habit(1, 1, 3.0)).schedule.scales
        near = 3.0 * Masked(ALL_SEEN, PixelError(image))
        assert scales[0].objective is None
        assert fingerprint(scales[1].objective) == fingerprint(Dream("tiny:relu3") + near)

    @pytest.mark.parametrize(("mask", "weight"), [(NONE_SEEN, 3.0), (ALL_SEEN, 0.0)], ids=["not seen", "not held"])
    def test_nothing_is_held_that_is_not_seen_or_has_no_weight(self, mask, weight, image):
        plan = plan_of(image, octaves(28, count=2, steps=10, carry="detail"))
        found = going_on(plan, image, mask, image, Habit(1, 1, weight))
        assert fingerprint(found) == fingerprint(plan)

    def test_the_fine_detail_of_the_start_outlives_the_smaller_sizes(self, image):
        """Of a film that goes on from a frame, all of it: it is a few steps away from what the frame is to be."""
        start, smooth = texture(20, 28), torch.full_like(image, 0.5)
        fine = {}
        for carry in ("result", "detail"):
            plan = plan_of(smooth, octaves(28, count=3, steps=1, carry=carry, rates=(0.01,)))
            fine[carry] = detail_in(run_to_the_end(going_on(plan, start, ALL_SEEN, start, Habit(1, 1, 1.0))))
            alone = detail_in(run_to_the_end(replace(plan, canvas=Pixels.of(start))))
            assert (alone < 0.5 * detail_in(start)) == (carry == "result")
        assert fine["result"] == fine["detail"] > 0.9 * detail_in(start)

    @pytest.mark.parametrize("carry", ["detail", Blend(0.3)], ids=str)
    def test_other_ways_from_size_to_size_stay_as_they_are(self, carry, image):
        plan = plan_of(image, octaves(28, count=2, steps=1, carry=carry))
        found = going_on(plan, image, ALL_SEEN, image, Habit(1, 1, 1.0))
        assert [scale.carry for scale in found.schedule.scales] == [carry, carry]

    def test_the_more_firmly_it_is_held_the_nearer_it_stays(self, image):
        held = 1 - image
        apart = []
        for weight in (0, 30, 3000):
            found = going_on(plan_of(image, octaves(28, count=1, steps=8)), held, ALL_SEEN, held, Habit(1, 1, weight))
            apart.append(float((run_to_the_end(found) - held).square().mean()))
        assert apart[0] > apart[1] > apart[2]

    def test_journeys_are_refused(self, image):
        dive = Schedule((Scale(28, 1), Scale(28, 1, carry=Zoom(1.1))))
        with pytest.raises(PlanError, match=r"^--zoom, --through and several layers lead .* by --keep 0$"):
            require_no_journey(plan_of(image, dive))
        require_no_journey(plan_of(image))


def begun(canvas):
    return canvas.begin(canvas.size(28), torch.Generator().manual_seed(0), torch.device("cpu")).image()


class TestCanvases:
    @pytest.fixture
    def start(self, image):
        return image.flip(3) * 0.8

    def test_pixels_begin_with_it_and_no_noise(self, image, start):
        assert torch.equal(begun(Pixels(image, "white").going_on(start)), start)

    def test_what_no_mask_lets_change_stays_the_frame_s_own(self, image, start):
        mask = ALL_SEEN.clone()
        mask[..., :14] = 0
        found = begun(Confined(Pixels.of(image), image, mask).going_on(start))
        assert torch.equal(found[..., :14], image[..., :14])
        assert torch.equal(found[..., 14:], start[..., 14:])

    def test_chroma_stays_the_frame_s_own(self, image, start):
        # Far from the edges of the cube of colours, where luma and chroma do not go together.
        image, start = 0.4 + 0.2 * image, 0.4 + 0.2 * start
        found = rgb_to_yiq(begun(Luminance(Pixels.of(image), image).going_on(start)))
        assert_close(found[:, 1:], rgb_to_yiq(image)[:, 1:], atol=1e-5, rtol=0)
        assert_close(found[:, :1], rgb_to_yiq(start)[:, :1], atol=1e-5, rtol=0)

    def test_both_at_once(self, image, start):
        mask = ALL_SEEN.clone()
        mask[..., :14] = 0
        image, start = 0.4 + 0.2 * image, 0.4 + 0.2 * start
        found = begun(Confined(Luminance(Pixels.of(image), image), image, mask).going_on(start))
        assert torch.equal(found[..., :14], image[..., :14])
        assert_close(rgb_to_yiq(found)[:, 1:], rgb_to_yiq(image)[:, 1:], atol=1e-5, rtol=0)
        assert_close(rgb_to_yiq(found)[:, :1, :, 14:], rgb_to_yiq(start)[:, :1, :, 14:], atol=1e-5, rtol=0)
