"""What optimisers take, and the law of L-BFGS: only the direction of an objective counts, not its size."""

import math
from dataclasses import replace

import pytest
import torch
from plans import finished, style_plan
from torch.testing import assert_close

from oneira.errors import PlanError, SynthesisError
from oneira.objectives import TotalVariation
from oneira.synthesis.canvas import Pixels
from oneira.synthesis.loop import Synthesis
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
