"""What optimisers take, and the law of L-BFGS: only the direction of an objective counts, not its size."""

import math
from dataclasses import replace

import pytest
import scipy.optimize
import torch
from hypothesis import given
from hypothesis import strategies as st
from plans import finished, resumes_equal, style_plan
from torch.testing import assert_close

from oneira.errors import PlanError, SynthesisError
from oneira.objectives import TotalVariation
from oneira.synthesis.augmentation import Jitter
from oneira.synthesis.canvas import Pixels
from oneira.synthesis.confined import Confined
from oneira.synthesis.fourier import Fourier
from oneira.synthesis.loop import Synthesis
from oneira.synthesis.luminance import Luminance
from oneira.synthesis.optimisers import OPTIMISERS, OptimiserSpec
from oneira.synthesis.schedules import Scale, Schedule, single


def lbfgs_plan(image, factor=1.0, steps=12, **changes):
    plan = style_plan(image, schedule=single(28, steps), optimiser=OptimiserSpec("lbfgs"), averaging=0.0)
    return replace(plan, **{"objective": factor * plan.objective, **changes})


class TestOptions:
    @pytest.mark.parametrize("name", OPTIMISERS)
    def test_what_it_takes_is_taken(self, name):
        values = {"history_size": 3, "betas": (0.5, 0.6), "eps": 1e-3, "momentum": 0.3}
        options = {option: value for option, value in values.items() if option in OptimiserSpec(name).takes}
        assert options
        group = OptimiserSpec(name, 0.1, options).build([torch.zeros(1, requires_grad=True)]).param_groups[0]
        assert {option: group[option] for option in options} == options
        assert group["lr"] == 0.1

    @pytest.mark.parametrize(
        ("name", "options", "says"),
        [
            ("adam", {"beta": (0.9, 0.9)}, r"option of adam 'beta'; did you mean 'betas'\?: betas, eps, "),
            ("lbfgs", {"histroy_size": 3}, "did you mean 'history_size'"),
            ("lbfgs", {"betas": (0.9, 0.9)}, "max_iter, .*history_size"),
            ("ascent", {"lr": 3}, "unknown option of ascent 'lr'"),
            ("adam", {"maximize": True}, "unknown option of adam 'maximize'"),
            ("adam", {"betas": (2.0, 0.9)}, r"adam refuses .*: Invalid beta parameter at index 0: 2.0"),
            ("adam", {"betas": 0.9}, r"adam refuses \{'betas': 0.9\}"),
            ("adam", {"foreach": True}, "adam refuses"),  # beside `fused`, which is set already
        ],
    )
    def test_others_are_told_in_one_line(self, name, options, says):
        with pytest.raises(PlanError, match=says) as caught:
            OptimiserSpec(name, options=options)
        assert "\n" not in str(caught.value)


