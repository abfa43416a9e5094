"""Laws of what an optimiser carries from one size to the next."""

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from plans import LAYER, dream_plan, finished, resumes_equal, style_plan
from torch.testing import assert_close

from oneira.features.encoder import Encoder
from oneira.images import resize
from oneira.objectives import BoundObjective, Dream
from oneira.synthesis.canvas import Pixels
from oneira.synthesis.confined import Confined
from oneira.synthesis.fourier import Fourier
from oneira.synthesis.loop import Synthesis
from oneira.synthesis.luminance import Luminance
from oneira.synthesis.maco import Maco
from oneira.synthesis.momentum import SECOND_MOMENTS, hand_over
from oneira.synthesis.optimisers import OptimiserSpec
from oneira.synthesis.schedules import Mix, Scale, Schedule, octaves

SIZES = ((14, 20), (20, 28))  # of the plan
# Every optimiser that has moments, and all the moments that it can have.
WITH_MOMENTS = {
    "adam": OptimiserSpec("adam", 0.02, {"amsgrad": True}),
    "lecture-adam": OptimiserSpec("lecture-adam", 0.02),
    "sgd": OptimiserSpec("sgd", 0.01),
    "adagrad": OptimiserSpec("adagrad", 0.02),
    "adadelta": OptimiserSpec("adadelta", 1.0),
    "rmsprop": OptimiserSpec("rmsprop", 0.005, {"momentum": 0.5}),
}


def kept_plan(image, **changes):
    """Two sizes, of 6 steps each, without an average."""
    return style_plan(image, **{"averaging": 0.0, "keep_momentum": True, **changes})


def pictures_of(plan):
    return [step.image for step in Synthesis(plan, precision="float32")]


def optimised(spec, picture, gradients):
    """The optimiser of `spec` over a copy of `picture`, after a step along each of the gradients."""
    parameter = picture.clone().requires_grad_()
    optimiser = spec.build([parameter])
    for gradient in gradients:
        parameter.grad = gradient.clone()
        optimiser.step()
    return optimiser


def moments(optimiser):
    return optimiser.state_dict()["state"].get(0, {})


class TestAgainstAdamByHand:
    def adam(self, picture):
        return torch.optim.Adam([picture], lr=0.02, betas=(0.9, 0.99))

    def descend(self, plan, optimiser, picture, steps):
        objective = BoundObjective(plan.objective, Encoder(precision=torch.float32), tuple(picture.shape[2:]))
        for _ in range(steps):
            optimiser.zero_grad()
            objective(picture, None).total.backward()
            optimiser.step()
            with torch.no_grad():
                picture.clamp_(0, 1)

    def test_every_size_begins_with_the_resized_moments_of_the_one_before(self, image):
        plan = kept_plan(image)
        picture = resize(image, SIZES[0]).requires_grad_()
        before = self.adam(picture)
        self.descend(plan, before, picture, 6)
        state = before.state[picture]
        picture = resize(picture.detach(), SIZES[1]).requires_grad_()
        adam = self.adam(picture)
        adam.state[picture] = {
            "step": state["step"],
            "exp_avg": F.interpolate(state["exp_avg"], SIZES[1], mode="bicubic", antialias=True),
            "exp_avg_sq": F.interpolate(state["exp_avg_sq"], SIZES[1], mode="bilinear"),
        }
        self.descend(plan, adam, picture, 1)
        found = pictures_of(plan)[6]
        assert_close(found, picture.detach(), atol=2e-5, rtol=0)
        assert (found - pictures_of(kept_plan(image, keep_momentum=False))[6]).abs().mean() > 1e-3

    def test_not_kept_every_size_begins_anew(self, image):
        plan = kept_plan(image, keep_momentum=False)
        picture = image
        for size in SIZES:
            picture = resize(picture.detach(), size).clone().requires_grad_()
            self.descend(plan, self.adam(picture), picture, 6)
        assert_close(finished(plan), picture.detach(), atol=1e-3, rtol=0)


