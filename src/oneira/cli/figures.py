"""`oneira figure`: the figures of a lecture, each drawn by one command made from its declaration."""

import time
from collections.abc import Callable, Collection, Mapping
from contextlib import closing
from pathlib import Path
from types import MappingProxyType
from typing import Any

from cyclopts import App
from pydantic import BaseModel, ConfigDict, Field
from rich.table import Table

from oneira.cli.display import Display
from oneira.cli.interrupts import Interrupts
from oneira.cli.options import SHARED, argument, chosen, options_of, placed_of, signed, takes_several
from oneira.cli.outputs import free_output, require_output
from oneira.cli.run_options import NAMES
from oneira.cli.screen import Screen
from oneira.cli.tables import require_table, write_table
from oneira.errors import PlanError, nearest
from oneira.features.hardware import Precision
from oneira.figures import FIGURES, Drawn, Equipment, Figure
from oneira.figures.figure import Inputs
from oneira.figures.networks import NamedNetwork
from oneira.images import Recipe, save
from oneira.synthesis.run import SEEDS
from oneira.techniques import located


class FigureOptions(BaseModel):
    """How a figure is made, and where it goes."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    output: Path | None = Field(
        None,
        description="where the figure goes; its extension chooses the format (default: NAME.png in this folder, never "
        "over another)",
    )
    csv: Path | None = Field(None, description="write the figure's numbers into this table")
    seed: int = Field(0, ge=0, lt=SEEDS, description="of everything random: the same seed makes the same figure")
    device: str = Field("auto", description="what to compute on: auto, cpu, cuda ...")
    precision: Precision = Field("auto", description="what to compute in; auto is float32 here")
    weights: tuple[str, ...] = Field(
        (),
        description="a file of weights in place of the usual ones, as NETWORK=FILE, or FILE for the embedded network; "
        "may be repeated",
    )
    offline: bool = Field(False, description="never touch the network; weights that are not here are an error")
    quiet: bool = Field(False, description="print nothing but errors")

    def equipment(self, display: Display, recorded: Collection[Path] | None = None) -> Equipment:
        """What the figure is made with, as `Equipment` has it. Raises PlanError where weights name no file."""
        named = [NamedNetwork.parse(text) for text in self.weights]
        for each in named:
            if each.file is None:
                raise PlanError(f"--weights {each.text!r} names no file; write {each.text}=FILE")
        files = {each.backbone: each.file for each in named if each.file is not None}
        return Equipment(self.seed, self.device, self.precision, files, self.offline, display.download, recorded)


def figure_app() -> App:
    """`oneira figure`, with a command for each of them."""
    app = App(name="figure", help="Draw a figure of a lecture; without a name, list them.")
    app.default(list_figures)
    for name, figure in FIGURES.items():
        app.command(command_for(figure), name=name, usage=_usage(figure))
    return app


def list_figures(*name: str) -> int:
    """List the figures; a name that comes here is none of them."""
    if name:
        raise PlanError(f"unknown figure {name[0]!r}{nearest(name[0], FIGURES)}: {', '.join(FIGURES)}")
    table = Table("figure", "what it shows", box=None, pad_edge=False)
    for title, figure in FIGURES.items():
        table.add_row(title, (figure.__doc__ or "").partition("\n")[0])
    Screen().table(table)
    return 0


def command_for(figure: type[Figure]) -> Callable[..., int]:
    """A command whose signature is the figure's options and those of every figure."""
    fields = figure.model_fields
    assert not set(fields) & set(FigureOptions.model_fields), "an option has one meaning"

    def run(*given: str, **options: Any) -> int:
        verb = f"figure {figure.title()}"
        running = chosen(FigureOptions, verb, options)
        return _made(chosen(figure, verb, {**options, **placed_of(figure.positional, fields, given)}), running)

    return signed(
        run,
        figure.title(),
        figure.__doc__ or "",
        [
            # The command line itself requires none: what is missing is told as all else is.
            *(
                argument(
                    name,
                    str,
                    f"{fields[name].description}{' [required]' * fields[name].is_required()}",
                    required=False,
                    several=takes_several(fields[name]),
                )
                for name in figure.positional
            ),
            # With arguments, `--data a b` would take them for values.
            *options_of(figure, without=figure.positional, several=not figure.positional),
            *options_of(FigureOptions, SHARED, names=NAMES),
        ],
    )


def _usage(figure: type[Figure]) -> str:
    fields = {name: figure.model_fields[name] for name in figure.positional}
    names = {n: f"{n.upper()}..." if takes_several(field) else n.upper() for n, field in fields.items()}
    words = [word if fields[n].is_required() else f"[{word}]" for n, word in names.items()]
    return " ".join(["Usage: oneira figure", figure.title(), "[OPTIONS]", *words]) + "\n"


def _made(figure: Figure, options: FigureOptions) -> int:
    output = options.output or free_output(Path(), figure.title(), ".png", resume=False)
    require_output(output, [located(path) for paths in figure.inputs.values() for path in paths], 8)
    display = Display(quiet=options.quiet)
    return draw_figure(figure, options, output, display, options.equipment(display))


def draw_figure(
    figure: Figure,
    options: FigureOptions,
    output: Path,
    display: Display,
    equipment: Equipment,
    *,
    weights: Mapping[str, str] = MappingProxyType({}),
) -> int:
    """Draw and write it; the exit status. Stopped, it leaves nothing but what was measured, in the cache.

    `weights`: what the usual ones should be, SHA-256 by backbone; others are noted.
    """
    if options.csv is not None:
        require_table(options.csv)
    started = time.monotonic()
    interrupts = Interrupts()
    with interrupts.caught(), display.notices(), display.progress():
        try:
            drawn, recipe = _drawn(figure, equipment, display)
            _tell_weights(equipment, weights, display)
            save(output, drawn.image, recipe=recipe)
            if options.csv is not None:
                write_table(options.csv, drawn.numbers, of=figure.rows)
        except KeyboardInterrupt:
            display.note(f"stopped: {output} was not written")
            return interrupts.status
    display.done(output, drawn.image.shape[2:], time.monotonic() - started)
    return 0


def _drawn(figure: Figure, equipment: Equipment, display: Display) -> tuple[Drawn, Recipe]:
    inputs: Inputs | None = None
    with closing(figure.draw(equipment)) as course:  # stopped, it keeps what it has measured
        while True:
            try:
                progress = next(course)
            except StopIteration as end:
                drawn: Drawn = end.value
                return drawn, figure.recipe(equipment, figure.recorded() if inputs is None else inputs)
            if inputs is None:
                # Once the figure itself has found nothing to refuse, and as near as can be to when they were read.
                inputs = figure.recorded()
                figure.recipe(equipment, inputs)  # one that cannot be written must be known of now
            display.work(progress.stage, progress.done, progress.total)
            display.note(progress.note)


def _tell_weights(equipment: Equipment, expected: Mapping[str, str], display: Display) -> None:
    """Weights that are not what somebody will think they are; files that an option names are known by their hash."""
    for (backbone, file), sha256 in equipment.loaded.items():
        if file in (None, equipment.weights.get(backbone)) and expected.get(backbone, sha256) != sha256:
            display.note(
                f"the weights of {backbone} are others than the recipe's (SHA-256 {sha256[:8]}..., "
                f"not {expected[backbone][:8]}...): the figure will differ"
            )
