"""Running a technique from the command line: one consumer of the loop that shows, saves, and stops when asked."""

import os
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from types import MappingProxyType
from typing import Any

import torch
from torch import Tensor

from oneira.cli.display import Display
from oneira.cli.interrupts import Interrupts
from oneira.cli.outputs import require_folder
from oneira.cli.recording import Films
from oneira.cli.run_options import RunOptions
from oneira.cli.stages import StageFiles, stage_at
from oneira.cli.tables import require_table, write_table
from oneira.errors import CheckpointError, OneiraError, PlanError
from oneira.images import Recipe, save, side_by_side
from oneira.synthesis.checkpoints import (
    checkpoint_of,
    has_checkpoint,
    load_checkpoint,
    remove_checkpoint,
    save_checkpoint,
)
from oneira.synthesis.run import Run
from oneira.synthesis.steps import Step
from oneira.techniques import Technique, located


def run_technique(
    technique: Technique,
    options: RunOptions,
    output: Path,
    display: Display,
    *,
    weights: Mapping[str, str] = MappingProxyType({}),
) -> int:
    """Make the picture; returns the exit status: 0, or 128 + the signal that stopped it, the picture so far saved.

    `weights`: what they should be, SHA-256 by backbone; others are noted.
    """
    with display.notices():
        return _PictureRun(technique, options, output, display, weights).execute()


def use_threads(count: int, display: Display) -> None:
    """Compute with as many threads as before: the sum of floats depends on it. More than the machine has are noted."""
    most = max(torch.get_num_threads(), os.cpu_count() or 1)
    if count <= most:
        torch.set_num_threads(count)
    else:
        display.note(f"begun with {count} threads, of which this machine has {most}: the bytes may differ")


