"""An iteration of Oneira beside the same iteration as neural-style-pt is written, which must have the same losses."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import torch

from oneira.cli.benchmarks.baseline import Baseline
from oneira.cli.benchmarks.clock import medians_in_turns
from oneira.cli.benchmarks.iteration import ADAM, Iteration, content_at, style_picture, weights_for
from oneira.cli.benchmarks.neural_style import NeuralStyle, neural_style_plan
from oneira.errors import SynthesisError
from oneira.features.hardware import choose_device
from oneira.synthesis.schedules import single

PRECISIONS: tuple[Literal["float32", "bfloat16"], ...] = ("float32", "bfloat16")
TOLERANCE = 1e-4  # relative, between two ways to compute the same in float32


@dataclass(frozen=True)
class Comparison:
    """Seconds of Oneira's `iteration` and its bare `convolutions`, by precision, and of the `baseline`.

    `loss`: of the first iteration, by precision; the baseline's is the one of float32.
    """

    picture: str
    convolutions: Mapping[str, float]
    iteration: Mapping[str, float]
    baseline: float
    loss: Mapping[str, float]


def compare(settings: NeuralStyle, size: int, rounds: int, device: str) -> Comparison:
    """Measure all in turns, `rounds` times.

    Raises SynthesisError where the losses of the first iteration differ: they would not do the same.
    """
    content, style = content_at(size), style_picture()
    # A picture for which no loss is near 0.
    start = torch.rand(content.shape, generator=torch.Generator().manual_seed(0))
    plan = neural_style_plan(settings, content, style, start=start, schedule=single(size, rounds + 1), optimiser=ADAM)
    with weights_for(settings.model) as weights:
        # First, because it tells what it cannot be written for.
        theirs = Baseline(settings, content, style, start, device=choose_device(device), weights=weights)
        ours = {
            precision: Iteration(plan, device=device, precision=precision, weights=weights) for precision in PRECISIONS
        }
    require_same(settings.weighted(ours["float32"].first.losses), theirs.losses())
    runs = {
        **{f"convolutions {precision}": iteration.convolve for precision, iteration in ours.items()},
        **{f"iteration {precision}": iteration.step for precision, iteration in ours.items()},
        "baseline": theirs.step,
    }
    theirs.step()
    medians = medians_in_turns(runs, rounds, device)
    return Comparison(
        f"{content.shape[3]}x{content.shape[2]}",
        {precision: medians[f"convolutions {precision}"] for precision in ours},
        {precision: medians[f"iteration {precision}"] for precision in ours},
        medians["baseline"],
        {precision: iteration.first.loss for precision, iteration in ours.items()},
    )


def require_same(ours: Mapping[str, float], theirs: Mapping[str, float]) -> None:
    """Raise SynthesisError where a term's loss is another; both are told with their weights."""
    for name, loss in ours.items():
        if not abs(loss - theirs[name]) <= TOLERANCE * abs(theirs[name]):
            raise SynthesisError(
                f"the first {name} loss is {loss:.6g} here and {theirs[name]:.6g} as neural-style-pt is written: "
                "they do not do the same, so their times are not compared"
            )
