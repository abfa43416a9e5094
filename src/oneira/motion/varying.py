"""One technique, many pictures: options that are something else in every frame, and the frames, made one by one."""

import math
from collections.abc import Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any, get_args

from pydantic.fields import FieldInfo

from oneira.errors import PlanError, nearest, one_of
from oneira.features.encoder import Shelf
from oneira.images import InputFile, Recipe, read_recipe, side_by_side
from oneira.images.opening import sha256_of
from oneira.motion.slides import opaque
from oneira.motion.work import WorkFolder
from oneira.synthesis.run import Means
from oneira.synthesis.steps import Step
from oneira.techniques import Technique, located
from oneira.techniques.refusals import option_name

ANIMATE = "animate"  # how recipes call what makes these films
FRAMES = 24  # where nothing says how many
LOGARITHMIC = "log"
DIGITS = 6  # of interpolated numbers: none of them is meant more exactly
STYLES = "blend"  # the option that leads from style to style


@dataclass(frozen=True)
class Variation:
    """What the option `field` of a technique is in each frame, and how each of the `values` is said in a caption."""

    field: str
    values: tuple[Any, ...]
    captions: tuple[str, ...]


@dataclass(frozen=True)
class Course:
    """`OPTION=FROM:TO`, `OPTION=FROM:TO:log` or `OPTION=a,b,c` of a technique, as it is typed.

    `ends`: numbers to go between, evenly, or by equal factors where it is `logarithmic`; `whole`: in whole numbers.
    Else `listed` has a value for each frame.
    """

    field: str
    ends: tuple[float, float] | None = None
    logarithmic: bool = False
    whole: bool = False
    listed: tuple[Any, ...] = ()

    @classmethod
    def parse(cls, text: str, technique: type[Technique]) -> "Course":
        """Raises PlanError, in one line, for what is none, or not of an option that the technique has."""
        told, equals, values = text.partition("=")
        if not (equals and values):
            raise PlanError(
                f"--vary {text!r} tells no values; write OPTION=FROM:TO, OPTION=FROM:TO:log or OPTION=a,b,c"
            )
        field = _field_called(told, technique)
        number = _kind_of_number(technique.model_fields[field])
        if number is None or ":" not in values:
            listed = tuple(value.strip() for value in values.split(","))
            return cls(field, listed=tuple(value if number is None else _value(value) for value in listed))
        first, last, *scale = values.split(":")
        ends = _number(first), _number(last)
        if ends[0] is None or ends[1] is None or scale not in ([], [LOGARITHMIC]):
            raise PlanError(f"--vary {text!r} is no course; write {told}=FROM:TO, two numbers, or {told}=FROM:TO:log")
        if scale and min(ends[0], ends[1]) <= 0:
            raise PlanError(f"--vary {text!r} goes by equal factors, which need numbers above 0")
        return cls(field, (ends[0], ends[1]), bool(scale), number is int)

    def over(self, frames: int) -> Variation:
        """In so many frames, the ends among them; as many as are `listed` where they are."""
        values = self.listed if self.ends is None else tuple(self._at(frame, frames) for frame in range(frames))
        told = option_name(self.field)[2:]
        return Variation(self.field, values, tuple(f"{told} {_said(value)}" for value in values))

    def _at(self, frame: int, frames: int) -> float:
        assert self.ends is not None
        first, last = self.ends
        share = frame / max(1, frames - 1)
        number = first * (last / first) ** share if self.logarithmic else first + (last - first) * share
        return round(number) if self.whole else float(f"{number:.{DIGITS}g}")


def vary(texts: Sequence[str], technique: type[Technique], frames: int | None) -> list[Variation]:
    """What `texts` say, each as `Course.parse` has it, all over the same number of frames.

    Raises PlanError for an option that is told twice, and for lists that have not as many values as there are frames.
    """
    courses = [Course.parse(text, technique) for text in texts]
    lengths = {len(course.listed) for course in courses if course.listed}
    count = frames or (max(lengths) if lengths else FRAMES)
    for course in courses:
        if course.listed and len(course.listed) != count:
            whence = "other options and --frames say"
            raise PlanError(
                f"{option_name(course.field)} has {len(course.listed)} values where {whence} {count} frames"
            )
    fields = [course.field for course in courses]
    for field in fields:
        if fields.count(field) > 1:
            raise PlanError(f"--vary tells {option_name(field)[2:]} twice: once is enough")
    return [course.over(count) for course in courses]


