"""Legs that begin as the first one did, and what their ends are kept as."""

from dataclasses import replace

import pytest
import torch
from networks import TINY
from plans import finished, resumes_equal
from torch.testing import assert_close

from oneira.errors import CheckpointError, PlanError
from oneira.features.encoder import Encoder
from oneira.images import resize
from oneira.objectives import BoundObjective, Content, TotalVariation
from oneira.synthesis.augmentation import Jitter
from oneira.synthesis.canvas import Pixels
from oneira.synthesis.carrying import Anew
from oneira.synthesis.checkpoints import load_checkpoint, save_checkpoint
from oneira.synthesis.fourier import Fourier
from oneira.synthesis.loop import Synthesis
from oneira.synthesis.optimisers import OptimiserSpec
from oneira.synthesis.plan import Plan
from oneira.synthesis.schedules import Scale, Schedule, journey, octaves, single

LAYERS = (f"{TINY}:relu1", f"{TINY}:relu2", f"{TINY}:relu3")
NAMES = ("one", "two", "three")
CANVASES = {
    "pixels": Pixels.of,
    "white noise": lambda image: Pixels(image, "white"),
    "pink noise": lambda image: Pixels(image, "pink"),
    "a spectrum": lambda image: Fourier(height=20, width=28),
    "a picture's spectrum": Fourier.of,
}
EVERY_CANVAS = pytest.mark.parametrize("canvas", CANVASES.values(), ids=CANVASES)
NOISE = pytest.mark.parametrize("canvas", [CANVASES[name] for name in ("white noise", "pink noise", "a spectrum")])


def objectives(image):
    return [Content(image, layer, "relative") + 0.1 * TotalVariation() for layer in LAYERS]


def legs_plan(image, canvas=Pixels.of, steps=(3, 2), size=28, **changes):
    """A leg for every layer, of as many scales as there are numbers of steps; each begins anew."""
    once = Schedule(tuple(Scale(size, count) for count in steps))
    legs = [
        once.leg(name, begins=Anew() if number else None, objective=objective)
        for number, (name, objective) in enumerate(zip(NAMES, objectives(image), strict=True))
    ]
    options = {"optimiser": OptimiserSpec("adam", 0.02), "collects": True, **changes}
    return Plan(canvas(image), objectives(image)[0], journey(legs), **options)


def run(plan, **options):
    synthesis = Synthesis(plan, precision="float32", **options)
    steps = [(step, step.image if step.index == 1 or step.stage else None) for step in synthesis]
    return synthesis, steps


def starts_of(plan, **options):
    """What every leg begins with, as long as its first step is a tiny one."""
    slow = replace(plan, optimiser=OptimiserSpec("adam", 1e-6))
    per_leg = len(plan.schedule.scales) // len(NAMES)
    return [image for step, image in run(slow, **options)[1] if step.index == 1 and step.scale % per_leg == 0]


@EVERY_CANVAS
@pytest.mark.parametrize("stop", [2, 5, 6, 8, 10, 14])
def test_a_run_resumes_to_the_same_bytes_in_every_leg_and_between_them(stop, canvas, image):
    resumes_equal(legs_plan(image, canvas), stop)


@pytest.mark.parametrize("stop", [4, 7])
def test_so_it_does_with_jitter_averages_and_sizes(stop, image):
    once = octaves(28, count=2, steps=2, carry="detail")
    schedule = journey([once.leg("one"), once.leg("two", begins=Anew())])
    options = {"augmentation": (Jitter(3),), "averaging": 0.5, "keep_momentum": True, "collects": True}
    objective = Content(image, LAYERS[1], "relative")
    resumes_equal(Plan(Pixels(image, "white"), objective, schedule, **options), stop)


@pytest.mark.parametrize("canvas", [CANVASES["pixels"], CANVASES["a picture's spectrum"]])
def test_every_leg_begins_with_the_plans_own_start(canvas, image):
    # A spectrum holds values between 0.005 and 0.995 only.
    for start in starts_of(legs_plan(image, canvas)):
        assert_close(start, image, atol=6e-3, rtol=0)


@NOISE
def test_every_leg_has_noise_of_its_own_drawn_from_the_seed(canvas, image):
    plan = legs_plan(image, canvas)
    starts = starts_of(plan, seed=3)
    spread = starts[0].std()
    assert all((one - other).std() > 0.5 * spread for one, other in zip(starts, [*starts[1:], starts[0]], strict=True))
    assert all(map(torch.equal, starts, starts_of(plan, seed=3)))
    assert not any(map(torch.equal, starts, starts_of(plan, seed=4)))


def test_a_leg_is_the_run_that_it_would_be_alone(image):
    """Nothing of the legs before is left, the optimiser's moments no more than the picture."""
    outcomes = run(legs_plan(image, keep_momentum=True))[0].outcomes
    for name, objective in zip(NAMES, objectives(image), strict=True):
        schedule = Schedule((Scale(28, 3), Scale(28, 2)))
        options = {"optimiser": OptimiserSpec("adam", 0.02), "keep_momentum": True}
        alone = finished(Plan(Pixels.of(image), objective, schedule, **options))
        assert torch.equal(outcomes[name].image, alone)


def test_at_every_size_of_a_leg_detail_is_what_was_added_to_the_plans_own_start(image):
    once = octaves(28, count=2, steps=0, carry="detail")
    plan = Plan(
        Pixels.of(image), Content(image, LAYERS[0]), journey([once.leg("1"), single(28, 1), once.leg(begins=Anew())])
    )
    assert_close(finished(plan), image)


