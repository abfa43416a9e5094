"""What a run shows: a bar with losses on standard error, or lines of JSON on standard output, or nothing."""

import json
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from rich.progress import (
    BarColumn,
    DownloadColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    TextColumn,
    TimeRemainingColumn,
)

from oneira.cli.screen import Screen, one_line, put
from oneira.errors import OneiraError
from oneira.images import ImageWarning
from oneira.synthesis.steps import Step

MOST_LOSSES = 6  # that go into a line; of more, their sum


class Display:
    """Chosen by `--quiet` and `--json`; with both, there is JSON and no other word but errors."""

    def __init__(self, *, quiet: bool = False, json: bool = False) -> None:
        self.screen = Screen(stderr=True, quiet=quiet)
        self._json = json
        # Piped into a file, a bar that redraws itself is noise: the last line says it all.
        self._bars = self.screen.is_terminal and not (quiet or json)
        self._bar: Progress | None = None
        self._download: Progress | None = None
        self._task = ""
        self._told: set[str] = set()

    @contextmanager
    def notices(self) -> Iterator[None]:
        """Within, what reading and writing pictures warns of is noted, and other libraries keep their warnings."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            warnings.simplefilter("always", ImageWarning)
            warnings.showwarning = lambda message, *_, **__: self.note(str(message))
            yield

    @contextmanager
    def progress(self) -> Iterator[None]:
        """Within, bars may appear; afterwards there are none."""
        try:
            yield
        finally:
            self._close()

    def step(self, task: str, step: Step) -> None:
        """One step of `task` done."""
        line = {
            "scale": step.scale,
            "height": step.size[0],
            "width": step.size[1],
            "index": step.index,
            "done": step.done,
            "total": step.total,
            "stage": step.stage,
            "loss": step.loss,
            "losses": dict(step.losses),
            "note": step.note,
        }
        self.record(line)
        self.note(step.note)
        told = step.losses if len(step.losses) <= MOST_LOSSES else {"loss": step.loss}
        self.advance(task, step.done, step.total, f"{step.size[1]}x{step.size[0]}", told)

    def advance(self, task: str, done: int, total: int | None, size: str, losses: Mapping[str, float]) -> None:
        """`done` of `total` steps of `task`, at a size; without `losses`, those that stand there stay.

        `total` None: nobody knows.
        """
        if not self._bars:
            return
        if self._bar is None:
            self._close()  # downloads are over
            losses_column = TextColumn("{task.fields[losses]}", markup=False)
            self._bar = self._opened(
                task, total, BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(), losses_column
            )
        told = "  ".join([size, *(f"{name} {loss:.4g}" for name, loss in losses.items())])
        bar = self._bar.tasks[0]
        self._bar.update(
            bar.id,
            description=one_line(task),
            completed=done,
            losses=told if losses else bar.fields["losses"],
        )

    def download(self, name: str, received: int, total: int | None) -> None:
        """Weights on their way: `received` of `total` bytes."""
        if not self._bars:
            return
        if self._download is None:
            self._download = self._opened(name, total, BarColumn(), DownloadColumn(), TimeRemainingColumn())
        self._download.update(self._download.task_ids[0], description=name, completed=received, total=total)
        if received == total:
            self._close()

    def work(self, task: str, done: int, total: int, pace: str = "") -> None:
        """`done` of `total` parts of `task`, which follows others; `pace` is told beside the time that is left."""
        if not self._bars:
            return
        if self._bar is None or self._task != task:
            self._close()
            told = TextColumn("{task.fields[losses]}", markup=False)
            self._bar = self._opened(task, total, BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(), told)
            self._task = task
        self._bar.update(self._bar.task_ids[0], completed=done, losses=pace)

    def note(self, text: str | None) -> None:
        """Something that the user should be told, once."""
        if text is not None and text not in self._told:
            self._told.add(text)
            self._say(f"note: {text}")

    def done(self, output: Path, size: Sequence[int], seconds: float, frames: int | None = None) -> None:
        """The picture of `size` (height, width) is there, or the film of so many `frames`."""
        height, width = size
        told = "" if frames is None else f"{frames} frame{'s' * (frames != 1)}, "
        self._say(f"wrote {output} ({width}x{height}, {told}{seconds:.1f} s)")

    def stopped(self, output: Path, *, written: bool, resumable: bool) -> None:
        """The picture so far is there; a film is not, where no frame of it was done."""
        advice = "; the same command with --resume goes on" if resumable else ""
        told = f"wrote {output} as it was" if written else f"no frame is done, and {output} was not written"
        self._say(f"interrupted: {told}{advice}")

    def _say(self, text: str) -> None:
        self.screen.print(one_line(text), soft_wrap=True, markup=False)

    def _opened(self, task: str, total: int | None, *columns: ProgressColumn) -> Progress:
        bar = Progress(TextColumn("{task.description}", markup=False), *columns, console=self.screen)
        bar.start()
        bar.add_task(task, total=total, losses="")
        return bar

    def _close(self) -> None:
        for bar in (self._bar, self._download):
            if bar is not None:
                bar.stop()
        self._bar = self._download = None

    def record(self, line: Mapping[str, object]) -> None:
        """A line of JSON, where they were asked for."""
        if not self._json:
            return
        try:
            put(json.dumps(line) + "\n")
        except OneiraError as error:
            # A full disk under the log is no reason to lose the picture.
            self._json = False
            self.note(f"{error}; no more JSON")
