"""`oneira bench`: how near the loop comes to what it cannot do without, its convolutions."""

import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from statistics import median
from typing import Any, Literal

import torch
from pydantic import BaseModel, ConfigDict, Field
from rich.table import Table
from safetensors.torch import save_file
from torch import Tensor, nn

from oneira.cli.options import chosen, options_of, signed
from oneira.cli.screen import Screen
from oneira.features.hardware import choose_device
from oneira.features.registry import find_backbone
from oneira.features.weights import locate
from oneira.images import load, resize, sample
from oneira.objectives import BoundObjective
from oneira.synthesis.canvas import Pixels
from oneira.synthesis.loop import Synthesis
from oneira.synthesis.optimisers import OptimiserSpec
from oneira.techniques import Style

ADAM = OptimiserSpec("adam", 0.02)  # which others tell their figures for; L-BFGS costs some milliseconds more

Convolution = tuple[nn.Conv2d, Tensor, Tensor]  # the module, an input and a gradient of its output


class BenchOptions(BaseModel):
    """What is measured."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    size: int = Field(512, ge=32, le=16384, description="long side of the picture in pixels")
    rounds: int = Field(9, ge=1, le=10_000, description="how often each is measured; medians are shown")
    model: tuple[str, ...] = Field(("pocket", "vgg19"), min_length=1, description="backbones; may be repeated")
    device: str = Field("auto", description="what to compute on: auto, cpu, cuda ...")


def _bench(**given: Any) -> int:
    options = chosen(BenchOptions, "bench", given)
    for name in options.model:
        find_backbone(name)  # an unknown one must be known of before the others are measured
    table = Table("network", "precision", "picture", "convolutions", "iteration", "ratio", title="oneira style")
    for name in options.model:
        for precision in ("float32", "bfloat16"):
            convolutions, iteration, shape = _measure(name, precision, options)
            table.add_row(
                name,
                precision,
                shape,
                f"{1000 * convolutions:.0f} ms",
                f"{1000 * iteration:.0f} ms",
                f"{iteration / convolutions:.2f}",
            )
    screen = Screen()
    screen.print(
        f"{torch.get_num_threads()} threads, {torch.backends.cpu.get_cpu_capability()}, torch {torch.__version__}"
    )
    screen.table(table)
    return 0


bench = signed(
    _bench,
    "bench",
    """Time one iteration of oneira style (with Adam) against its bare convolutions, forward and back, in this run.

    The rest (activations, pooling, statistics, losses, the optimiser) is what the ratio tells. Backbones whose weights
    are not here are measured with random ones, which take the same time.
    """,
    options_of(BenchOptions),
)


def _measure(name: str, precision: Literal["float32", "bfloat16"], options: BenchOptions) -> tuple[float, float, str]:
    """Median seconds of the bare convolutions and of one iteration, taken in turns, and the picture's size in words."""
    size, device = options.size, options.device
    with _weights_for(name) as weights:
        plan = Style(
            content="sample:coffee",
            style="sample:night_wind",
            model=name,
            size=size,
            smallest=size,
            steps=(options.rounds + 1,),
        ).plan()
        # Four by three, as the figures of others are told.
        canvas = Pixels.of(resize(load(sample("coffee")), (3 * size // 4, size)))
        synthesis = Synthesis(
            replace(plan, canvas=canvas, optimiser=ADAM), device=device, precision=precision, weights=weights
        )
        steps = iter(synthesis)
        step = next(steps)
        image = synthesis.image.to(synthesis.device)
    convolutions = _convolutions(synthesis, image)
    _both_ways(convolutions)
    bare, iterations = [], []
    for _ in range(options.rounds):
        bare.append(_seconds(lambda: _both_ways(convolutions), device))
        iterations.append(_seconds(lambda: next(steps), device))
    height, width = step.size
    return median(bare), median(iterations), f"{width}x{height}"


def _convolutions(synthesis: Synthesis, image: Tensor) -> list[Convolution]:
    """Every convolution that an iteration runs, with an input and an output gradient of its shape and precision."""
    found: list[Convolution] = []

    def note(module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        assert isinstance(module, nn.Conv2d)
        found.append((module, inputs[0].detach().clone().requires_grad_(), torch.randn_like(output)))

    objective = BoundObjective(synthesis.plan.objective, synthesis.encoder, (image.shape[2], image.shape[3]))
    hooks = [
        module.register_forward_hook(note)
        for network in synthesis.encoder.networks.values()
        for module in network.modules()
        if isinstance(module, nn.Conv2d)
    ]
    with torch.no_grad():
        objective(image)
    for hook in hooks:
        hook.remove()
    return found


def _both_ways(convolutions: list[Convolution]) -> None:
    for module, inputs, gradient in convolutions:
        torch.autograd.grad(module(inputs), inputs, gradient)


def _seconds(run: Callable[[], object], device: str) -> float:
    accelerated = choose_device(device).type != "cpu"
    if accelerated:
        torch.accelerator.synchronize()
    started = time.perf_counter()
    run()
    if accelerated:
        torch.accelerator.synchronize()
    return time.perf_counter() - started


@contextmanager
def _weights_for(name: str) -> Iterator[dict[str, Path]]:
    """The backbone's own weights where they are here, otherwise random ones of the usual size."""
    backbone = find_backbone(name)
    if locate(backbone).path is not None:
        yield {}
        return
    with torch.device("meta"):
        shapes = {key: value.shape for key, value in backbone.build().state_dict().items()}
    generator = torch.Generator().manual_seed(0)
    state = {}
    for key, shape in shapes.items():
        deviation = (2 / max(1, shape[1:].numel())) ** 0.5
        state[key] = (torch.randn(shape, generator=generator) * deviation).half()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "random.safetensors"
        save_file(state, path)
        yield {name: path}