class TestHandingOver:
    @pytest.mark.parametrize("name", WITH_MOMENTS)
    @given(st.floats(-2, 2).filter(bool), st.tuples(st.integers(1, 30), st.integers(1, 30)))
    def test_constants_resize_to_themselves(self, name, slope, size):
        spec, small = WITH_MOMENTS[name], torch.full((1, 3, 8, 9), 0.5)
        before = optimised(spec, small, [torch.full_like(small, slope)] * 3)
        large = torch.full((1, 3, *size), 0.5)
        after = optimised(spec, large, [])
        hand_over(before, after)
        expected = optimised(spec, large, [torch.full_like(large, slope)] * 3)
        assert moments(after).keys() == moments(expected).keys()
        for key, value in moments(expected).items():
            assert_close(moments(after)[key], value, rtol=1e-4, atol=1e-9)

    @pytest.mark.parametrize("name", WITH_MOMENTS)
    @given(st.integers(0, 1000), st.tuples(st.integers(1, 30), st.integers(1, 30)), st.sampled_from([1e-20, 1.0, 1e10]))
    def test_squares_stay_squares_whatever_they_were(self, name, seed, size, strength):
        spec, generator = WITH_MOMENTS[name], torch.Generator().manual_seed(seed)
        picture = torch.rand(1, 3, 8, 9, generator=generator)
        # Most of it zero: what a cubic would shoot below.
        gradients = [strength * torch.randn(1, 3, 8, 9, generator=generator).relu().pow(4) for _ in range(2)]
        before, after = optimised(spec, picture, gradients), optimised(spec, torch.zeros(1, 3, *size), [])
        hand_over(before, after)
        squares = [value for key, value in moments(after).items() if key in SECOND_MOMENTS]
        assert (name == "sgd") == (not squares)
        assert all(bool((value >= 0).all()) for value in squares)
        (parameter,) = after.param_groups[0]["params"]
        parameter.grad = torch.randn(parameter.shape, generator=generator)
        after.step()
        assert parameter.isfinite().all()

    def test_the_rate_is_the_new_sizes_own(self, image):
        after = OptimiserSpec("adam").build([torch.zeros(1, 3, 4, 5, requires_grad=True)], factor=0.5)
        hand_over(optimised(OptimiserSpec("adam"), image, [image]), after)
        assert after.param_groups[0]["lr"] == 0.01

    @pytest.mark.parametrize(
        "spec",
        [OptimiserSpec("rmsprop", 0.005, {"centered": True}), OptimiserSpec("ascent", 0.01)],
    )
    def test_what_cannot_be_resized_begins_anew(self, spec, image):
        after = optimised(spec, torch.zeros(1, 3, 10, 14), [])
        hand_over(optimised(spec, image, [image]), after)
        assert moments(after) == {}

    def test_adagrad_that_has_not_begun_begins_as_ever(self):
        spec = WITH_MOMENTS["adagrad"]
        after = optimised(spec, torch.zeros(1, 3, 10, 14), [])
        hand_over(optimised(OptimiserSpec("rmsprop", 0.1, {"centered": True}), torch.ones(1, 3, 5, 7), []), after)
        assert_close(moments(after)["sum"], torch.zeros(1, 3, 10, 14))


