"""Plans on the tiny network that several tests run."""

import torch
from networks import TINY

from oneira.objectives import Content, Dream, Style, TotalVariation
from oneira.synthesis.augmentation import Jitter
from oneira.synthesis.canvas import Pixels
from oneira.synthesis.loop import Synthesis
from oneira.synthesis.optimisers import OptimiserSpec
from oneira.synthesis.plan import Plan
from oneira.synthesis.schedules import octaves
from oneira.synthesis.shaping import MeanAbs

LAYER = f"{TINY}:relu2"


def style_plan(image, **changes):
    """Adam under style, content and smoothness, averaged."""
    style = torch.rand(1, 3, 16, 16, generator=torch.Generator().manual_seed(3))
    options = {
        "canvas": Pixels.of(image),
        "objective": Style(style, LAYER) + 0.1 * Content(image, LAYER) + 0.01 * TotalVariation(),
        "schedule": octaves(28, count=2, steps=6),
        "optimiser": OptimiserSpec("adam", 0.02),
        "averaging": 0.5,
    }
    return Plan(**{**options, **changes})


def dream_plan(image, **changes):
    """google/deepdream's scheme."""
    options = {
        "canvas": Pixels.of(image),
        "objective": Dream(LAYER),
        "schedule": octaves(28, count=3, steps=4, carry="detail"),
        "augmentation": (Jitter(4),),
        "optimiser": OptimiserSpec("ascent", 0.02),
        "shaping": (MeanAbs(),),
    }
    return Plan(**{**options, **changes})


def finished(plan, **options):
    """The picture that a plan ends with, in float32."""
    synthesis = Synthesis(plan, precision="float32", **options)
    for _ in synthesis:
        pass
    return synthesis.image


def resumes_equal(plan, stop):
    """A run restored from its state after `stop` steps ends in the bytes of one that was never stopped."""
    first = Synthesis(plan, seed=7, precision="float32")
    for step in first:
        if step.done == stop:
            state = first.state()
            break
    second = Synthesis(plan, seed=7, precision="float32")
    second.restore(state)
    assert [step.done for step in second] == list(range(stop + 1, plan.schedule.total + 1))
    assert torch.equal(second.image, finished(plan, seed=7))
