"""`oneira batch`: a verb on many pictures, by several processes, and what became of each."""

import json
import time
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import torch
from pydantic import BaseModel, ConfigDict, Field
from rich.table import Table
from rich.text import Text

from oneira.batch.inputs import pictures_among
from oneira.batch.job import Settled, work_off
from oneira.batch.making import Order
from oneira.batch.manifest import Enlisted, Entry, Manifest, State
from oneira.batch.manifest_file import NAME
from oneira.batch.naming import PLAIN, SAME, Naming
from oneira.batch.workers import Crew
from oneira.cli.display import Display
from oneira.cli.inner import missing_verb, outer_command
from oneira.cli.interrupts import Interrupts
from oneira.cli.options import argument, chosen, options_of
from oneira.cli.outputs import require_folder
from oneira.cli.recording import holds_frames
from oneira.cli.run_options import RunOptions
from oneira.cli.screen import Screen, complain, one_line, put
from oneira.cli.verbs import Given
from oneira.errors import ImageError, PlanError
from oneira.feedforward.folders import Writing
from oneira.images.formats import format_for
from oneira.images.saving import check_options
from oneira.techniques import Technique
from oneira.techniques.dreaming.journeys import Journeys

BATCH = "batch"
# What belongs to single pictures; a batch that was stopped goes on by itself.
WITHOUT = frozenset({"save_every", "resume", "stages", "record", "every", "fps", "csv"})
TOLD = 10  # failures that are named in the end


class BatchRunning(RunOptions):
    """How each picture is made, and where they go."""

    output: Path | None = Field(
        None, description="the folder that the pictures go into; what was done there before is not made again"
    )
    as_json: bool = Field(False, description="print one line of JSON per picture on standard output")


