"""What a run shows: a bar with losses on standard error, or lines of JSON on standard output, or nothing."""

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, DownloadColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from torch import Tensor

from oneira.synthesis.steps import Step


class Display:
    """Chosen by `--quiet` and `--json`; both leave errors to standard error."""

    def __init__(self, *, quiet: bool = False, json: bool = False) -> None:
        self.console = Console(stderr=True, quiet=quiet or json, highlight=False)
        self._json = json
        self._bar: Progress | None = None
        self._download: Progress | None = None

    @contextmanager
    def progress(self, verb: str) -> Iterator[None]:
        """The bar, while the run lasts."""
        columns = (
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
            TextColumn("{task.fields[losses]}"),
        )
        # Piped into a file, a bar that redraws itself is noise: the last line says it all.
        with Progress(*columns, console=self.console, disable=not self.console.is_terminal) as bar:
            self._bar = bar
            bar.add_task(verb, total=None, losses="")
            yield
        self._bar = None

    def step(self, step: Step) -> None:
        """One step done."""
        if self._json:
            self._print_json(step)
        if step.note is not None:
            self.note(step.note)
        if self._bar is not None:
            losses = "  ".join(f"{name} {loss:.4g}" for name, loss in step.losses.items())
            text = escape(f"{step.size[1]}x{step.size[0]}  {losses}")
            self._bar.update(self._bar.task_ids[0], completed=step.done, total=step.total, losses=text)

    def download(self, name: str, received: int, total: int | None) -> None:
        """Weights on their way: `received` of `total` bytes."""
        if self._download is None:
            columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TimeRemainingColumn())
            self._download = Progress(*columns, console=self.console)
            self._download.start()
            self._download.add_task(name, total=total)
        self._download.update(self._download.task_ids[0], completed=received, total=total)
        if received == total:
            self._download.stop()
            self._download = None

    def note(self, text: str | None) -> None:
        """Something that the user should be told."""
        if text is not None:
            self.console.print(f"[yellow]note:[/] {escape(text)}", soft_wrap=True)

    def done(self, output: Path, image: Tensor, seconds: float) -> None:
        """The picture is there."""
        height, width = image.shape[2:]
        self.console.print(f"wrote {escape(str(output))} ({width}x{height}, {seconds:.1f} s)", soft_wrap=True)

    def interrupted(self, output: Path, *, resumable: bool) -> None:
        """The picture so far is there."""
        advice = "; the same command with --resume goes on" if resumable else ""
        self.console.print(f"interrupted: wrote {escape(str(output))} as it was{advice}", soft_wrap=True)

    @staticmethod
    def _print_json(step: Step) -> None:
        line = {
            "scale": step.scale,
            "height": step.size[0],
            "width": step.size[1],
            "index": step.index,
            "done": step.done,
            "total": step.total,
            "loss": step.loss,
            "losses": dict(step.losses),
        }
        sys.stdout.write(json.dumps(line) + "\n")
        sys.stdout.flush()
