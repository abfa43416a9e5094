"""Laws of the loop: it descends, repeats itself, stops, goes on, and survives numbers that are not."""

import copy

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from networks import tiny_network
from plans import LAYER, dream_plan, finished, resumes_equal, style_plan
from torch import nn

from oneira import register_backbone
from oneira.errors import CheckpointError, PlanError, SynthesisError
from oneira.objectives import Dream, Masked, Style, TotalVariation
from oneira.synthesis.augmentation import Jitter, Pad, Rotate, Scale
from oneira.synthesis.canvas import Pixels
from oneira.synthesis.fourier import Fourier
from oneira.synthesis.loop import Synthesis, synthesize
from oneira.synthesis.optimisers import OPTIMISERS, OptimiserSpec
from oneira.synthesis.plan import Plan
from oneira.synthesis.schedules import octaves, single
from oneira.synthesis.shaping import LaplacianPyramid, MeanAbs, Std

RATES = {"ascent": 0.5}  # others have usual rates of their own


@pytest.mark.parametrize(
    ("canvas", "name"),
    [(Pixels.of, name) for name in OPTIMISERS]
    + [(Fourier.of, name) for name in OPTIMISERS if not OptimiserSpec(name).bounds],  # no coefficient has bounds
)
def test_every_optimiser_goes_down_on_every_canvas(name, canvas, image):
    plan = style_plan(
        image,
        canvas=canvas(torch.rand(1, 3, 20, 28, generator=torch.Generator().manual_seed(1))),
        schedule=single(28, 15),
        optimiser=OptimiserSpec(name, RATES.get(name)),
    )
    losses = [step.loss for step in synthesize(plan, precision="float32")]
    assert losses[-1] < losses[0]


def test_steps_tell_where_they_are(image):
    steps = list(synthesize(dream_plan(image)))
    assert [s.done for s in steps] == list(range(1, 13))
    assert {s.total for s in steps} == {12}
    assert [(s.scale, s.index) for s in steps[3:5]] == [(0, 4), (1, 1)]
    assert [s.size for s in steps[::4]] == [(10, 14), (14, 20), (20, 28)]
    assert set(steps[0].losses) == {"dream"}


@pytest.mark.parametrize("plan", [style_plan, dream_plan])
def test_the_same_seed_makes_the_same_bytes_and_the_image_is_an_image(plan, image):
    one, two = finished(plan(image), seed=4), finished(plan(image), seed=4)
    assert torch.equal(one, two)
    assert one.shape == image.shape
    assert one.dtype == torch.float32
    assert 0 <= one.min() <= one.max() <= 1


def test_another_seed_makes_another_dream(image):
    assert not torch.equal(finished(dream_plan(image), seed=1), finished(dream_plan(image), seed=2))


@settings(max_examples=12)
@given(stop=st.integers(1, 11), name=st.sampled_from(["adam", "lbfgs", "rmsprop", "sgd"]))
def test_a_resumed_run_ends_in_the_same_bytes(stop, name):
    image = torch.rand(1, 3, 20, 28, generator=torch.Generator().manual_seed(5))
    plan = style_plan(image, optimiser=OptimiserSpec(name, 0.02))
    resumes_equal(plan, stop)


@pytest.mark.parametrize("stop", [1, 4, 5, 11])
@pytest.mark.parametrize("canvas", [Pixels.of, Fourier.of, lambda image: Pixels.grey(20, 28, "pink")])
def test_a_resumed_dream_ends_in_the_same_bytes(stop, canvas, image):
    resumes_equal(dream_plan(image, canvas=canvas(image)), stop)


def test_a_checkpoint_of_other_settings_is_refused(image):
    synthesis = Synthesis(style_plan(image))
    next(iter(synthesis))
    state = synthesis.state()
    for other in (Synthesis(style_plan(image, averaging=0.0)), Synthesis(style_plan(image), seed=1)):
        with pytest.raises(CheckpointError, match="other settings"):
            other.restore(state)
    with pytest.raises(CheckpointError, match="damaged"):
        Synthesis(style_plan(image)).restore({**state, "parameters": []})


