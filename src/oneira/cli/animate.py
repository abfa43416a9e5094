"""`oneira animate`: pictures into a film, or one verb's pictures, of which each is made a little otherwise."""

import time
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass
from fractions import Fraction
from functools import partial
from pathlib import Path
from typing import Any

from torch import Tensor

from oneira.cli.animate_options import WITHOUT, AnimateOptions, AnimateRunning
from oneira.cli.display import Display
from oneira.cli.inner import missing_verb, outer_command
from oneira.cli.interrupts import Interrupts
from oneira.cli.options import argument, chosen, options_of
from oneira.cli.outputs import free_output, require_output, require_use
from oneira.cli.recording import FPS
from oneira.cli.verbs import PICTURE, Given
from oneira.errors import PlanError, RecipeError
from oneira.feedforward.stylization import Stylization
from oneira.images import InputFile, Recipe, current_versions
from oneira.images.opening import sha256_of
from oneira.motion.captions import captioned
from oneira.motion.look import FilmLook
from oneira.motion.reel import Reel, Still
from oneira.motion.slides import frame_size, letterboxed, paced, pictures_in, shown_at
from oneira.motion.varying import ANIMATE, FRAMES, STYLES, Variation, Varied, between, vary
from oneira.motion.work import WorkFolder
from oneira.motion.writing import write_film
from oneira.techniques import SAMPLE, Technique, located
from oneira.techniques.refusals import option_name

OF_VERBS = ("frames", "between", "vary")
NAMES_OF_LOOK = {"colours": ("--colors", "--colours"), "most_bytes": ("--limit",)}
OF_FILMS = frozenset({"output", "fps", "no_recipe", "quiet", "as_json"})  # of the running options


@dataclass(frozen=True)
class Film:
    """What was written: how many `frames`, of which `size` (height, width)."""

    frames: int
    size: tuple[int, int]


@dataclass(frozen=True)
class Making:
    """What was told of a film, beside what its pictures are."""

    options: AnimateOptions
    look: FilmLook
    running: AnimateRunning
    display: Display

    @property
    def rate(self) -> Fraction:
        """Frames a second."""
        return Fraction(self.running.fps or FPS).limit_denominator(1001)

    @property
    def told(self) -> dict[str, Any]:
        """For the recipe."""
        look = self.look.model_dump(mode="json", exclude_defaults=True)
        return {**self.options.model_dump(mode="json", exclude_defaults=True), **look, "fps": float(self.rate)}

    def output(self, name: str, inputs: Sequence[Path]) -> Path:
        """Where the film goes: what was told, or a free name. Raises ImageError, PlanError for what cannot be."""
        output = self.running.output or free_output(Path(), f"{name}-{ANIMATE}", ".gif", resume=False)
        require_output(output, inputs, 8, film=True)
        told = self.look.model_fields_set - ({"most_bytes"} if self.options.limit is None else set())
        require_use(output, {name: NAMES_OF_LOOK.get(name, (option_name(name),))[0] for name in told})
        return output

    def write(self, output: Path, pictures: Sequence[Still], captions: Sequence[str], recipe: Recipe | None) -> Film:
        """Write the film of `pictures`, which have one size."""
        stills: Sequence[Still] = pictures
        if self.options.captions:
            stills = [partial(_captioned, still, text) for still, text in zip(pictures, captions, strict=True)]
        reel = self._reel(stills)
        height, width = stills[0]().shape[2:]
        write_film(output, reel, size=(height, width), rate=self.rate, look=self.look, recipe=recipe)
        return Film(len(reel), (height, width))

    def _reel(self, stills: Sequence[Still]) -> Reel:
        options = self.options
        hold = None if options.hold is None else Fraction(options.hold).limit_denominator(1000)
        reel = paced(stills, self.rate, hold=hold, fade=options.fade)
        return reel.boomerang() if options.boomerang else reel


def _animate(placed: Sequence[str], given: Given | None, **told: Any) -> int:
    running = chosen(AnimateRunning, ANIMATE, told)
    options = chosen(AnimateOptions, ANIMATE, told)
    look = chosen(FilmLook, ANIMATE, {**told, "most_bytes": options.most_bytes})
    making = Making(options, look, running, Display(quiet=running.quiet, json=running.as_json))
    varied = [option_name(name) for name in OF_VERBS if getattr(options, name) not in (None, ())]
    if given is None:
        if varied:
            raise PlanError(f"{varied[0]} is for a verb's pictures: {missing_verb(ANIMATE)}")
        return _of_pictures([located(path) for path in placed], making)
    if placed:
        raise PlanError(f"{placed[0]!r} stands before {given.technique.verb()}: give pictures, or a verb with its own")
    if not (options.vary or options.between):
        raise PlanError(
            f"what changes from frame to frame? --vary OPTION=FROM:TO before {given.technique.verb()} tells"
        )
    return _of_verb(given, making)


def _of_pictures(places: Sequence[Path], making: Making) -> int:
    if not places:
        raise PlanError(f"{ANIMATE} needs pictures, folders of them, or --vary and a verb")
    for name in making.running.model_fields_set - OF_FILMS:
        raise PlanError(f"{option_name(name)} is for a verb's pictures, not for those that are there: leave it out")
    paths = pictures_in(places)
    name = places[0].resolve().name if places[0].is_dir() else places[0].stem
    output = making.output(name, paths)

    def made() -> Film:
        size = frame_size(shown_at(paths[0]), making.options.size)
        stills = [partial(shown_at, path, size) for path in paths]
        recipe = None if making.running.no_recipe else _recipe_of(paths, making)
        return making.write(output, stills, [path.stem for path in paths], recipe)

    return _ended(output, making, made, Interrupts(), lambda: f"stopped: {output} was not written")