class TestRelativeLBFGS:
    @pytest.mark.parametrize("exponent", [-60, -13, 7])
    def test_a_power_of_two_changes_no_bit(self, exponent, image):
        expected = finished(lbfgs_plan(image))
        assert (expected - image).abs().mean() > 0.02
        assert torch.equal(finished(lbfgs_plan(image, 2.0**exponent)), expected)

    @pytest.mark.parametrize("factor", [1e-4, 1e-10, 1e3])
    def test_another_factor_changes_nothing_but_roundings(self, factor, image):
        expected = finished(lbfgs_plan(image))
        assert_close(finished(lbfgs_plan(image, factor)), expected, atol=1e-3, rtol=0)

    def test_nor_does_it_where_a_line_is_searched_for_lower_losses(self, image):
        wolfe = OptimiserSpec("lbfgs", options={"line_search_fn": "strong_wolfe", "max_iter": 3})
        one, other = (finished(lbfgs_plan(image, 2.0**exponent, 4, optimiser=wolfe)) for exponent in (0, -13))
        assert torch.equal(one, other)

    def test_no_threshold_ends_it_where_little_is_left_to_gain(self):
        picture = torch.zeros(2, dtype=torch.float64, requires_grad=True)
        optimiser = OptimiserSpec("lbfgs").build([picture])
        slopes = []

        def closure():
            optimiser.zero_grad()
            loss = (picture[0] - 1).square() + 1e-9 * (picture[1] - 1).square()
            loss.backward()
            slopes.append(picture.grad.abs().max().item())
            return loss

        for _ in range(12):
            optimiser.step(closure)
        # By torch's thresholds, both values would stay from the third step on.
        assert slopes == sorted(set(slopes), reverse=True)

    def test_the_loss_is_told_as_it_is(self, image):
        one, other = ([step.loss for step in Synthesis(lbfgs_plan(image, factor))] for factor in (1.0, 2.0**-13))
        assert [2.0**-13 * loss for loss in one] == other

    def test_where_torchs_own_figures_hold_it_is_torchs_own(self, image):
        found, target = [], 1 - image
        for builder, options in (OPTIMISERS["lbfgs"], (torch.optim.LBFGS, {"lr": 1.0, "max_iter": 1})):
            picture = image.clone().requires_grad_()
            optimiser = builder([picture], **{**options, "history_size": 10})

            def closure(picture=picture, optimiser=optimiser):
                optimiser.zero_grad()
                loss = 1000 * ((picture - target).square() * target).sum() + (picture - target).abs().pow(3).sum()
                loss.backward()
                return loss

            for _ in range(6):
                optimiser.step(closure)
            found.append(picture.detach())
        assert torch.equal(*found)
        assert (found[0] - image).abs().mean() > 0.1

    @pytest.mark.parametrize("tolerance", [0.0, -1.0])
    def test_a_gradient_of_zero_moves_nothing_and_poisons_nothing(self, tolerance):
        picture = torch.zeros(4, requires_grad=True)
        optimiser = OptimiserSpec("lbfgs", options={"tolerance_grad": tolerance}).build([picture])
        slope = torch.zeros(4)

        def closure():
            optimiser.zero_grad()
            loss = (slope * picture).sum() + 1e-6 * (slope * picture.square()).sum()
            loss.backward()
            return loss

        for _ in range(3):
            optimiser.step(closure)
        assert torch.equal(picture.detach(), torch.zeros(4))
        slope += torch.arange(4.0)
        for _ in range(3):
            optimiser.step(closure)
        moved = picture.detach().clone()
        assert moved.isfinite().all()
        assert moved[3] < moved[1] < 0
        slope.zero_()
        for _ in range(3):
            optimiser.step(closure)
        assert picture.isfinite().all()

    def test_a_gradient_too_small_for_its_inverse_stays_finite(self):
        picture = torch.zeros(4, requires_grad=True)
        optimiser = OptimiserSpec("lbfgs").build([picture])

        def closure():
            optimiser.zero_grad()
            loss = picture.sum() * 1e-42
            loss.backward()
            return loss

        for _ in range(3):
            optimiser.step(closure)
        assert picture.isfinite().all()
        assert math.isfinite(optimiser.state_dict()["state"][0]["factor"])

    def test_a_flat_picture_without_gradient_is_said_or_goes_on_where_there_is_one(self, image):
        flat = Pixels.of(torch.full((1, 3, 20, 28), 0.5))
        with pytest.raises(SynthesisError, match="its gradient is zero, here and at every size"):
            list(Synthesis(lbfgs_plan(image, objective=TotalVariation(), canvas=flat)))
        schedule = Schedule((Scale(28, 2, objective=TotalVariation()), Scale(28, 4)))
        synthesis = Synthesis(lbfgs_plan(image, canvas=flat, schedule=schedule), precision="float32")
        steps = list(synthesis)
        assert "gradient is zero" in steps[0].note
        assert synthesis.image.isfinite().all()
        assert steps[-1].loss < steps[2].loss


def bounded_minimum(function, start: torch.Tensor, steps: int) -> tuple[torch.Tensor, list[float]]:
    """Where `lbfgs-b` comes to, and the losses on its way; all within bounds."""
    values = start.clone().requires_grad_()
    optimiser = OptimiserSpec("lbfgs-b").build([values])
    losses = []

    def closure():
        optimiser.zero_grad()
        loss = function(values)
        loss.backward()
        losses.append(loss.item())
        return loss

    for _ in range(steps):
        optimiser.step(closure)
        assert values.min() >= 0
        assert values.max() <= 1
    return values.detach(), losses


def scipy_minimum(function, start: torch.Tensor) -> torch.Tensor:
    def with_gradient(numbers):
        values = torch.tensor(numbers).requires_grad_()
        loss = function(values)
        loss.backward()
        return loss.item(), values.grad.numpy()

    limits = {"bounds": [(0, 1)] * start.numel(), "options": {"ftol": 1e-15, "gtol": 1e-10}}
    found = scipy.optimize.minimize(with_gradient, start.numpy(), jac=True, method="L-BFGS-B", **limits)
    return torch.tensor(found.x)


def rosenbrock(values: torch.Tensor) -> torch.Tensor:
    """On [-1, 0.8]: the free minimum, 1 everywhere, lies outside."""
    z = 1.8 * values - 1
    return (100 * (z[1:] - z[:-1].square()).square() + (1 - z[:-1]).square()).sum()


