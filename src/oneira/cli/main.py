"""The `oneira` command: its verbs, and how it ends."""

import sys
import traceback
import warnings
from collections.abc import Sequence

from cyclopts import App, CycloptsError
from rich.console import Console

import oneira
from oneira.cli import provenance, train
from oneira.cli.bench import bench
from oneira.cli.models import models
from oneira.cli.verbs import command_for
from oneira.errors import OneiraError
from oneira.features.hardware import keep_freed_memory
from oneira.techniques import TECHNIQUES

app = App(name="oneira", version=oneira.__version__, help="Pictures made from what vision networks have learned.")
for verb, technique in TECHNIQUES.items():
    app.command(command_for(technique), name=verb)
app.command(provenance.rerun)
app.command(provenance.recipe)
app.command(models)
app.command(bench)
training = App(name="train", help="Train networks.")
training.command(train.backbone, name="backbone")
app.command(training)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command. Returns 0, 1 (a problem with the input or the machine), 2 (bad usage) or 128 + a signal."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    warnings.showwarning = _show_warning
    keep_freed_memory()
    try:
        result = app(given, exit_on_error=False, print_error=False, result_action="return_value")
    except CycloptsError as error:
        _complain(str(error).strip())
        return 2
    except OneiraError as error:
        return _failed(str(error), debug="--debug" in given)
    except MemoryError:
        return _failed("not enough memory; try a smaller --size", debug="--debug" in given)
    except OSError as error:
        return _failed(f"{error.filename or 'the machine'}: {error.strerror or error}", debug="--debug" in given)
    except KeyboardInterrupt:
        return 130
    return result if isinstance(result, int) else 0


def _failed(message: str, *, debug: bool) -> int:
    if debug:
        traceback.print_exc()
    _complain(message)
    return 1


def _complain(message: str) -> None:
    Console(stderr=True, highlight=False).print(f"oneira: {message}", soft_wrap=True, markup=False)


def _show_warning(message: Warning | str, *_: object, **__: object) -> None:
    _complain(f"note: {message}")