class _PictureRun:
    def __init__(
        self, technique: Technique, options: RunOptions, output: Path, display: Display, weights: Mapping[str, str]
    ) -> None:
        self._technique = technique
        self._options = options
        self._output = output
        self._display = display
        self._weights = weights
        self._checkpoint = checkpoint_of(output)
        self._films = Films(technique, options, output)
        self._stages: StageFiles | None = None
        self._losses: Mapping[str, float] = {}  # of the last step
        self._interrupts = Interrupts()
        self._started = time.monotonic()

    def execute(self) -> int:
        with self._interrupts.caught():
            try:
                run = self._prepared()
                if self._advanced_to_the_end(run):
                    self._finish(run)
                else:
                    self._stop(run)
            except KeyboardInterrupt:
                self._display.note(f"stopped at once; {self._output} was not written")
                self._leave_no_frames()
        return self._interrupts.status

    def _prepared(self) -> Run:
        options, technique = self._options, self._technique
        if options.stages is not None:
            require_folder(options.stages)
        if options.csv is not None:
            require_table(options.csv)
        resumed = self._resumed()
        plan = technique.plan()
        for note in technique.notes:
            self._display.note(note)
        try:
            run = plan.begin(options.means(technique.model, self._display.download))
        except PlanError as error:
            # The plan as such has been made: what it does not go with is this picture, or this machine.
            raise OneiraError(str(error)) from error
        if options.stages is not None:
            self._stages = self._stage_files(options.stages, run)
        if not options.no_recipe:
            technique.recipe(run)  # one that cannot be written must be known of now
        if resumed is not None:
            run.restore(resumed)
            use_threads(resumed["threads"], self._display)
        self._films.claim(plan, run, resumed)
        return run

    def _stage_files(self, folder: Path, run: Run) -> StageFiles:
        extension = self._output.suffix if self._films.output is None else ".png"
        stages = StageFiles(folder, extension, run.stages, self._save)
        stages.require_apart([self._output, *map(located, self._technique.input_paths)])
        self._display.note(stages.note())
        return stages

    def _resumed(self) -> Mapping[str, Any] | None:
        """Where to go on from; None for a run that begins."""
        if self._options.resume:
            state, note = load_checkpoint(self._checkpoint)
            self._display.note(note)
            return state
        if has_checkpoint(self._checkpoint):
            self._display.note(
                f"{self._checkpoint} is of a run that was stopped; this one begins anew, without --resume"
            )
            if self._films:  # whose frames go: what goes on from them is worth nothing any more
                remove_checkpoint(self._checkpoint)
        return None

    def _advanced_to_the_end(self, run: Run) -> bool:
        """Run, until the end or a signal; True at the end."""
        saved = time.monotonic()
        with self._display.progress():
            try:
                self._display.note(run.settle())
                self._films.begin(run)
                for step in run:
                    self._display.step(self._task(run, step), step)
                    self._losses = step.losses
                    if not self._interrupts.patient:
                        self._interrupts.patient = True  # from here on there is something to save
                        self._tell_weights(run)
                    if self._stages is not None:  # before the checkpoint, after which the stage is not met again
                        self._display.note(self._stages.write(step))
                    self._display.note(self._films.take(run, step))
                    if self._interrupts.received is not None:
                        return step.done == step.total
                    if self._options.save_every and time.monotonic() - saved >= self._options.save_every:
                        self._save_checkpoint(run)
                        saved = time.monotonic()
            except Exception:
                if self._interrupts.patient:
                    self._salvage(run)
                else:
                    self._leave_no_frames()
                raise
        self._interrupts.patient = True
        return True

    def _task(self, run: Run, step: Step) -> str:
        stage = stage_at(run.stages, step.scale)
        return self._technique.verb() if stage is None else f"{self._technique.verb()}, {stage}"

    def _finish(self, run: Run) -> None:
        try:
            image = self._write(run, finished=True)
            assert image is not None, "the last step gives a frame"
        except OneiraError:
            if self._save_checkpoint(run):
                self._display.note("nothing is lost: once it can be written, the same command with --resume does it")
            raise
        if self._options.csv is not None:
            ended = {stage: outcome.losses for stage, outcome in run.outcomes.items()}
            write_table(self._options.csv, ended or {self._technique.verb(): self._losses})
        remove_checkpoint(self._checkpoint)
        self._films.remove()
        film = self._films.output
        seconds = time.monotonic() - self._started
        self._display.done(self._output, image.shape[2:], seconds, frames=None if film is None else film.count)

    def _stop(self, run: Run) -> None:
        resumable = bool(self._options.save_every) and self._save_checkpoint(run)
        written = self._write(run, finished=False) is not None
        self._display.stopped(self._output, written=written, resumable=resumable)
        self._leave_no_frames()

    def _leave_no_frames(self) -> None:
        """Remove what was kept for films, unless a run can go on from it."""
        if not has_checkpoint(self._checkpoint):
            self._films.remove()

    def _salvage(self, run: Run) -> None:
        """Keep the picture so far; the error that ended the run is the one to be told, whatever comes of this."""
        with suppress(OneiraError):
            if self._write(run, finished=False) is not None:
                self._display.note(f"wrote {self._output} as it was before what follows")
            self._leave_no_frames()

    def _save_checkpoint(self, run: Run) -> bool:
        """Whether it could be written; a run goes on without."""
        try:
            save_checkpoint(self._checkpoint, run.state() | self._films.state())
        except CheckpointError as error:
            self._display.note(str(error))
            return False
        return True

    def _write(self, run: Run, *, finished: bool) -> Tensor | None:
        """The picture, and films; what is not finished carries no recipe, because a rerun would not give it.

        None where the output is a film, of which there is no frame yet.
        """
        recipe = self._technique.recipe(run) if finished and not self._options.no_recipe else None
        image = self._technique.finished(run)
        film = self._films.output
        if film is None:
            self._save(self._output, image, recipe)
        elif film.count:
            self._films.write_output(recipe, finished=finished)
        self._display.note(self._films.write_record(recipe))
        return image if film is None or film.count else None

    def _save(self, path: Path, image: Tensor, recipe: Recipe | None = None) -> None:
        if len(image) > 1:  # a batch, as a stage has it
            image = side_by_side(image)
        alpha = self._technique.transparency(image)
        save(path, image, alpha=alpha, recipe=recipe, depth=self._options.depth, sidecar=self._options.sidecar)

    def _tell_weights(self, run: Run) -> None:
        """Weights that are not what somebody will think they are."""
        digests = run.digests
        for name, digest in digests.items():
            if self._weights.get(name, digest) != digest:
                self._display.note(
                    f"the weights of {name} are others than the recipe's "
                    f"(SHA-256 {digest[:8]}..., not {self._weights[name][:8]}...): the picture will differ"
                )
        if self._options.weights is not None and self._technique.model not in digests:
            self._display.note(f"no layer of {self._technique.model} is used, nor is {self._options.weights}")