class BatchOptions(BaseModel):
    """How a job is shared out, and what its pictures are called."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    workers: int = Field(1, ge=1, le=1024, description="processes that make pictures, each with models of its own")
    threads: int | None = Field(
        None,
        ge=1,
        le=65_536,
        description="that one picture is computed with: the same number makes the same bytes, however many workers "
        "there are (default: the machine's, shared among them)",
    )
    template: str | None = Field(
        None,
        description="what pictures are called: {stem} {name} {folder} {verb} {index} {seed} {hash}, such as "
        f"{{stem}}-{{verb}}.png or {{index:04}} (default: {PLAIN}, their own names)",
    )
    format: str | None = Field(
        None, description=f"the format of pictures, such as png or jpg; {SAME}: each picture's own (default: png)"
    )
    retry_failed: bool = Field(False, description="try those again, too, that failed before")
    tries: int = Field(
        3, ge=1, le=100, description="how often a picture may take its worker along before it is left out"
    )
    report: Path | None = Field(None, description="tell of every picture of the batch in this folder, and do nothing")


def _batch(placed: Sequence[str], given: Given | None, **options: Any) -> int:
    running = chosen(BatchRunning, BATCH, options)
    own = chosen(BatchOptions, BATCH, options)
    if own.report is not None:
        if placed or given is not None:
            raise PlanError("--report tells of what was done, and does nothing: leave the pictures and the verb out")
        return _report(own.report, running)
    if given is None:
        raise missing_verb(BATCH, placed)
    if not placed:
        raise PlanError(f"{BATCH} needs PICTURE, before the verb {given.technique.verb()!r}")
    if running.output is None:
        raise PlanError("--output is missing: name the folder that the pictures go into")
    return _Job(given, running, own, placed, running.output).execute()


class _Job:
    """What is shown of many pictures in the making, and how it ends."""

    def __init__(
        self, given: Given, running: BatchRunning, own: BatchOptions, words: Sequence[str], folder: Path
    ) -> None:
        naming = Naming.parse(own.template, own.format)
        pictures = pictures_among(words, folder)
        technique = given.of(str(pictures[0][0]))
        threads = own.threads or max(1, torch.get_num_threads() // own.workers)
        means = running.means(technique.model)
        self._order = Order(technique, means, threads, Writing(running.depth, running.sidecar, not running.no_recipe))
        self._order.rehearse()
        self._digest = self._order.digest
        self._errands = naming.errands(pictures, folder, verb=technique.verb(), seed=running.seed, recipe=self._digest)
        for target in {errand.target.suffix: errand.target for errand in self._errands}.values():
            _require_pictures(technique, target, running.depth)
        require_folder(folder)
        self._folder = folder
        self._own = own
        self._quiet = running.quiet
        self._display = Display(quiet=running.quiet, json=running.as_json)
        self._interrupts = Interrupts()
        self._verb = technique.verb()
        self._made = self._back = 0
        self._started = time.monotonic()

    def execute(self) -> int:
        """Do it; the exit status: 0, 1 where a picture failed, 128 + the signal that stopped it."""
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise ImageError(f"cannot make the folder {str(self._folder)!r}: {error.strerror or error}") from error
        with Manifest.at_work(self._folder) as manifest:
            enlisted = manifest.enlist(self._errands, self._digest, retry_failed=self._own.retry_failed)
            self._tell_enlisted(enlisted)
            try:
                self._work(manifest, enlisted)
            finally:
                self._tell_end(manifest, enlisted)
            failed = manifest.tally()[State.FAILED]
        return self._interrupts.status or min(failed, 1)

    def _work(self, manifest: Manifest, enlisted: Enlisted) -> None:
        crew = Crew(self._order, min(self._own.workers, enlisted.waiting))
        course = work_off(manifest, crew, tries=self._own.tries, stopping=self._stopping)
        with self._interrupts.caught(), self._display.notices(), self._display.progress():
            try:
                with closing(course):
                    self._interrupts.patient = True  # what is being made will be finished
                    for settled in course:
                        self._tell(settled, enlisted)
            except KeyboardInterrupt:
                pass

    def _stopping(self) -> bool:
        if self._interrupts.received is None:
            return False
        self._display.note("stopping: what is being made will be finished; the same signal again drops it")
        return True

    def _tell_enlisted(self, enlisted: Enlisted) -> None:
        if enlisted.there:
            self._display.note(f"{enlisted.there} of {enlisted.total} pictures are there already")
        if enlisted.anew:
            self._display.note(f"{enlisted.anew} were made of other pictures, or otherwise: they are made anew")

    def _tell(self, settled: Settled, enlisted: Enlisted) -> None:
        again = settled.state is State.WAITING
        self._back += not again
        self._made += settled.state is State.DONE
        for note in settled.notes:
            self._display.note(note)
        source = settled.item.errand.source
        if again:
            self._display.note(f"{str(source)!r}: {settled.problem}; it is tried again")
        self._display.record(
            {
                "source": str(source),
                "target": str(settled.item.errand.target),
                "state": settled.state.value,
                "error": settled.problem,
                "seconds": settled.seconds,
                "done": self._back,
                "total": enlisted.waiting,
            }
        )
        self._display.work(f"{BATCH}, {self._verb}", self._back, enlisted.waiting, self._pace)

    @property
    def _pace(self) -> str:
        return f"{60 * self._back / max(time.monotonic() - self._started, 1e-3):.1f} a minute"

    def _tell_end(self, manifest: Manifest, enlisted: Enlisted) -> None:
        tally = manifest.tally()
        failed, left = tally[State.FAILED], tally[State.WAITING] + tally[State.RUNNING]
        for entry in manifest.entries(State.FAILED, TOLD):
            self._display.note(f"failed: {_reason(entry)}")
        report = f"oneira {BATCH} --report {self._folder}"
        if failed > TOLD:
            self._display.note(f"and {failed - TOLD} more: {report} names them")
        seconds = time.monotonic() - self._started
        told = [f"{self._made} done", f"{enlisted.there} skipped", f"{failed} failed"]
        end = f"; {left} are left, and the same command goes on" if left else ""
        pace = f" in {seconds:.1f} s, {self._pace}" if self._back else ""
        self._display.note(f"{', '.join(told)}{pace}{end}")
        if failed and self._quiet:
            complain(f"oneira: {failed} of {enlisted.total} pictures failed: {report} names them")


def _require_pictures(technique: Technique, target: Path, depth: int) -> None:
    """PlanError for what makes a film; ImageError for a depth that the format has not."""
    if holds_frames(technique, target) or (isinstance(technique, Journeys) and technique.loop):
        raise PlanError(f"{BATCH} makes pictures, and this would be a film: name another format, or no --loop")
    check_options(format_for(target), depth)


def _reason(entry: Entry) -> str:
    """Its problem, which most often names it already."""
    told, name = entry.error or "nobody knows why", repr(str(entry.source))
    return told if name in told else f"{name}: {told}"


def _report(folder: Path, running: BatchRunning) -> int:
    with Manifest.to_read(folder) as manifest:
        entries = manifest.entries()
    if running.as_json:
        for entry in entries:
            put(json.dumps(_line(entry)) + "\n")
        return 0
    table = Table("state", "picture", "result", "tries", "seconds", "why", box=None, pad_edge=False)
    for entry in entries:
        seconds = "" if entry.seconds is None else f"{entry.seconds:.2f}"
        cells = (entry.state.value, entry.source, entry.target, entry.tries, seconds, entry.error or "")
        table.add_row(*(Text(one_line(str(cell))) for cell in cells))
    Screen().table(table)
    return 0


def _line(entry: Entry) -> dict[str, Any]:
    return {
        "source": str(entry.source),
        "target": str(entry.target),
        "state": entry.state.value,
        "tries": entry.tries,
        "seconds": entry.seconds,
        "error": entry.error,
    }


batch = outer_command(
    _batch,
    BATCH,
    f"""Make a picture of every picture: of those named, in folders at any depth, or that fit a pattern.

    oneira batch 'photos/*.jpg' -o out/ style starry_night.jpg --size 512 paints each picture as the verb alone does, to
    the byte, its recipe included. Stopped or killed, the same command goes on, by what {NAME} in the folder tells; with
    other options, or other pictures, it makes what has changed. A picture that cannot be made is left out, and told in
    the end.
    """,
    [
        argument("picture", str, "a picture, a folder of them, or a pattern such as 'photos/*.jpg'", several=True),
        *options_of(BatchOptions),
    ],
    running=BatchRunning,
    without=WITHOUT,
    usage=f"Usage: oneira {BATCH} [OPTIONS] PICTURE... VERB [ITS OPTIONS]\n       oneira {BATCH} --report FOLDER\n",
)
