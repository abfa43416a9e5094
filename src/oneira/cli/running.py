"""Running a technique from the command line: one consumer of the loop that shows, saves, and stops when asked."""

import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter
from torch import Tensor

from oneira.cli.display import Display
from oneira.cli.interrupts import Interrupts
from oneira.errors import OneiraError, PlanError, SynthesisError
from oneira.images import Recipe, check_output, resize, save
from oneira.synthesis.checkpoints import checkpoint_of, load_checkpoint, remove_checkpoint, save_checkpoint
from oneira.synthesis.loop import Synthesis
from oneira.synthesis.steps import Step
from oneira.techniques import Technique


@Parameter(name="*")
@dataclass(frozen=True)
class RunOptions:
    """What every verb that makes a picture takes besides its technique's own options."""

    output: Annotated[Path | None, Parameter(name=["--output", "-o"])] = None
    "where the picture goes; its extension chooses the format (default: NAME-VERB.png here, never over another)"
    seed: int = 0
    "of everything random; the same seed makes the same picture"
    device: str = "auto"
    "auto, cpu, cuda, cuda:1, mps ..."
    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    "of the network; auto takes bfloat16 where the machine computes in it natively"
    weights: Path | None = None
    "a file of weights for --model, instead of looking for them"
    offline: Annotated[bool, Parameter(negative="")] = False
    "never touch the network; weights that are not here are an error"
    save_every: float = 30.0
    "seconds between checkpoints, which lie beside the picture until it is done; 0: none"
    resume: Annotated[bool, Parameter(negative="")] = False
    "go on from the checkpoint of an interrupted run, to the same bytes"
    depth: Literal[8, 16] = 8
    "bits per colour in the picture; 16 for PNG only"
    sidecar: Annotated[bool, Parameter(negative="")] = False
    "write the recipe beside the picture, too"
    no_recipe: Annotated[bool, Parameter(negative="")] = False
    "leave the recipe out of the picture"
    quiet: Annotated[bool, Parameter(name=["--quiet", "-q"], negative="")] = False
    "print nothing but errors"
    json: Annotated[bool, Parameter(negative="")] = False
    "print one line of JSON per step on standard output"
    debug: Annotated[bool, Parameter(negative="")] = False
    "show where an error came from"


def run_technique(technique: Technique, run: RunOptions, picture_name: str) -> int:
    """Make the picture; returns the exit status: 0, or 128 + the signal that stopped it, the picture so far saved."""
    display = Display(quiet=run.quiet, json=run.json)
    output = run.output or _default_output(picture_name, technique.verb(), resume=run.resume)
    check_output(output, depth=run.depth)
    if run.save_every < 0:
        raise PlanError(f"--save-every is a number of seconds, 0 for none, not {run.save_every}")
    started = time.monotonic()
    synthesis = Synthesis(
        technique.plan(),
        seed=run.seed,
        device=run.device,
        precision=run.precision,
        weights={} if run.weights is None else {technique.model: run.weights},
        offline=run.offline,
        progress=display.download,
    )
    checkpoint = checkpoint_of(output)
    if run.resume:
        state, note = load_checkpoint(checkpoint)
        synthesis.restore(state)
        display.note(note)
    interrupts = Interrupts()
    with interrupts.caught(), display.progress(technique.verb()):
        try:
            for step in _with_checkpoints(synthesis, checkpoint, run.save_every):
                display.step(step)
                if interrupts.received is not None:
                    break
        except SynthesisError:
            # What there is, is finite: it is kept before the error is told.
            _write(technique, synthesis, output, run, finished=False)
            raise
        finished = interrupts.received is None
        if not finished and run.save_every:
            save_checkpoint(checkpoint, synthesis.state())
        _write(technique, synthesis, output, run, finished=finished)
    if finished:
        remove_checkpoint(checkpoint)
        display.done(output, synthesis.image, time.monotonic() - started)
        return 0
    display.interrupted(output, resumable=bool(run.save_every))
    return 128 + (interrupts.received or 0)


def _with_checkpoints(synthesis: Synthesis, path: Path, every: float) -> Iterator[Step]:
    last = time.monotonic()
    for step in synthesis:
        yield step
        if every and time.monotonic() - last >= every:
            save_checkpoint(path, synthesis.state())
            last = time.monotonic()


def _write(technique: Technique, synthesis: Synthesis, output: Path, run: RunOptions, *, finished: bool) -> None:
    """The picture; one that is not finished carries no recipe, because a rerun would not give it."""
    recipe: Recipe | None = technique.recipe(synthesis) if finished and not run.no_recipe else None
    image = synthesis.image
    alpha = _alpha(technique, image)
    save(output, image, alpha=alpha, recipe=recipe, depth=run.depth, sidecar=run.sidecar)


def _alpha(technique: Technique, image: Tensor) -> Tensor | None:
    """The transparency of the picture that is worked on, at the result's size."""
    alpha = technique.picture(getattr(technique, technique.picture_fields()[0])).alpha
    return None if alpha is None else resize(alpha, (image.shape[2], image.shape[3]))


def _default_output(picture: str, verb: str, *, resume: bool) -> Path:
    """`cat-dream.png`, or the first of `cat-dream-2.png`, ... that is free (with a checkpoint, when resuming)."""
    stem = Path(picture.removeprefix("sample:")).stem
    number = 1
    while True:
        candidate = Path(f"{stem}-{verb}.png" if number == 1 else f"{stem}-{verb}-{number}.png")
        if resume:
            if checkpoint_of(candidate).exists():
                return candidate
            if number > 1 and not candidate.exists():
                raise OneiraError(f"no checkpoint of {stem}-{verb}.png here to go on from; name the picture with -o")
        elif not candidate.exists() and not checkpoint_of(candidate).exists():
            return candidate
        number += 1