@EVERY_CANVAS
def test_outcomes_are_the_pictures_and_their_losses(canvas, image):
    plan = legs_plan(image, canvas, averaging=0.5)
    synthesis, steps = run(plan)
    assert list(synthesis.outcomes) == list(NAMES)
    assert torch.equal(synthesis.outcomes["three"].image, synthesis.image)
    ends = {step.stage: (step, shown) for step, shown in steps if step.stage}
    for name, objective in zip(NAMES, objectives(image), strict=True):
        outcome, (step, shown) = synthesis.outcomes[name], ends[name]
        assert torch.equal(outcome.image, shown)
        losses = BoundObjective(objective, Encoder(), (20, 28))(shown).by_term
        assert outcome.losses == {term: pytest.approx(float(loss)) for term, loss in losses.items()}
        assert list(outcome.losses) == ["content", "tv"]
        # A step tells the losses before it.
        assert outcome.losses["content"] != step.losses["content"]


def test_values_that_no_picture_holds_are_clamped_before_they_are_judged(image):
    plan = legs_plan(
        image, lambda image: Pixels(image, "white", clamp=False), optimiser=OptimiserSpec("adam", 0.5), steps=(2,)
    )
    synthesis, _ = run(plan)
    assert synthesis.state()["parameters"][0].abs().max() > 1.2
    outcome = synthesis.outcomes["three"]
    losses = BoundObjective(objectives(image)[2], Encoder(), (20, 28))(outcome.image).by_term
    assert 0 <= outcome.image.min() <= outcome.image.max() <= 1
    assert outcome.losses["content"] == pytest.approx(float(losses["content"]))


def test_outcomes_are_there_as_soon_as_their_stage_is_done_and_stay_as_they_are(image):
    synthesis, seen = Synthesis(legs_plan(image), precision="float32"), {}
    for step in synthesis:
        assert list(synthesis.outcomes) == list(NAMES[: step.done // 5])
        if step.stage:
            seen[step.stage] = synthesis.outcomes[step.stage].image.clone()
    assert all(torch.equal(synthesis.outcomes[name].image, seen[name]) for name in NAMES)


def test_a_plan_that_does_not_collect_keeps_none(image):
    synthesis, steps = run(legs_plan(image, collects=False))
    assert [step.stage for step, _ in steps if step.stage] == list(NAMES)
    assert dict(synthesis.outcomes) == {}
    assert synthesis.state()["outcomes"] == {}


def test_what_has_no_name_is_not_kept(image):
    plan = Plan(Pixels.of(image), Content(image, LAYERS[0]) + TotalVariation(), single(28, 1), collects=True)
    assert dict(run(plan)[0].outcomes) == {}


def test_collecting_changes_no_picture(image):
    noise = CANVASES["white noise"]
    assert torch.equal(finished(legs_plan(image, noise)), finished(legs_plan(image, noise, collects=False)))


@pytest.mark.parametrize("stop", [4, 5, 11, 15])
def test_outcomes_survive_a_stop(stop, image, tmp_path):
    plan = legs_plan(image, CANVASES["white noise"])
    whole, _ = run(plan, seed=7)
    first = Synthesis(plan, seed=7, precision="float32")
    for step in first:
        if step.done == stop:
            save_checkpoint(tmp_path / "checkpoint", first.state())
            break
    second = Synthesis(plan, seed=7, precision="float32")
    second.restore(load_checkpoint(tmp_path / "checkpoint")[0])
    assert list(second.outcomes) == list(NAMES[: stop // 5])
    for _ in second:
        pass
    assert list(second.outcomes) == list(NAMES)
    for name in NAMES:
        assert torch.equal(second.outcomes[name].image, whole.outcomes[name].image)
        assert second.outcomes[name].losses == whole.outcomes[name].losses


def test_a_state_without_them_is_damaged(image):
    synthesis = Synthesis(legs_plan(image), precision="float32")
    state = {name: value for name, value in synthesis.state().items() if name != "outcomes"}
    with pytest.raises(CheckpointError, match=r"^the checkpoint is damaged \('outcomes'\); start without it$"):
        synthesis.restore(state)


def test_whether_it_collects_and_how_legs_begin_are_what_a_checkpoint_must_agree_with(image):
    on, anew = (journey([single(28, 2), single(28, 2).leg("b", begins=begins)]) for begins in (None, Anew()))
    plan = Plan(Pixels.of(image), Content(image, LAYERS[0]), on)
    others = (replace(plan, schedule=anew), replace(plan, collects=True))
    assert len({each.fingerprint for each in (plan, *others)}) == 3


def test_two_stages_of_one_name_cannot_both_be_kept(image):
    twice = journey([single(28, 1).leg("a"), single(28, 1).leg("a", begins=Anew())])
    with pytest.raises(PlanError, match=r"^what a stage ends with is kept .* two are called 'a': name each once$"):
        Plan(Pixels.of(image), Content(image, LAYERS[0]), twice, collects=True)
    Plan(Pixels.of(image), Content(image, LAYERS[0]), twice)


def test_in_half_precision_too_the_losses_are_those_of_the_picture(image):
    other = resize(image.flip(-1), (20, 28))
    plan = Plan(Pixels.of(other), Content(image, LAYERS[0]), single(28, 2).leg("end"), collects=True)
    synthesis = Synthesis(plan, precision="bfloat16")
    for _ in synthesis:
        pass
    exact = BoundObjective(plan.objective, Encoder(), (20, 28))(synthesis.image).total
    assert synthesis.outcomes["end"].losses["content"] == pytest.approx(float(exact), rel=0.03)
