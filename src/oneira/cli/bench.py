"""`oneira bench`: how near the loop comes to its bare convolutions, and how far it is ahead of how others write it."""

from dataclasses import replace
from typing import Annotated, Any

import torch
from pydantic import BaseModel, ConfigDict, Field
from rich.table import Table

from oneira.cli.benchmarks.clock import medians_in_turns
from oneira.cli.benchmarks.comparison import PRECISIONS, Comparison, compare
from oneira.cli.benchmarks.iteration import ADAM, CONTENT, STYLE, Iteration, content_at, weights_for
from oneira.cli.benchmarks.neural_style import ITERATIONS, NeuralStyle
from oneira.cli.benchmarks.quality import Quality, measure_quality
from oneira.cli.options import chosen, options_of, signed
from oneira.cli.screen import Screen
from oneira.features.registry import find_backbone
from oneira.features.weights import locate
from oneira.synthesis.canvas import Pixels
from oneira.techniques import Style

ONE_SIZE = "one size, as neural-style-pt"


class BenchOptions(BaseModel):
    """What is measured."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    size: int = Field(512, ge=32, le=16384, description="long side of the picture in pixels")
    rounds: int = Field(9, ge=1, le=10_000, description="how often each is measured; medians are shown")
    model: tuple[str, ...] = Field(("pocket", "vgg19"), min_length=1, description="backbones; may be repeated")
    device: str = Field("auto", description="what to compute on: auto, cpu, cuda ...")


class BenchStyleOptions(BaseModel):
    """What is measured of style transfer."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    size: int = Field(512, ge=32, le=16384, description="long side of the picture in pixels")
    rounds: int = Field(5, ge=1, le=10_000, description="how often an iteration is measured; medians are shown")
    model: str = Field("vgg19-caffe", description="backbone of the iteration; a stack of layers, as VGGs are")
    quality_model: tuple[str, ...] = Field(
        ("pocket", "squeezenet1_0"),
        min_length=1,
        description="backbones for the time to quality, where their weights are here; may be repeated",
    )
    iterations: int = Field(
        ITERATIONS, ge=0, le=1_000_000, description="of neural-style-pt's, for the time to quality; 0 leaves it out"
    )
    steps: tuple[Annotated[int, Field(ge=1, le=100_000)], ...] = Field(
        Style.model_fields["steps"].default,
        min_length=1,
        description="of Oneira's at each size, for the time to quality; repeated as with oneira style",
    )
    device: str = Field("auto", description="what to compute on: auto, cpu, cuda ...")


def _bench(**given: Any) -> int:
    options = chosen(BenchOptions, "bench", given)
    for name in options.model:
        find_backbone(name)  # an unknown one must be known of before the others are measured
    table = Table("network", "precision", "picture", "convolutions", "iteration", "ratio", title="oneira style")
    for name in options.model:
        for precision in PRECISIONS:
            convolutions, whole, picture = _measure(name, precision, options)
            table.add_row(name, precision, picture, _told(convolutions), _told(whole), f"{whole / convolutions:.2f}")
    screen = _screen_with_machine()
    screen.table(table)
    return 0


def _measure(name: str, precision: str, options: BenchOptions) -> tuple[float, float, str]:
    """Median seconds of the bare convolutions and of one iteration, taken in turns, and the picture's size in words."""
    size = options.size
    plan = Style(content=CONTENT, style=STYLE, model=name, size=size, smallest=size, steps=(options.rounds + 1,)).plan()
    plan = replace(plan, canvas=Pixels.of(content_at(size)), optimiser=ADAM)
    with weights_for(name) as weights:
        measured = Iteration(plan, device=options.device, precision=precision, weights=weights)
    runs = {"convolutions": measured.convolve, "iteration": measured.step}
    medians = medians_in_turns(runs, options.rounds, options.device)
    height, width = measured.first.size
    return medians["convolutions"], medians["iteration"], f"{width}x{height}"


