"""The `oneira` command: its verbs, and how it ends."""

import sys
import traceback
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from cyclopts import App, CycloptsError

import oneira
from oneira.cli import bench
from oneira.cli.animate import animate
from oneira.cli.atlas import atlas
from oneira.cli.batch import batch
from oneira.cli.export import export
from oneira.cli.figures import figure_app
from oneira.cli.inner import apart
from oneira.cli.models import models
from oneira.cli.provenance import recipe, rerun
from oneira.cli.save_style import save_style
from oneira.cli.screen import Screen, complain, let_go
from oneira.cli.stylize import stylize
from oneira.cli.train import backbone
from oneira.cli.train_style import style
from oneira.cli.verbs import command_for, usage_of
from oneira.cli.video import video
from oneira.errors import AddressError, OneiraError, PlanError
from oneira.features.hardware import keep_freed_memory
from oneira.images import ImageWarning
from oneira.synthesis.memory import ran_out
from oneira.techniques import TECHNIQUES

DEBUG = "--debug"  # of every command

app = App(
    name="oneira",
    version=oneira.__version__,
    help="Pictures made from what vision networks have learned.",
    help_epilogue=f"Every command also takes {DEBUG}, which shows where an error came from.",
    console=Screen(),
    suppress_keyboard_interrupt=False,
)
for verb, technique in TECHNIQUES.items():
    app.command(command_for(technique), name=verb, usage=usage_of(technique))
app.command(stylize, usage="Usage: oneira stylize [OPTIONS] IMAGE...\n")
app.command(save_style, usage="Usage: oneira save-style [OPTIONS] STYLE...\n")
OUTERS = {outer.name[0]: outer for outer in (animate, video, batch)}  # which take a verb within
for outer in OUTERS.values():
    app.command(outer)
app.command(atlas, usage="Usage: oneira atlas [OPTIONS] [MODEL]\n")
app.command(figure_app())
app.command(rerun)
app.command(recipe)
app.command(models, usage="Usage: oneira models [MODEL]\n")
measuring = App(name="bench")
measuring.default(bench.iteration)
measuring.command(bench.iteration)
measuring.command(bench.style)
app.command(measuring)
training = App(name="train", help="Train networks, or measure them.")
training.command(backbone)
training.command(style, usage="Usage: oneira train style [OPTIONS] STYLE...\n")
app.command(training)
app.command(export, usage="Usage: oneira export [OPTIONS] NETWORK\n")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command. Returns 0, 1 (a problem with the input or the machine), 2 (bad usage) or 128 + a signal."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    try:
        keep_freed_memory()
        with _image_warnings_told():
            status = app(
                apart([word for word in given if word != DEBUG], OUTERS),
                exit_on_error=False,
                print_error=False,
                result_action="return_value",
            )
    except KeyboardInterrupt:
        return 130
    except Exception as error:  # noqa: BLE001 - the last resort: whatever it is, it is told in one line
        if DEBUG in given:
            traceback.print_exc()
        complain(f"oneira: {_told(error)}")
        status = 2 if isinstance(error, CycloptsError | PlanError | AddressError) else 1
    return _flushed(status if isinstance(status, int) else 0)


def _flushed(status: int) -> int:
    """The exit status, once all that was printed has left: some is written only now, and the disk may be full."""
    try:
        if sys.stdout is not None:
            sys.stdout.flush()
    except OSError as error:
        let_go(sys.stdout)
        if status == 0 and not isinstance(error, BrokenPipeError):
            complain(f"oneira: {_told(error)}")
            return 1
    return status


def _told(error: Exception) -> str:
    if isinstance(error, OneiraError | CycloptsError):
        return str(error)
    if ran_out(error):
        return "not enough memory; try a smaller --size"
    if isinstance(error, OSError):
        return f"{error.filename or 'standard output'}: {error.strerror or error}"
    return f"unexpected {type(error).__name__}: {str(error).partition(chr(10))[0]} ({DEBUG} shows where)"


@contextmanager
def _image_warnings_told() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        warnings.simplefilter("always", ImageWarning)
        warnings.showwarning = lambda message, *_, **__: complain(f"note: {message}")
        yield
