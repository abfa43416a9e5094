"""`oneira video`: a technique on every frame of a film, and the film written when all are there."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, Self

from pydantic import Field, ValidationError

from oneira.catalogue import TECHNIQUES
from oneira.cli.display import Display
from oneira.cli.inner import missing_verb, outer_command
from oneira.cli.interrupts import Interrupts
from oneira.cli.options import argument, chosen, options_of
from oneira.cli.outputs import free_output, require_output, require_use
from oneira.cli.run_options import RunOptions
from oneira.cli.verbs import Given
from oneira.errors import PlanError, RecipeError
from oneira.images import Recipe
from oneira.motion.coherence import Coherence
from oneira.motion.filming import VIDEO, Filmed, Filming
from oneira.motion.look import FilmLook
from oneira.motion.reading import Clip
from oneira.motion.work import WorkFolder
from oneira.motion.writing import check_film, write_film
from oneira.techniques import Technique, located
from oneira.techniques.refusals import refusal

# What belongs to single pictures, or to runs that are resumed by an option.
WITHOUT = frozenset(
    {"max_memory", "save_every", "resume", "stages", "csv", "depth", "sidecar", "record", "every", "fps"}
)


class VideoOptions(RunOptions):
    """How a film is made, and where it goes."""

    output: Path | None = Field(
        None,
        description="where the film goes; its extension chooses the format: .mp4 .mov .mkv .webm .gif .webp .png "
        "(default: NAME-VERB.mp4 in this folder, never over another)",
    )


class FilmOptions(Coherence):
    """How frames hold together, and what is kept of the film."""

    mute: bool = Field(False, description="leave the sound out")
    quality: int = Field(FilmLook().quality, ge=1, le=100, description=FilmLook.model_fields["quality"].description)


@dataclass(frozen=True)
class FilmJob:
    """A technique that works on a film, told as its picture, and what the film is to be like."""

    technique: Technique
    film: FilmOptions
    flow: str | None = None  # as a recipe tells it; another is noted

    @classmethod
    def from_recipe(cls, recipe: Recipe) -> Self:
        """As a film's recipe has it. Raises RecipeError where it does not fit."""
        verb, options, film = (recipe.options.get(name) for name in ("verb", "options", "film"))
        if not (isinstance(verb, str) and verb in TECHNIQUES and isinstance(options, dict) and isinstance(film, dict)):
            raise RecipeError(f"the recipe does not fit {VIDEO}: it tells no verb, or nothing of the film")
        inner = recipe.model_copy(update={"technique": verb, "options": options})
        try:
            flow = recipe.options.get("flow")
            return cls(
                TECHNIQUES[verb].from_recipe(inner), FilmOptions(**film), flow if isinstance(flow, str) else None
            )
        except ValidationError as error:
            raise RecipeError(f"the recipe does not fit {VIDEO}: {refusal(error, FilmOptions, VIDEO)}") from error

    def run(
        self,
        running: RunOptions,
        output: Path,
        display: Display,
        *,
        recorded: Mapping[str, str] = MappingProxyType({}),
    ) -> int:
        """Make the film; the exit status. Raises what `Clip.open`, `check_film` and `Filming` do.

        `recorded`: what weights should be, SHA-256 by backbone; others are noted.
        """
        technique, path = self.technique, self.technique.worked_on
        if path is None:
            raise PlanError(f"{technique.verb()} works on no picture: it has no use for a film's")
        means = running.means(technique.model, display.download)
        coherence = Coherence(**self.film.model_dump(include=set(Coherence.model_fields)))
        with display.notices():
            clip = Clip.open(path)
            check_film(output, sound=clip if clip.sounds and not self.film.mute else None)
            filming = Filming(technique, clip, WorkFolder(output), coherence, means)
            if self.flow not in (None, filming.flow.identity):
                display.note(f"the recipe's optical flow was {self.flow}, here it is {filming.flow.identity}")
            return _VideoRun(filming, output, self.film, running, display, recorded).execute()