class TestBoundedLBFGS:
    @given(st.lists(st.floats(-2, 3), min_size=1, max_size=12), st.floats(0, 2))
    def test_a_separable_square_ends_at_the_nearest_point_within_bounds(self, target, spread):
        wanted = torch.tensor(target, dtype=torch.float64)
        stiffness = torch.logspace(0, spread, len(target), dtype=torch.float64)
        start = torch.full_like(wanted, 0.5)
        found, _ = bounded_minimum(lambda x: (stiffness * (x - wanted).square()).sum(), start, 60)
        assert_close(found, wanted.clamp(0, 1), atol=1e-3, rtol=0)

    @pytest.mark.parametrize("seed", range(4))
    @pytest.mark.parametrize("decades", [1, 3])
    def test_squares_whose_values_depend_on_each_other_end_where_scipys_l_bfgs_b_does(self, seed, decades):
        generator = torch.Generator().manual_seed(seed)
        wanted = 0.5 + torch.randn(40, generator=generator, dtype=torch.float64)
        turned, _ = torch.linalg.qr(torch.randn(40, 40, generator=generator, dtype=torch.float64))
        hessian = turned * torch.logspace(0, decades, 40, dtype=torch.float64) @ turned.mT
        start = torch.full((40,), 0.5, dtype=torch.float64)

        def square(values):
            return (values - wanted) @ hessian @ (values - wanted)

        found, _ = bounded_minimum(square, start, 120)
        expected = scipy_minimum(square, start)
        assert (expected == 0).any()
        assert (expected == 1).any()
        assert ((expected > 0) & (expected < 1)).any()
        assert_close(found, expected, atol=1e-3, rtol=0)

    @pytest.mark.parametrize("count", [2, 10])
    def test_so_does_rosenbrocks_valley_when_its_end_is_out_of_bounds(self, count):
        start = torch.full((count,), 0.3, dtype=torch.float64)
        found, _ = bounded_minimum(rosenbrock, start, 150)
        expected = scipy_minimum(rosenbrock, start)
        assert (expected == 1).any()
        assert_close(found, expected, atol=1e-3, rtol=0)

    def test_where_no_bound_is_met_it_is_lbfgs(self):
        def square(values):
            return ((values - 0.4).square() * torch.arange(1.0, 9.0)).sum() + (values - 0.4).pow(4).sum()

        start = torch.linspace(0.3, 0.7, 8)
        values = start.clone().requires_grad_()
        optimiser = OptimiserSpec("lbfgs").build([values])

        def closure():
            optimiser.zero_grad()
            loss = square(values)
            loss.backward()
            return loss

        for _ in range(5):
            optimiser.step(closure)
        found, _ = bounded_minimum(square, start, 5)
        assert (found - start).abs().max() > 0.05
        assert_close(found, values.detach(), atol=1e-5, rtol=0)

    def test_what_is_held_at_a_bound_is_free_again_when_descent_leads_inwards(self):
        # The first value is pushed out of bounds until the second has moved.
        def square(values):
            return (values[0] - 2 * values[1] + 0.5).square() + 0.5 * (values[1] - 1).square()

        start = torch.tensor([0.0, 0.0], dtype=torch.float64)
        found, losses = bounded_minimum(square, start, 60)
        assert_close(found, scipy_minimum(square, start), atol=1e-4, rtol=0)
        assert found[0] > 0.5
        assert losses[-1] < losses[0]

    def test_where_all_is_held_nothing_moves_until_something_is_free(self):
        values = torch.tensor([0.0, 1.0, 0.5], dtype=torch.float64).requires_grad_()
        optimiser = OptimiserSpec("lbfgs-b").build([values])
        slope = torch.tensor([1.0, -1.0, 0.0], dtype=torch.float64)

        def closure():
            optimiser.zero_grad()
            loss = (slope * values).sum() + 0.5 * (slope * values).square().sum()
            loss.backward()
            return loss

        for _ in range(3):
            optimiser.step(closure)
        assert values.tolist() == [0.0, 1.0, 0.5]
        slope[2] = 1.0
        for _ in range(40):
            optimiser.step(closure)
        assert_close(values.detach(), torch.tensor([0.0, 1.0, 0.0], dtype=torch.float64), atol=1e-4, rtol=0)

    @pytest.mark.parametrize("exponent", [-60, -13, 7])
    def test_a_power_of_two_changes_no_bit(self, exponent, image):
        bounded = {"optimiser": OptimiserSpec("lbfgs-b")}
        expected = finished(lbfgs_plan(image, **bounded))
        assert ((expected == 0) | (expected == 1)).any()
        assert (expected - image).abs().mean() > 0.02
        assert torch.equal(finished(lbfgs_plan(image, 2.0**exponent, **bounded)), expected)

    @pytest.mark.parametrize("stop", [1, 5, 9])
    def test_a_resumed_run_ends_in_the_same_bytes(self, stop, image):
        resumes_equal(style_plan(image, optimiser=OptimiserSpec("lbfgs-b"), averaging=0.0), stop)

    def test_it_is_for_canvases_whose_parameters_are_a_pictures_values(self, image):
        spec, mask = OptimiserSpec("lbfgs-b"), torch.ones(1, 1, 20, 28)
        assert spec.searches
        for canvas in (Confined(Pixels.of(image), image, mask), Luminance(Pixels.of(image), image)):
            picture = finished(style_plan(image, canvas=canvas, optimiser=spec, averaging=0.0))
            assert (picture - image).abs().mean() > 0.01
        for canvas in (Fourier(20, 28), replace(Pixels.of(image), clamp=False), Confined(Fourier(20, 28), image, mask)):
            with pytest.raises(PlanError, match=f"clamped Pixels, not what a canvas of {type(canvas).__name__} holds"):
                style_plan(image, canvas=canvas, optimiser=spec)
        with pytest.raises(PlanError, match="lbfgs-b compares losses of one and the same picture"):
            style_plan(image, optimiser=spec, augmentation=(Jitter(2),))