def _recipe_of(paths: Sequence[Path], making: Making) -> Recipe | None:
    inputs = tuple(InputFile.at(path, sha256_of(path)) for path in paths)
    try:
        return Recipe(technique=ANIMATE, options=making.told, inputs={"pictures": inputs}, versions=current_versions())
    except RecipeError as error:
        making.display.note(f"the film holds no recipe: {error}")
        return None


def _of_verb(given: Given, making: Making) -> int:
    options, running = making.options, making.running
    variations = _variations(given, options)
    shots = _shots(given, variations)
    first = shots[0]
    name = Path(first.worked_on.removeprefix(SAMPLE)).stem if first.worked_on else first.verb()
    output = making.output(name, [located(path) for shot in shots for path in shot.input_paths])
    captions = [", ".join(texts) for texts in zip(*(variation.captions for variation in variations), strict=True)]
    work, interrupts = WorkFolder(output), Interrupts()
    course = Varied(shots, work, making.running.means(first.model, making.display.download))

    def made() -> Film | None:
        interrupts.patient = True
        if not _advanced_to_the_end(course, making.display, interrupts):
            return None
        interrupts.patient = False
        kept = [partial(work.kept, number) for number in range(1, len(shots) + 1)]
        # Where the size itself changes, the film is as large as the largest.
        largest = max((still() for still in kept), key=lambda image: image.shape[2:].numel())
        size = frame_size(largest, options.size)
        stills = [partial(_fitted, still, size) for still in kept]
        film = making.write(output, stills, captions, None if running.no_recipe else course.recipe(making.told))
        work.remove()
        return film

    def stopped() -> str:
        if not work.finished:
            return f"stopped: no frame was done, and {output} was not written"
        return f"stopped: {work.finished} of {len(shots)} frames are kept; the same command goes on"

    return _ended(output, making, made, interrupts, stopped)


def _shots(given: Given, variations: Sequence[Variation]) -> list[Technique]:
    """The technique of each frame. Raises PlanError for values that it refuses."""

    def shot(frame: int) -> Technique:
        return given.configured(**{variation.field: variation.values[frame] for variation in variations})

    count = len(variations[0].values)
    for end in (0, count - 1):  # refused, it is one of the numbers that were typed
        shot(end)
    return list(map(shot, range(count)))


def _variations(given: Given, options: AnimateOptions) -> list[Variation]:
    """What changes from frame to frame. Raises PlanError for what cannot, and for what VERB was told as well."""
    found: list[Variation] = []
    frames = options.frames
    if options.between is not None:
        if not issubclass(given.technique, Stylization):
            raise PlanError(
                f"--between leads from style to style of {Stylization.verb()}, not of {given.technique.verb()}"
            )
        plain = given.configured()
        assert isinstance(plain, Stylization)
        names = [name.strip() for name in options.between.split(",")]
        found.append(between(names, plain.trained().names, frames or FRAMES))
        frames = len(found[0].values)
    found += vary(options.vary, given.technique, frames)
    for variation in found:
        if variation.field in given.options:
            told = option_name(variation.field)
            raise PlanError(
                f"{told} changes from frame to frame, and is told to {given.technique.verb()} too: choose one"
            )
    if len({variation.field for variation in found}) < len(found):
        raise PlanError(f"--between leads by --{STYLES}: leave --vary {STYLES} out")
    return found


def _advanced_to_the_end(course: Varied, display: Display, interrupts: Interrupts) -> bool:
    """Make the frames, until the last or a signal; True where all are there."""
    with closing(iter(course)) as steps:
        for progress in steps:
            if progress.step is not None:
                display.note(progress.step.note)
            else:
                display.record({"done": progress.done, "total": progress.total})
                display.work(ANIMATE, progress.done, progress.total)
            if interrupts.received is not None:
                return progress.done == progress.total
    return True


def _ended(
    output: Path, making: Making, made: Callable[[], Film | None], interrupts: Interrupts, stopped: Callable[[], str]
) -> int:
    """Make and write it, tell how that ended; the exit status."""
    display, started = making.display, time.monotonic()
    with interrupts.caught(), display.notices(), display.progress():
        try:
            film = made()
        except KeyboardInterrupt:
            film = None
    if film is None:
        display.note(stopped())
        return interrupts.status
    display.done(output, film.size, time.monotonic() - started, film.frames)
    return interrupts.status


def _captioned(still: Still, text: str) -> Tensor:
    return captioned(still(), text)


def _fitted(still: Still, size: tuple[int, int]) -> Tensor:
    return letterboxed(still(), size)


animate = outer_command(
    _animate,
    ANIMATE,
    """Make a film of pictures, or of one verb's pictures while its options change.

    oneira animate photos/ -o film.mp4 --hold 2 --fade 12 shows pictures one after the other; of other proportions than
    the first one's they stand in the middle of black. oneira animate --vary strength=0:1 stylize cat.jpg makes a
    picture for each value. What is finished is kept beside the film until that is written: the same command goes on.
    """,
    [
        argument("picture", str, f"a picture, or a folder of them, which come by name {PICTURE}", several=True),
        *options_of(AnimateOptions),
        *options_of(FilmLook, without=("most_bytes",), names=NAMES_OF_LOOK),
    ],
    running=AnimateRunning,
    without=WITHOUT,
    worked_on="given",
    usage="Usage: oneira animate [OPTIONS] PICTURE...\n       oneira animate [OPTIONS] VERB [ITS OPTIONS]\n",
)
