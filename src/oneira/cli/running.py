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
from oneira.cli.run_options import RunOptions
from oneira.cli.stages import StageFiles, stage_at
from oneira.errors import CheckpointError, ImageError, OneiraError, PlanError
from oneira.images import Recipe, resize, save
from oneira.synthesis.checkpoints import (
    checkpoint_of,
    has_checkpoint,
    load_checkpoint,
    remove_checkpoint,
    save_checkpoint,
)
from oneira.synthesis.loop import Synthesis
from oneira.synthesis.plan import Plan
from oneira.synthesis.steps import Step
from oneira.techniques import Technique, located


def run_technique(
    technique: Technique,
    run: RunOptions,
    output: Path,
    display: Display,
    *,
    weights: Mapping[str, str] = MappingProxyType({}),
) -> int:
    """Make the picture; returns the exit status: 0, or 128 + the signal that stopped it, the picture so far saved.

    `weights`: what they should be, SHA-256 by backbone; others are noted.
    """
    with display.notices():
        return _PictureRun(technique, run, output, display, weights).execute()


def use_threads(count: int, display: Display) -> None:
    """Compute with as many threads as before: the sum of floats depends on it. More than the machine has are noted."""
    most = max(torch.get_num_threads(), os.cpu_count() or 1)
    if count <= most:
        torch.set_num_threads(count)
    else:
        display.note(f"begun with {count} threads, of which this machine has {most}: the bytes may differ")


class _PictureRun:
    def __init__(
        self, technique: Technique, run: RunOptions, output: Path, display: Display, weights: Mapping[str, str]
    ) -> None:
        self._technique = technique
        self._run = run
        self._output = output
        self._display = display
        self._weights = weights
        self._checkpoint = checkpoint_of(output)
        self._stages: StageFiles | None = None
        self._interrupts = Interrupts()
        self._started = time.monotonic()

    def execute(self) -> int:
        with self._interrupts.caught():
            try:
                synthesis = self._prepared()
                if self._advanced_to_the_end(synthesis):
                    self._finish(synthesis)
                else:
                    self._stop(synthesis)
            except KeyboardInterrupt:
                self._display.note(f"stopped at once; {self._output} was not written")
        return self._interrupts.status

    def _prepared(self) -> Synthesis:
        run, technique = self._run, self._technique
        if run.stages is not None:
            require_folder(run.stages)
        resumed = self._resumed()
        plan = technique.plan()
        for note in technique.notes:
            self._display.note(note)
        if run.stages is not None:
            self._stages = self._stage_files(run.stages, plan)
        try:
            synthesis = Synthesis(
                plan,
                seed=run.seed,
                device=run.device,
                precision=run.precision,
                weights={} if run.weights is None else {technique.model: run.weights},
                offline=run.offline,
                progress=self._display.download,
                max_memory=run.memory_limit,
            )
        except PlanError as error:
            # The plan as such has been made: what it does not go with is this picture, or this machine.
            raise OneiraError(str(error)) from error
        if not run.no_recipe:
            technique.recipe(synthesis)  # one that cannot be written must be known of now
        if resumed is not None:
            synthesis.restore(resumed)
            use_threads(resumed["threads"], self._display)
        return synthesis

    def _stage_files(self, folder: Path, plan: Plan) -> StageFiles:
        stages = StageFiles(folder, self._output.suffix, plan.schedule, self._save)
        stages.require_apart([self._output, *map(located, self._technique.input_paths)])
        self._display.note(stages.note())
        return stages

    def _resumed(self) -> Mapping[str, Any] | None:
        """Where to go on from; None for a run that begins."""
        if self._run.resume:
            state, note = load_checkpoint(self._checkpoint)
            self._display.note(note)
            return state
        if has_checkpoint(self._checkpoint):
            self._display.note(
                f"{self._checkpoint} is of a run that was stopped; this one begins anew, without --resume"
            )
        return None

    def _advanced_to_the_end(self, synthesis: Synthesis) -> bool:
        """Run, until the end or a signal; True at the end."""
        saved = time.monotonic()
        with self._display.progress():
            try:
                self._display.note(synthesis.settle())
                for step in synthesis:
                    self._display.step(self._task(synthesis, step), step)
                    if not self._interrupts.patient:
                        self._interrupts.patient = True  # from here on there is something to save
                        self._tell_weights(synthesis)
                    if self._stages is not None:  # before the checkpoint, after which the stage is not met again
                        self._display.note(self._stages.write(step))
                    if self._interrupts.received is not None:
                        return step.done == step.total
                    if self._run.save_every and time.monotonic() - saved >= self._run.save_every:
                        self._save_checkpoint(synthesis)
                        saved = time.monotonic()
            except Exception:
                if self._interrupts.patient:
                    self._salvage(synthesis)
                raise
        self._interrupts.patient = True
        return True

    def _task(self, synthesis: Synthesis, step: Step) -> str:
        stage = stage_at(synthesis.plan.schedule, step.scale)
        return self._technique.verb() if stage is None else f"{self._technique.verb()}, {stage}"

    def _finish(self, synthesis: Synthesis) -> None:
        try:
            self._write(synthesis, finished=True)
        except ImageError:
            if self._save_checkpoint(synthesis):
                self._display.note("nothing is lost: once it can be written, the same command with --resume does it")
            raise
        remove_checkpoint(self._checkpoint)
        self._display.done(self._output, synthesis.image, time.monotonic() - self._started)

    def _stop(self, synthesis: Synthesis) -> None:
        resumable = bool(self._run.save_every) and self._save_checkpoint(synthesis)
        self._write(synthesis, finished=False)
        self._display.stopped(self._output, resumable=resumable)

    def _salvage(self, synthesis: Synthesis) -> None:
        """Keep the picture so far; the error that ended the run is the one to be told, whatever comes of this."""
        with suppress(OneiraError):
            self._write(synthesis, finished=False)
            self._display.note(f"wrote {self._output} as it was before what follows")

    def _save_checkpoint(self, synthesis: Synthesis) -> bool:
        """Whether it could be written; a run goes on without."""
        try:
            save_checkpoint(self._checkpoint, synthesis.state())
        except CheckpointError as error:
            self._display.note(str(error))
            return False
        return True

    def _write(self, synthesis: Synthesis, *, finished: bool) -> None:
        """The picture; one that is not finished carries no recipe, because a rerun would not give it."""
        recipe = self._technique.recipe(synthesis) if finished and not self._run.no_recipe else None
        self._save(self._output, synthesis.image, recipe)

    def _save(self, path: Path, image: Tensor, recipe: Recipe | None = None) -> None:
        alpha = _alpha(self._technique, image)
        save(path, image, alpha=alpha, recipe=recipe, depth=self._run.depth, sidecar=self._run.sidecar)

    def _tell_weights(self, synthesis: Synthesis) -> None:
        """Weights that are not what somebody will think they are."""
        digests = synthesis.encoder.digests
        for name, digest in digests.items():
            if self._weights.get(name, digest) != digest:
                self._display.note(
                    f"the weights of {name} are others than the recipe's "
                    f"(SHA-256 {digest[:8]}..., not {self._weights[name][:8]}...): the picture will differ"
                )
        if self._run.weights is not None and self._technique.model not in digests:
            self._display.note(f"no layer of {self._technique.model} is used, nor is {self._run.weights}")


def _alpha(technique: Technique, image: Tensor) -> Tensor | None:
    """The transparency of the picture that is worked on, at the result's size."""
    alpha = None if technique.worked_on is None else technique.picture(technique.worked_on).alpha
    return None if alpha is None else resize(alpha, (image.shape[2], image.shape[3]))