def between(names: Sequence[str], known: Sequence[str], frames: int) -> Variation:
    """From style to style, in `frames` steps each, by shares; the last one is reached.

    Raises PlanError for fewer than two `names`, and for one that is not `known`.
    """
    if len(names) < 2:
        raise PlanError(f"--between needs at least two styles, such as {','.join(known[:2])}")
    for name in names:
        one_of("style", name, known)
    blends, captions = [f"{names[0]}=1"], [names[0]]
    for here, there in pairwise(names):
        for step in range(1, frames + 1):
            share = step / frames
            # A style that comes twice in a row would be a blend with one name told twice.
            mixed = share < 1 and here != there
            blends.append(f"{here}={1 - share:.{DIGITS}g},{there}={share:.{DIGITS}g}" if mixed else f"{there}=1")
            captions.append(f"{here} {1 - share:.0%}, {there} {share:.0%}" if mixed else there)
    return Variation(STYLES, tuple(blends), tuple(captions))


@dataclass(frozen=True)
class Progress:
    """`done` of `total` frames; `step` of the next, where one has been taken."""

    done: int
    total: int
    step: Step | None = None


class Varied:
    """The pictures of `shots`, one technique for each frame, made by `means`.

    Iterate over it; what `work` has from an earlier time is not made again. Then the frames are there.
    Raises CheckpointError where `work` holds other frames, FilmError where it cannot be written.
    """

    def __init__(self, shots: Sequence[Technique], work: WorkFolder, means: Means) -> None:
        self._shots = shots
        self._work = work
        self._means = replace(means, shelf=Shelf())

    def __iter__(self) -> Generator[Progress, None, None]:
        job, total = self._job(), len(self._shots)
        with self._work.held():
            done = self._work.claim(job)
            try:
                yield Progress(done, total)
                for number, technique in enumerate(self._shots[done:], done + 1):
                    yield from self._steps(number, technique)
                    yield Progress(number, total)
            finally:
                if not self._work.finished:
                    self._work.remove()

    def recipe(self, varied: Mapping[str, Any]) -> Recipe:
        """How the film was made: the first frame's recipe, but for what is `varied`, and the inputs of all frames."""
        frames = [read_recipe(self._work.path(number)) for number in range(1, len(self._shots) + 1)]
        first = frames[0]
        options = {"verb": first.technique, "options": first.options, **varied}
        weights = {name: sha256 for frame in frames for name, sha256 in frame.weights.items()}
        inputs: dict[str, list[InputFile]] = {}
        for frame in frames:
            for name, files in frame.input_files.items():
                there = inputs.setdefault(name, [])
                there += [file for file in files if file not in there]
        told = {name: tuple(files) if len(files) > 1 else files[0] for name, files in inputs.items()}
        return first.model_copy(update={"technique": ANIMATE, "options": options, "inputs": told, "weights": weights})

    def _steps(self, number: int, technique: Technique) -> Iterator[Progress]:
        """Make a frame, and keep it."""
        run = technique.plan().begin(self._means)
        for step in run:
            yield Progress(number - 1, len(self._shots), step)
        image = technique.finished(run)
        image = side_by_side(image) if len(image) > 1 else image
        self._work.keep(number, opaque(image, technique.transparency(image)), technique.recipe(run))

    def _job(self) -> Mapping[str, object]:
        """All that decides the frames."""
        first = self._shots[0]
        told = [
            {**shot.model_dump(mode="json", exclude=set(shot.input_fields())), **shot.inputs} for shot in self._shots
        ]
        paths = {path for shot in self._shots for path in shot.input_paths}
        return {
            "verb": first.verb(),
            "options": told[0],
            "changes": [{name: value for name, value in each.items() if value != told[0][name]} for each in told],
            "files": {path: sha256_of(located(path)) for path in sorted(paths)},
            "means": self._means.told(),
        }


def _field_called(told: str, technique: type[Technique]) -> str:
    """The field whose option is called so, with hyphens before it or without."""
    fields = {option_name(name): name for name in technique.model_fields}
    fields |= {other: name for name, other in technique.also_called.items()}
    name = f"--{told.strip().lstrip('-')}"
    if name not in fields:
        raise PlanError(f"{technique.verb()} has no option {name}{nearest(name, fields)}")
    return fields[name]


def _kind_of_number(field: FieldInfo) -> type[int] | type[float] | None:
    """What an option that is a number, or several, is counted in; None where it is none."""
    kinds = set(_kinds(field.annotation))
    return float if float in kinds else int if int in kinds else None


def _kinds(annotation: Any) -> Iterator[Any]:
    yield annotation
    for inner in get_args(annotation):
        if isinstance(inner, type) or get_args(inner):
            yield from _kinds(inner)


def _number(text: str) -> float | None:
    """A whole one as such; None for what is none, or not finite."""
    try:
        number = float(text)
    except ValueError:
        return None
    return None if not math.isfinite(number) else int(number) if number.is_integer() else number


def _value(text: str) -> float | str:
    """What an option that is a number is told; what is none will be refused by the option itself."""
    number = _number(text)
    return text if number is None else number


def _said(value: Any) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)