def test_closing_the_generator_stops(image):
    plan = poisoned_plan(image, at=99)
    count = poisoned_plan.count
    steps = synthesize(plan)
    next(steps)
    calls = count.calls
    steps.close()
    assert list(steps) == []
    assert count.calls == calls > 0


def test_one_state_can_be_gone_on_from_twice(image):
    plan = style_plan(image)
    first = Synthesis(plan, seed=7, precision="float32")
    for step in first:
        if step.done == 3:
            state = first.state()
            break
    ends = []
    for _ in range(2):
        again = Synthesis(plan, seed=7, precision="float32")
        again.restore(state)
        for _ in again:
            pass
        ends.append(again.image)
    assert torch.equal(*ends)


@pytest.mark.parametrize("stop", [2, 3, 4])
def test_a_run_that_was_rescued_resumes_to_the_same_bytes(stop, image):
    def run(resume_from=None):
        plan = poisoned_plan(image, at=4)
        synthesis = Synthesis(plan)
        if resume_from is not None:
            synthesis.restore(resume_from)
            poisoned_plan.count.calls = stop if stop < 4 else stop + 1  # the second try is a call of its own
        state = None
        for step in synthesis:
            if step.done == stop:
                state = synthesis.state()
                if resume_from is None:
                    state = copy.deepcopy(state)
        return synthesis.image, state

    whole, state = run()
    assert torch.equal(run(state)[0], whole)


def test_an_average_forgets_the_iterate_that_was_thrown_away(image):
    plan = style_plan(image, schedule=single(28, 3), optimiser=OptimiserSpec("lbfgs", 1e30), averaging=0.9)
    synthesis = Synthesis(plan, precision="float32")
    with pytest.raises(SynthesisError):
        list(synthesis)
    torch.testing.assert_close(synthesis.image, image)


def test_a_step_of_mean_abs_ascent_is_google_deepdreams(image):
    # g = d(1/2 sum a^2)/dx; x += rate / mean|g| * g; clipped to the data's range. Averaging drops out.
    from oneira.features.preprocessing import IMAGENET

    x = image.clone().requires_grad_()
    features = IMAGENET(x)
    for name, module in tiny_network().named_children():
        features = module(features)
        if name == "relu2":
            break
    (g,) = torch.autograd.grad(features.square().sum() / 2, x)
    expected = (image + 0.02 / g.abs().mean() * g).clamp(0, 1)
    plan = dream_plan(image, schedule=single(28, 1), augmentation=())
    torch.testing.assert_close(finished(plan), expected)


def test_detail_carries_up_what_was_added_and_nothing_else(image):
    # With no steps at all nothing is added, so that the fine picture is the start itself, not an upscaled small one.
    plan = dream_plan(image, schedule=octaves(28, count=3, steps=0, carry="detail"))
    torch.testing.assert_close(finished(plan), image, atol=1e-6, rtol=0)
    blurred = finished(dream_plan(image, schedule=octaves(28, count=3, steps=0, carry="result")))
    assert (blurred - image).abs().mean() > 0.05


def test_a_masked_dream_stays_where_it_belongs_though_the_picture_is_jittered(image):
    mask = torch.zeros(1, 1, 20, 28)
    mask[..., :10] = 1
    plan = dream_plan(image, objective=Masked(mask, Dream(LAYER)), schedule=single(28, 6))
    changed = (finished(plan) - image).abs().amax((0, 1, 2))
    assert changed[:8].min() > 0.01
    # As far as two convolutions and a pool see, to the right and, around the border, to the left.
    assert changed[14:24].max() == 0


def test_the_average_of_iterates_is_the_debiased_exponential_one(image):
    plan = style_plan(image, schedule=single(28, 5), averaging=0.7)
    iterates, total = [], torch.zeros_like(image)
    for step in synthesize(style_plan(image, schedule=single(28, 5), averaging=0.0), precision="float32"):
        iterates.append(step.image)
    for iterate in iterates:
        total = 0.7 * total + 0.3 * iterate
    torch.testing.assert_close(finished(plan), total / (1 - 0.7**5), atol=1e-5, rtol=0)