iteration = signed(
    _bench,
    "iteration",
    """Time one iteration of oneira style (with Adam) against its bare convolutions, forward and back, in this run.

    The rest (activations, pooling, statistics, losses, the optimiser) is what the ratio tells. Backbones whose weights
    are not here are measured with random ones, which take the same time.
    """,
    options_of(BenchOptions),
)


def _style(**given: Any) -> int:
    options = chosen(BenchStyleOptions, "bench style", given)
    for name in (options.model, *options.quality_model):
        find_backbone(name)
    settings = NeuralStyle.of(options.model)
    qualities = [NeuralStyle.of(name) for name in options.quality_model]
    screen = _screen_with_machine()
    screen.table(_compared(settings, compare(settings, options.size, options.rounds, options.device)))
    if options.iterations:
        for quality in qualities:
            if locate(find_backbone(quality.model)).path is None:
                screen.print(f"{quality.model}: its weights are not here, and random ones have no quality to reach")
                continue
            measured = measure_quality(
                quality, options.size, options.iterations, steps=options.steps, device=options.device
            )
            screen.table(_told_quality(quality, measured))
    return 0


style = signed(
    _style,
    "style",
    """Compare style transfer with how neural-style-pt is written, and runs by its defaults, in this run.

    First, one iteration with Adam of neural-style-pt's objective: Oneira's in float32 and bfloat16, against its bare
    convolutions, and against the same in ordinary PyTorch: a stack of layers in float32 with modules between them that
    compute losses, whose first losses must be the same. All are measured in turns. A backbone whose weights are not
    here is measured with random ones, which take the same time.

    Then, with Oneira's engine on both sides, the time to a picture of a quality: neural-style-pt's way, L-BFGS with a
    history of 100 at one size in float32, and the default sizes and steps of oneira style in the precision that it
    would choose. Both begin with its random start and minimise the same objective; what counts is the loss in the end,
    measured in float32. Backbones whose weights are not here are left out.
    """,
    options_of(BenchStyleOptions),
)


def _compared(settings: NeuralStyle, measured: Comparison) -> Table:
    table = Table(
        "precision",
        "convolutions",
        "iteration",
        "ratio",
        "as neural-style-pt, float32",
        "times as fast",
        "first loss",
        title=f"an iteration with Adam, {settings.model}, {measured.picture}",
    )
    for precision, seconds in measured.iteration.items():
        convolutions = measured.convolutions[precision]
        table.add_row(
            precision,
            _told(convolutions),
            _told(seconds),
            f"{seconds / convolutions:.2f}",
            _told(measured.baseline),
            f"{measured.baseline / seconds:.2f}",
            f"{measured.loss[precision]:.6g}",
        )
    return table


def _told_quality(settings: NeuralStyle, measured: Quality) -> Table:
    whole, pyramid = measured.one_size, measured.pyramid
    table = Table(
        "way",
        "precision",
        "iterations",
        "seconds",
        "share of time",
        "loss, float32",
        "share of loss",
        "loss as saved",
        title=f"time to quality, {settings.model}, {measured.picture}",
    )
    for way, run in ((ONE_SIZE, whole), ("oneira style, growing", pyramid)):
        count, seconds = str(len(run.seen)), f"{run.seconds:.1f}"
        shares = f"{run.seconds / whole.seconds:.3f}", f"{run.loss / whole.loss:.3f}"
        saved = f"{run.saved_loss:.6g}"
        table.add_row(way, run.precision, count, seconds, shares[0], f"{run.loss:.6g}", shares[1], saved)
    if (as_good := whole.reaching(pyramid.loss)) is not None:
        count, seconds = str(as_good[0]), f"{as_good[1]:.1f}"
        share = f"{as_good[1] / whole.seconds:.3f}"
        table.add_row(f"{ONE_SIZE}, until as good", whole.precision, count, seconds, share)
    return table


def _screen_with_machine() -> Screen:
    screen = Screen()
    screen.print(
        f"{torch.get_num_threads()} threads, {torch.backends.cpu.get_cpu_capability()}, torch {torch.__version__}"
    )
    return screen


def _told(seconds: float) -> str:
    return f"{1000 * seconds:.0f} ms"