class TestInTheLoop:
    @pytest.mark.parametrize("name", WITH_MOMENTS)
    def test_kept_or_not_only_later_sizes_differ(self, name, image):
        plans = [kept_plan(image, optimiser=WITH_MOMENTS[name], keep_momentum=keep) for keep in (True, False)]
        kept, anew = map(pictures_of, plans)
        assert all(torch.equal(*pair) for pair in zip(kept[:6], anew[:6], strict=True))
        assert not torch.equal(kept[6], anew[6])
        assert kept[-1].isfinite().all()

    @pytest.mark.parametrize(
        "changes",
        [
            {"optimiser": OptimiserSpec("lbfgs")},
            {"optimiser": OptimiserSpec("ascent", 0.1)},
            {"canvas": Fourier},
            {"canvas": Maco},
            {"schedule": Schedule((Scale(14, 6), Scale(28, 6, Mix(torch.zeros(1, 3, 20, 28)))))},
        ],
        ids=["lbfgs", "ascent", "fourier", "maco", "leg"],
    )
    def test_what_begins_anew_does_so_though_asked_to_keep(self, changes, image):
        changes = {key: value.of(image) if key == "canvas" else value for key, value in changes.items()}
        kept, anew = (finished(kept_plan(image, keep_momentum=keep, **changes)) for keep in (True, False))
        assert torch.equal(kept, anew)

    @pytest.mark.parametrize("wrap", [Luminance, lambda canvas, image: Confined(canvas, image, torch.ones(1, 1, 4, 4))])
    @pytest.mark.parametrize("inner", [Pixels, Fourier])
    def test_wrapped_canvases_keep_what_the_inner_one_can(self, wrap, inner, image):
        canvas = wrap(inner.of(image), image)
        kept, anew = (finished(kept_plan(image, keep_momentum=keep, canvas=canvas)) for keep in (True, False))
        assert torch.equal(kept, anew) == (inner is Fourier)

    def test_sizes_without_steps_hand_on_what_they_were_given(self, image):
        schedule = Schedule((Scale(14, 4), Scale(28, 0), Scale(28, 4)))
        through = finished(kept_plan(image, schedule=schedule))
        straight = finished(kept_plan(image, schedule=Schedule((Scale(14, 4), Scale(28, 4)))))
        assert torch.equal(through, straight)

    @pytest.mark.parametrize("stop", [1, 3, 4, 5, 8, 9, 11])
    @pytest.mark.parametrize("name", ["adam", "sgd", "lbfgs"])
    def test_a_resumed_run_ends_in_the_same_bytes(self, name, stop, image):
        optimiser = WITH_MOMENTS.get(name, OptimiserSpec(name))
        resumes_equal(kept_plan(image, optimiser=optimiser, schedule=octaves(28, count=3, steps=4)), stop)

    @pytest.mark.parametrize("name", ["adam", "adagrad", "sgd"])
    def test_stopped_after_a_change_of_size_and_before_its_first_step_nothing_is_lost(self, name, image, monkeypatch):
        plan = kept_plan(image, optimiser=WITH_MOMENTS[name], averaging=0.5)
        bind, first = Synthesis._bind, Synthesis(plan, seed=7, precision="float32")

        def stops(synthesis, size):
            if size == SIZES[1]:
                raise KeyboardInterrupt
            return bind(synthesis, size)

        with monkeypatch.context() as patch:
            patch.setattr(Synthesis, "_bind", stops)
            with pytest.raises(KeyboardInterrupt):
                list(first)
        state = first.state()
        assert (state["scale"], state["index"]) == (1, 0)
        second = Synthesis(plan, seed=7, precision="float32")
        second.restore(state)
        assert len(list(second)) == 6
        assert torch.equal(second.image, finished(plan, seed=7))

    def test_a_run_that_has_begun_can_be_set_back(self, image):
        plan = kept_plan(image)
        synthesis = Synthesis(plan, seed=7, precision="float32")
        steps = iter(synthesis)
        next(steps)
        other = Synthesis(plan, seed=7, precision="float32")
        for step in other:
            if step.done == 4:
                synthesis.restore(other.state())
                break
        assert [step.done for step in synthesis] == list(range(5, 13))
        assert torch.equal(synthesis.image, finished(plan, seed=7))

    def test_jitter_and_detail_go_with_it(self, image):
        plan = dream_plan(image, objective=Dream(LAYER), optimiser=OptimiserSpec("sgd", 0.005), keep_momentum=True)
        resumes_equal(plan, 5)
        assert finished(plan).isfinite().all()
