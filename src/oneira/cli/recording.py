"""The films of a run: the one that its stages are the frames of, and the one of how its picture comes about."""

from collections.abc import Iterable, Mapping, Sequence
from fractions import Fraction
from functools import partial
from pathlib import Path
from typing import Any

from torch import Tensor

from oneira.cli.run_options import RunOptions
from oneira.errors import FilmError, PlanError
from oneira.images import Recipe, side_by_side
from oneira.inspection.study import Study
from oneira.motion.looping import looped
from oneira.motion.recording import Recording
from oneira.motion.reel import Still
from oneira.motion.slides import opaque
from oneira.motion.writing import check_film, is_film
from oneira.synthesis.fingerprint import fingerprint
from oneira.synthesis.plan import Plan
from oneira.synthesis.run import Declaration, Run
from oneira.synthesis.steps import Step
from oneira.techniques import Technique, located
from oneira.techniques.dreaming.journeys import Journeys

FPS = 12.0
STILL = ".png"  # which could be a film as well, and is none unless asked for by --record
EITHER = (".gif", ".webp")  # films of journeys, pictures of all else
STATE = "films"  # where a checkpoint tells of them


def holds_frames(technique: Technique, output: Path) -> bool:
    """Whether `output` is a film, whose frames the stages of `technique` would be."""
    extension = output.suffix.lower()
    if not is_film(output) or extension == STILL:
        return False
    return extension not in EITHER or (isinstance(technique, Journeys) and technique.travels)


class Films:
    """Fed with every step. `output` holds the stages' pictures, if it is a film; `--record` what is chosen of all."""

    def __init__(self, technique: Technique, options: RunOptions, output: Path) -> None:
        """Raises PlanError for options that do not go together, FilmError for a film that cannot be written."""
        self._technique = technique
        film = holds_frames(technique, output)
        _require_options(technique, options, film=film)
        if options.record is not None:
            check_film(options.record)
            _require_apart(options.record, [output, *map(located, technique.input_paths)])
        rate = Fraction(FPS if options.fps is None else options.fps).limit_denominator(1001)
        self.output = Recording(output, rate, stages=True) if film else None
        self._record = options.record
        self._rate = rate
        self._every = options.every
        self._recording: Recording | None = None
        self._problem: FilmError | None = None

    def claim(self, plan: Declaration, run: Run, resumed: Mapping[str, Any] | None) -> None:
        """Begin the films of the `run` of a `plan`, or go on from a checkpoint, `resumed`.

        Raises PlanError where the run has no frames for them, CheckpointError where other frames are in the way.
        """
        verb = self._technique.verb()
        if self.output is not None and not run.stages:
            raise PlanError(
                f"this {verb} makes one picture, no film: name the picture by --output, and the film of how it comes "
                f"about by --record {self.output.path}"
            )
        if self._record is not None:
            if isinstance(plan, Study):
                raise PlanError(f"--record shows steps, and this {verb} is computed at once: leave it out")
            by_stages = bool(run.stages) and self._every is None
            self._recording = Recording(self._record, self._rate, every=self._every, stages=by_stages)
        states = (resumed or {}).get(STATE, {})
        for name, recording in self._recordings.items():
            recording.claim(_deciding(plan, run), states.get(name))

    def __bool__(self) -> bool:
        """Whether there is a film to make."""
        return self.output is not None or self._record is not None

    def begin(self, run: Run) -> None:
        """Give them the picture before the first step."""
        if self._recording is not None:
            self._recording.begin(lambda: self._so_far(run))

    def take(self, run: Run, step: Step) -> str | None:
        """Give them a step; a note, once, where --record cannot be kept. FilmError where the output cannot."""
        if self.output is not None:
            self.output.take(step, lambda: self._stage(step))
        if self._recording is not None and self._problem is None:
            try:
                self._recording.take(step, lambda: self._so_far(run))
            except FilmError as error:
                self._problem = error
                return f"{error}; {self._record} ends here"
        return None

    def state(self) -> dict[str, Any]:
        """What a checkpoint has to hold of them."""
        told = {name: recording.state() for name, recording in self._recordings.items()}
        return {STATE: told} if told else {}

    def write_record(self, recipe: Recipe | None) -> str | None:
        """Write the film of --record as it is so far; what to tell of it."""
        if self._recording is None or not self._recording.count:
            return None
        self._recording.write(recipe)
        frames = self._recording.count
        return f"wrote {self._record}, a film of {frames} frame{'s' * (frames != 1)}"

    def write_output(self, recipe: Recipe | None, *, finished: bool) -> None:
        """Write the film that the output is; one that is not finished leads nowhere, and is no loop."""
        assert self.output is not None
        technique, arranged = self._technique, None
        if finished and isinstance(technique, Journeys) and technique.loop:
            arranged = partial(_loop, technique)
        self.output.write(recipe, arranged)

    def remove(self) -> None:
        """Remove all frames that were kept: nobody will go on from here."""
        for recording in self._recordings.values():
            recording.remove()

    @property
    def _recordings(self) -> dict[str, Recording]:
        named = {"output": self.output, "record": self._recording}
        return {name: recording for name, recording in named.items() if recording is not None}

    def _so_far(self, run: Run) -> Tensor:
        """What would be saved if the run was stopped."""
        return self._opaque(self._technique.finished(run))

    def _stage(self, step: Step) -> Tensor:
        """The picture of a stage, as --stages has it."""
        image = step.image
        return self._opaque(side_by_side(image) if len(image) > 1 else image)

    def _opaque(self, image: Tensor) -> Tensor:
        return opaque(image, self._technique.transparency(image))


def _deciding(plan: Declaration, run: Run) -> dict[str, object]:
    """What decides the pictures, of which some may have been kept already."""
    told = plan.fingerprint if isinstance(plan, Plan) else fingerprint(plan)
    return {"plan": told, "seed": run.seed, "precision": str(run.precision).removeprefix("torch.")}


def _loop(technique: Journeys, stills: Sequence[Still]) -> Sequence[Still]:
    assert technique.zoom is not None, "which --loop needs"
    return looped(stills, technique.zoom, technique.rotate)


def _require_options(technique: Technique, options: RunOptions, *, film: bool) -> None:
    if options.fps is not None and not film and options.record is None:
        raise PlanError("--fps is for films: name one by --record, such as making.mp4, or leave it out")
    if isinstance(technique, Journeys) and technique.loop and not film:
        raise PlanError("--loop is for films: name one by --output, such as dive.mp4, or leave it out")
    if film and options.depth != 8:
        raise PlanError(f"films hold 8 bits per colour, not {options.depth}: leave --depth out")
    if film and options.sidecar:
        raise PlanError("--sidecar is for pictures: a film's recipe is in the film; leave it out")


def _require_apart(record: Path, others: Iterable[Path]) -> None:
    for other in others:
        same = record.absolute() == other.absolute()
        if same or (record.exists() and other.exists() and record.samefile(other)):
            raise PlanError(f"--record {str(record)!r} would be written over {str(other)!r}; name another file")
