"""A technique on a film: frame after frame, each going on from the one beside it, kept until the film is written."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace

import torch
from pydantic import JsonValue
from torch import Tensor

from oneira.errors import FilmError, PlanError
from oneira.features.encoder import Shelf
from oneira.images import Picture, Recipe, read_recipe, resize
from oneira.images.opening import sha256_of
from oneira.motion.coherence import (
    ANCHORED,
    COMPUTED,
    GROWING,
    STEADY,
    Carried,
    Coherence,
    Habit,
    Neighbour,
    going_on,
    require_no_journey,
)
from oneira.motion.flow import find_flow
from oneira.motion.frame import Frame
from oneira.motion.reading import Clip
from oneira.motion.shots import CutFinder
from oneira.motion.work import WorkFolder
from oneira.synthesis.plan import Plan
from oneira.synthesis.run import Declaration, Means
from oneira.synthesis.steps import Step
from oneira.techniques import Technique, located
from oneira.techniques.refusals import option_name

VIDEO = "video"  # how recipes call what makes films
OF_NEIGHBOUR = 0.5  # share of it in what passes after the first begin with (Ruder et al.'s delta)


@dataclass(frozen=True, eq=False)
class _Making:
    """How a frame is made: by a `technique` of its own, and what becomes of the picture `then`.

    `steadied`: what takes the place of the frame, where that was carried over, too.
    """

    technique: Technique
    declaration: Declaration
    then: Callable[[Tensor], Tensor] = lambda image: image
    steadied: Tensor | None = None
    begins_shot: bool = False


@dataclass(frozen=True)
class Filmed:
    """Where a job is: `done` of `total` frames, over all passes; None where the film does not tell how many it has.

    `step` of the frame that is being made; None where one is done. `begins_shot`: nothing of another went into it.
    """

    done: int
    total: int | None
    step: Step | None = None
    begins_shot: bool = False


class Filming:
    """`technique` on `clip`, whose frames take the place of the picture that it works on.

    `work` is where finished frames are kept: what is there is not made again, and ends in the same bytes. Iterate over
    it; then `size`, `frames()` and `recipe()` are there. Where it ends without a finished frame, nothing stays. Raises
    PlanError for options that do not go together.
    """

    def __init__(self, technique: Technique, clip: Clip, work: WorkFolder, coherence: Coherence, means: Means) -> None:
        if coherence.passes > 1 and technique.grows:
            raise PlanError(f"--passes make a frame again of itself, and a {technique.verb()} would grow: leave it out")
        if coherence.keep == 0 and coherence.passes == 1 and (coherence.effort or coherence.temporal_weight):
            raise PlanError("--keep 0 makes each frame on its own: leave --effort and --temporal-weight out")
        self.clip = clip
        self.work = work
        self.verb = technique.verb()
        self._losses: tuple[str, ...] = ()
        self._technique = technique
        self._sources = work.within("sources", depth=16)  # steadied frames are to bring no noise of their own
        self._coherence = coherence
        self._means = replace(means, shelf=Shelf())
        self.flow = find_flow(coherence.flow)
        self._cuts = CutFinder(coherence.cut)
        self._count = clip.count

    def __iter__(self) -> Iterator[Filmed]:
        job = self._job()
        with self.work.held():
            done = self.work.claim(job)
            try:
                yield from self._first_pass(done)
                for number in range(2, self._coherence.passes + 1):
                    yield from self._further_pass(number, done)
            finally:
                if not self.work.finished:
                    self.work.remove()

    def frames(self) -> Iterator[Frame]:
        """The finished film, at the clip's own times; then `notes` tell what was lost of it, too."""
        with self.clip.frames() as frames:
            for number, frame in enumerate(frames, 1):
                yield replace(frame, image=self.work.kept(self._place(self._coherence.passes, number)))
            self._losses = frames.notes

    @property
    def notes(self) -> tuple[str, ...]:
        """What a person may want to know of the pictures that went into it, one line each."""
        return (*self._technique.notes, *self._losses)

    @property
    def count(self) -> int:
        """How many frames the film has, once all are there."""
        assert self._count is not None
        return self._count

    @property
    def size(self) -> tuple[int, int]:
        """(height, width) of the finished frames."""
        height, width = self.work.kept(1).shape[2:]
        return height, width

    def recipe(self, film: Mapping[str, JsonValue]) -> Recipe:
        """How it was made: the technique's recipe, of which each frame carries a copy, and options of the `film`."""
        frame = read_recipe(self.work.path(1))
        options: dict[str, JsonValue] = {
            "verb": frame.technique,
            "options": frame.options,
            "film": dict(film),
            "flow": self.flow.identity,
        }
        return frame.model_copy(update={"technique": VIDEO, "options": options})

    def finish(self) -> None:
        """Remove what was kept: the film is there."""
        self.work.remove()

    def _job(self) -> Mapping[str, object]:
        """All that decides the frames."""
        technique, clip = self._technique, self._technique.worked_on
        return {
            "verb": technique.verb(),
            "options": technique.model_dump(mode="json", exclude=set(technique.input_fields())),
            "clip": self.clip.sha256,
            "inputs": {
                name: ["the clip" if path == clip else [path, sha256_of(located(path))] for path in paths]
                for name, paths in technique.inputs.items()
            },
            "coherence": self._coherence.model_dump(),
            "flow": self.flow.identity,
            "means": self._means.told(),
        }

    def _first_pass(self, done: int) -> Iterator[Filmed]:
        """From the first frame that is not there to the last."""
        before: Neighbour | None = None
        # Later passes count on; and where a source is missing, what follows needs it.
        there = done if self._coherence.passes == 1 else min(done, self._sources.finished)
        number = skipped = max(there - 1, 0)
        with self.clip.frames(skip=skipped) as frames:
            for number, frame in enumerate(frames, skipped + 1):
                source = None if before is None else resize(frame.image, _size(before.result))
                if number > done:
                    making = self._of_first_pass(number, frame.image, source, before)
                    if making.steadied is not None:  # before the result: a frame that is there has its source
                        self._sources.keep(number, making.steadied)
                    yield from self._filmed(number, making)
                result = self.work.kept(number)
                source = resize(frame.image, _size(result)) if source is None else source
                before = self._neighbour(number, source, result)
        if not number:
            raise FilmError(f"{str(self.clip.path)!r} has no frame that can be read")
        self._count = number

    def _neighbour(self, number: int, source: Tensor, result: Tensor) -> Neighbour:
        """What the next frame goes on from; later passes will ask for the `source` again."""
        if self._coherence.passes == 1:
            steadied = self._sources.kept(number) if self._sources.path(number).exists() else None
            return Neighbour(source, result, number, steadied)
        if not self._sources.path(number).exists():
            self._sources.keep(number, source)
        return Neighbour(self._sources.kept(number), result, number)

    def _of_first_pass(
        self, number: int, picture: Tensor, source: Tensor | None, before: Neighbour | None
    ) -> "_Making":
        """`source`: the picture at the size of what was made of the frame `before`; both None for the first one."""
        own = self._at_work_on(picture)
        plan = own.plan()
        if isinstance(plan, Plan) and not (self._coherence.keep == 0 and self._coherence.passes == 1):
            require_no_journey(plan)
        if not isinstance(plan, Plan):
            self._require_no_steps()
        if before is None or source is None or self._cuts.is_cut(before.source, source):
            return _Making(own, plan, begins_shot=True)
        if self._coherence.keep == 0:
            return _Making(own, plan)
        carried = Carried.along(self.flow, before, source, number)
        if not isinstance(plan, Plan):
            steadied = carried.source_over(source, STEADY)
            share = self._coherence.habit(COMPUTED).keep
            own = self._at_work_on(steadied)
            return _Making(own, own.plan(), lambda image: carried.result_over(image, share), steadied=steadied)
        if own.grows:
            start = held = carried.added_to(source, self._habit.keep)
        else:
            start, held = carried.result_on(source, self._habit.keep), carried.result
        return _Making(own, self._going_on(plan, start, carried.mask, held))

    def _further_pass(self, number: int, done: int) -> Iterator[Filmed]:
        """Over all frames again, the other way round than the last time."""
        assert self._count is not None
        neighbour: Neighbour | None = None
        for frame in range(1, self._count + 1) if number % 2 else range(self._count, 0, -1):
            place, source = self._place(number, frame), self._sources.kept(frame)
            if place > done:
                yield from self._filmed(place, self._of_further_pass(number, frame, source, neighbour))
            neighbour = Neighbour(source, self.work.kept(place), frame)

    def _of_further_pass(self, number: int, frame: int, source: Tensor, neighbour: Neighbour | None) -> "_Making":
        """Half of the frame's own earlier result, and half of the neighbour's new one (Ruder et al., section 4.4)."""
        earlier = self.work.kept(self._place(number - 1, frame))
        own = self._at_work_on(source)
        plan = own.plan()
        assert isinstance(plan, Plan)
        if neighbour is None or self._cuts.is_cut(neighbour.source, source):
            return _Making(own, self._going_on(plan, earlier, torch.zeros_like(earlier[:, :1]), earlier))
        carried = Carried.along(self.flow, neighbour, source, frame)
        start, held = carried.result_over(earlier, OF_NEIGHBOUR), carried.result_over(earlier)
        return _Making(own, self._going_on(plan, start, carried.mask, held))

    def _at_work_on(self, picture: Tensor) -> Technique:
        # The one before has read all other inputs: they are read once for a film.
        picture_of_clip = Picture(picture, path=self.clip.path, sha256=self.clip.sha256)
        self._technique = self._technique.of(str(self.clip.path), picture_of_clip)
        return self._technique

    def _going_on(self, plan: Plan, start: Tensor, mask: Tensor, held: Tensor) -> Plan:
        return going_on(plan, start, mask, held, self._habit, grows=self._technique.grows)

    @property
    def _habit(self) -> Habit:
        """Of pictures that are optimised."""
        return self._coherence.habit(GROWING if self._technique.grows else ANCHORED)

    def _filmed(self, place: int, making: "_Making") -> Iterator[Filmed]:
        """Make a picture, and keep it."""
        run = making.declaration.begin(self._means)
        for step in run:
            yield Filmed(place - 1, self._total, step)
        image = making.then(making.technique.finished(run))
        self._require_proportions(image)
        self.work.keep(place, image, making.technique.recipe(run))
        yield Filmed(place, self._total, begins_shot=making.begins_shot)

    def _require_no_steps(self) -> None:
        """PlanError for what is said of steps, where pictures are made without."""
        told = {"passes": self._coherence.passes > 1}
        told |= {name: getattr(self._coherence, name) is not None for name in ("effort", "temporal_weight")}
        for name, is_told in told.items():
            if is_told:
                raise PlanError(f"{option_name(name)} is for what is made step by step, not for {self.verb}")

    def _require_proportions(self, image: Tensor) -> None:
        """PlanError where frames are to go on from a picture that is not laid out as they are, such as a sheet."""
        (height, width), (rows, columns) = self.clip.size, _size(image)
        if self._coherence.keep != 0 and abs(rows * width - columns * height) > max(height, width):
            raise PlanError(
                f"{self.verb} makes pictures of {columns}x{rows} of frames of {width}x{height}: "
                "none can go on from another; make each on its own by --keep 0"
            )

    def _place(self, number: int, frame: int) -> int:
        """Where a frame of a pass is kept: in the order in which they are made."""
        if number == 1:
            return frame
        assert self._count is not None
        return (number - 1) * self._count + (frame if number % 2 else self._count + 1 - frame)

    @property
    def _total(self) -> int | None:
        return None if self._count is None else self._count * self._coherence.passes


def _size(image: Tensor) -> tuple[int, int]:
    return image.shape[2], image.shape[3]