class Count:
    """Survives the copying of the module that holds it."""

    def __init__(self):
        self.calls = 0

    def __deepcopy__(self, memo):
        return self


class Poisoned(nn.Module):
    """Passes activations on, and at the call told, or ever after, NaN instead."""

    def __init__(self, at, always=False):
        super().__init__()
        self.at, self.always, self.count = at, always, Count()

    def forward(self, features):
        self.count.calls += 1
        bad = self.count.calls >= self.at if self.always else self.count.calls == self.at
        return features * float("nan") if bad else features


def poisoned_plan(image, **options):
    network = tiny_network()
    poison = Poisoned(**options)
    network.add_module("poison", poison)
    poisoned_plan.count = poison.count
    register_backbone("poisoned", network)
    return Plan(
        Pixels.of(image),
        Dream("poisoned:poison"),
        single(28, 8),
        optimiser=OptimiserSpec("ascent", 0.02),
        shaping=(Std(),),
    )


def test_a_loss_that_is_not_finite_is_survived_once_and_said(image):
    steps = list(synthesize(poisoned_plan(image, at=4)))
    assert len(steps) == 8
    assert [s.done for s in steps if s.note] == [4]
    assert "float32" in steps[3].note
    assert steps[-1].image.isfinite().all()


def test_a_loss_that_stays_not_finite_stops_with_the_last_good_picture(image):
    synthesis = Synthesis(poisoned_plan(image, at=4, always=True))
    with pytest.raises(SynthesisError, match=r"step 4 .* smaller rate"):
        list(synthesis)
    assert synthesis.image.isfinite().all()
    assert not torch.equal(synthesis.image, image)


@settings(max_examples=25)
@given(
    shape=st.tuples(st.integers(6, 40), st.integers(6, 40)),
    augmentation=st.lists(st.sampled_from([Jitter(3), Pad(2), Scale(), Rotate(), Pad(3, None)]), max_size=3),
    shaping=st.sampled_from([(), (MeanAbs(),), (Std(),), (LaplacianPyramid(3),)]),
    fourier=st.booleans(),
    flat=st.booleans(),
)
def test_any_plan_ends_finite(shape, augmentation, shaping, fourier, flat):
    start = torch.full((1, 3, *shape), 0.5) if flat else torch.rand(1, 3, *shape)
    plan = Plan(
        (Fourier if fourier else Pixels).of(start),
        Dream(LAYER) + Style(start, LAYER, ("gram", "moments", "wasserstein")) + 0.1 * TotalVariation(1.5),
        octaves(max(shape), count=2, steps=2),
        tuple(augmentation),
        OptimiserSpec("adam", 0.05),
        shaping,
        averaging=0.5,
    )
    result = finished(plan)
    assert result.isfinite().all()
    assert result.shape == start.shape


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda image: OptimiserSpec("adm"), "did you mean 'adam'"),
        (lambda image: OptimiserSpec("adam", 0.0), "above 0"),
        (lambda image: octaves(100, steps=3), "smallest size or how many"),
        (lambda image: octaves(100, count=2, ratio=1.0), "must grow"),
        (lambda image: single(0, 3), "at least 1 px"),
        (lambda image: style_plan(image, averaging=1.0), "below 1"),
        (lambda image: dream_plan(image, optimiser=OptimiserSpec("lbfgs", 1.0)), "jitter"),
        (lambda image: Pixels(image[0]), "starts from an image"),
        (lambda image: Synthesis(style_plan(image), precision="float16"), "unknown precision"),
        (lambda image: Synthesis(style_plan(image), device="cuda:9"), "use auto or cpu"),
    ],
)
def test_what_does_not_go_together_is_told_in_one_line(make, says, image):
    with pytest.raises(PlanError, match=says) as caught:
        make(image)
    assert "\n" not in str(caught.value)