def _video(placed: Sequence[str], given: Given | None, **options: Any) -> int:
    if given is None:
        raise missing_verb(VIDEO)
    running = chosen(VideoOptions, VIDEO, options)
    job = FilmJob(given.of(placed[0]), chosen(FilmOptions, VIDEO, options))
    stem = f"{Path(placed[0]).stem}-{job.technique.verb()}"
    output = running.output or free_output(Path(), stem, ".mp4", resume=False)
    require_output(output, map(located, job.technique.input_paths), running.depth, film=True)
    require_use(output, {"quality": "--quality"} if "quality" in job.film.model_fields_set else {})
    return job.run(running, output, Display(quiet=running.quiet, json=running.as_json))


class _VideoRun:
    """What is shown of a film in the making, and how it ends."""

    def __init__(
        self,
        filming: Filming,
        output: Path,
        film: FilmOptions,
        running: RunOptions,
        display: Display,
        recorded: Mapping[str, str],
    ) -> None:
        self._filming = filming
        self._output = output
        self._film = film
        self._running = running
        self._display = display
        self._recorded = recorded
        self._interrupts = Interrupts()
        self._started = time.monotonic()

    def execute(self) -> int:
        with self._interrupts.caught():
            try:
                if self._filmed():
                    self._write()
                    return self._interrupts.status
            except KeyboardInterrupt:
                pass
        work = self._filming.work
        kept = f"{work.told}; the same command goes on" if work.finished else "no frame is done"
        self._display.note(f"interrupted: {kept}; {self._output} was not written")
        return self._interrupts.status

    def _filmed(self) -> bool:
        """Make the frames, until the end or a signal; True at the end."""
        with self._display.progress():
            for filmed in self._filming:
                self._interrupts.patient = True
                self._tell(filmed)
                if self._interrupts.received is not None and filmed.done != filmed.total:
                    return False
        return True

    def _write(self) -> None:
        self._interrupts.patient = False  # all frames are kept: to stop at once loses nothing
        filming, clip = self._filming, self._filming.clip
        size, count = filming.size, filming.count
        recipe = filming.recipe(self._film.model_dump())
        self._tell_weights(recipe)
        write_film(
            self._output,
            filming.frames(),
            size=size,
            time_base=clip.time_base,
            rate=clip.rate,
            look=FilmLook(quality=self._film.quality),
            sound=None if self._film.mute or not clip.sounds else clip,
            recipe=None if self._running.no_recipe else recipe,
        )
        self._interrupts.patient = True  # the film is there: what is left to do is done, whatever comes
        filming.finish()
        for note in filming.notes:
            self._display.note(note)
        self._display.done(self._output, size, time.monotonic() - self._started, count)

    def _tell_weights(self, recipe: Recipe) -> None:
        for name, digest in recipe.weights.items():
            if self._recorded.get(name, digest) != digest:
                self._display.note(
                    f"the weights of {name} are others than the recipe's "
                    f"(SHA-256 {digest[:8]}..., not {self._recorded[name][:8]}...): the film differs"
                )

    def _tell(self, filmed: Filmed) -> None:
        verb = self._filming.verb
        if filmed.step is not None:
            height, width = filmed.step.size
            self._display.note(filmed.step.note)
            self._display.advance(verb, filmed.done, filmed.total, f"{width}x{height}", filmed.step.losses)
            return
        self._display.advance(verb, filmed.done, filmed.total, "", {})
        self._display.record({"done": filmed.done, "total": filmed.total, "shot": filmed.begins_shot})


video = outer_command(
    _video,
    VIDEO,
    """Make a film in which every frame goes through a verb, and holds together with the one before.

    CLIP is a film: MP4, MOV, Matroska, WebM, AVI or MPEG. Its sound and its times are kept. Finished frames lie in a
    folder beside the film until it is written; interrupted, the same command goes on at the first unfinished frame.
    """,
    [argument("clip", str, "the film"), *options_of(FilmOptions)],
    running=VideoOptions,
    without=WITHOUT,
)
