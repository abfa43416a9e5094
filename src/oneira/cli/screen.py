"""The terminal, or what stands in its place: a pipe whose reader has gone, a full disk, a closed stream."""

import os
import sys
from contextlib import suppress
from typing import TextIO

from rich.console import Console
from rich.table import Table

from oneira.errors import OneiraError


class Screen(Console):
    """A rich console that outlives its reader: the picture matters more than what is told about it."""

    def __init__(self, *, stderr: bool = False, quiet: bool = False) -> None:
        super().__init__(stderr=stderr, quiet=quiet, highlight=False, emoji=False)

    def table(self, table: Table) -> None:
        """Print `table`; in a pipe no line is broken, because it goes to a program."""
        if not self.is_terminal:
            self.width = 1000
        self.print(table)

    def on_broken_pipe(self) -> None:
        """Say no more."""
        self.quiet = True
        let_go(sys.stderr if self.stderr else sys.stdout)


def put(text: str) -> None:
    """Write to standard output, at once. A reader who has gone away has what it wanted.

    Raises OneiraError where it cannot be written otherwise.
    """
    if sys.stdout is None:  # closed by whoever started this
        return
    try:
        sys.stdout.write(text)
        sys.stdout.flush()
    except BrokenPipeError:
        let_go(sys.stdout)
    except OSError as error:
        let_go(sys.stdout)
        raise OneiraError(f"cannot write to standard output: {error.strerror}") from error


def complain(text: str) -> None:
    """One line on standard error, whatever `text` holds."""
    if sys.stderr is not None:
        with suppress(OSError):
            sys.stderr.write(f"{one_line(text)}\n")
            sys.stderr.flush()


def one_line(text: str) -> str:
    """`text` on one line of characters that can be shown; nothing in it can steer a terminal."""
    joined = " ".join(text.split())
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in joined)


def let_go(stream: TextIO | None) -> None:
    """Lead `stream` into nothing, so that what it still holds does no harm when the program ends."""
    if stream is not None:
        with suppress(OSError, ValueError):
            descriptor = stream.fileno()
            nothing = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nothing, descriptor)
            os.close(nothing)
