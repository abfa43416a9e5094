"""How long it takes to a picture of a quality: at one size from beginning to end, and by way of smaller ones."""

import time
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from oneira.cli.benchmarks.iteration import CONTENT, STYLE, content_at, style_picture
from oneira.cli.benchmarks.neural_style import NeuralStyle, neural_style_plan, random_start
from oneira.features.encoder import Encoder
from oneira.objectives import BoundObjective
from oneira.synthesis.loop import Synthesis
from oneira.synthesis.plan import Plan
from oneira.synthesis.schedules import single
from oneira.techniques import Style


@dataclass(frozen=True)
class Run:
    """A finished picture, in `precision`.

    `seen`: after so many seconds the loss was so much, step by step, as the run itself had it. `loss`: what is left in
    the end, measured in float32; `saved_loss`: the same of the picture as it is saved, in [0, 1].
    """

    precision: str
    seen: tuple[tuple[float, float], ...]
    seconds: float
    loss: float
    saved_loss: float

    def reaching(self, loss: float) -> tuple[int, float] | None:
        """After how many iterations, and seconds, no more than `loss` was left; None where that was never seen."""
        return next(((count, seconds) for count, (seconds, seen) in enumerate(self.seen) if seen <= loss), None)


@dataclass(frozen=True)
class Quality:
    """Both ways to a picture of the size in words, under one objective."""

    picture: str
    one_size: Run
    pyramid: Run


def measure_quality(
    settings: NeuralStyle, size: int, iterations: int, *, steps: tuple[int, ...], device: str
) -> Quality:
    """Run both: neural-style-pt's way for `iterations` in float32, then the sizes and `steps` of `oneira style`."""
    content, style = content_at(size), style_picture()
    start = random_start(content.shape[2], content.shape[3], torch.Generator().manual_seed(0))
    one_size = neural_style_plan(settings, content, style, start=start, schedule=single(size, iterations))
    defaults = Style(content=CONTENT, style=STYLE, model=settings.model, size=size, steps=steps).plan()
    # What is minimised, in what network, and from where, is the same.
    pyramid = replace(one_size, schedule=defaults.schedule, optimiser=defaults.optimiser)
    return Quality(
        f"{content.shape[3]}x{content.shape[2]}",
        _run(one_size, device, "float32"),
        _run(pyramid, device, "auto"),
    )


def _run(plan: Plan, device: str, precision: str) -> Run:
    synthesis = Synthesis(plan, device=device, precision=precision)
    started = time.perf_counter()
    seen = []
    for step in synthesis:
        seen.append((time.perf_counter() - started, step.loss))
    (pixels,) = synthesis.state()["parameters"]  # unclamped, as it was optimised
    seconds = time.perf_counter() - started
    losses = (_loss(plan, image, synthesis.device) for image in (pixels, synthesis.image))
    return Run(str(synthesis.precision).removeprefix("torch."), tuple(seen), seconds, *losses)


@torch.no_grad()
def _loss(plan: Plan, image: Tensor, device: torch.device) -> float:
    encoder = Encoder(device=device, variant=plan.variant)
    objective = BoundObjective(plan.objective, encoder, (image.shape[2], image.shape[3]))
    return float(objective(image.to(device)).total)
