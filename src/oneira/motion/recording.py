"""The pictures of a run on their way into a film: kept while it goes on, so that memory stays what it is."""

from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction
from functools import partial
from pathlib import Path

import torch
from torch import Tensor

from oneira.errors import CheckpointError, PlanError
from oneira.images import Recipe, resize
from oneira.motion.reel import Reel, Still
from oneira.motion.work import WorkFolder
from oneira.motion.writing import write_film
from oneira.synthesis.steps import Step

ABOUT = 100  # frames, where nobody says how many steps lie between two

Arrangement = Callable[[Sequence[Still]], Sequence[Still]]


class Recording:
    """The film `path` of a run, at `rate` frames a second.

    `every` (at least 1): a frame whenever so many steps more are done, and one before the first step; None: so that
    about 100 come. `stages`: a frame where a stage ends, instead. The last step always gives one. Frames lie as files
    of 8 bits in `path`.frames until the film is written.

    Begin with `claim`, give every step to `take`, and save `state()` with every checkpoint: a recording that goes on
    from one, behind a run that does, ends in the same film.
    """

    def __init__(self, path: Path, rate: Fraction, *, every: int | None = None, stages: bool = False) -> None:
        self.path = path
        self._rate = rate
        self._every = every
        self._stages = stages
        self._work = WorkFolder(path)
        self._claimed = False
        self._count = 0
        self._done = 0

    @property
    def count(self) -> int:
        """How many frames there are so far."""
        return self._count

    def claim(self, run: Mapping[str, object], state: Mapping[str, int] | None = None) -> None:
        """Begin, or go on from a checkpoint's `state`; frames behind it, which will be made again, are removed.

        `run`: what decides its pictures, as JSON. Raises CheckpointError where frames of another run are in the way, or
        not all that should be there are; FilmError where none can be kept.
        """
        there = self._work.claim({"run": run, "every": self._every, "stages": self._stages})
        self._claimed = True
        if state is not None:
            self._count, self._done = int(state["frames"]), int(state["done"])
        if there < self._count:
            raise CheckpointError(
                f"{str(self._work.folder)!r} holds {there} of the {self._count} frames that go before; start without it"
            )
        self._work.forget_after(self._count)

    def begin(self, picture: Callable[[], Tensor]) -> None:
        """Keep the picture before the first step, unless frames are stages, or there are some already."""
        if not self._stages and not self._count:
            self._keep(picture())

    def take(self, step: Step, picture: Callable[[], Tensor]) -> None:
        """Keep the picture (1, 3, h, w) behind `step`, if a frame is due. Raises FilmError where the disk refuses."""
        if self._due(step):
            self._keep(picture())
        self._done = step.done

    def state(self) -> dict[str, int]:
        """How far it is, for `claim`."""
        return {"frames": self._count, "done": self._done}

    def write(self, recipe: Recipe | None, arranged: Arrangement | None = None) -> None:
        """Write the film of the frames so far, all at the size of the last one, as `arranged` puts them.

        Raises FilmError where it cannot be written, PlanError where there is no frame.
        """
        if not self._count:
            raise PlanError(f"there is no frame yet of the film {str(self.path)!r}")
        height, width = self._work.kept(self._count).shape[2:]
        stills: Sequence[Still] = [
            partial(self._frame, number, (height, width)) for number in range(1, self._count + 1)
        ]
        reel = Reel.steady(stills if arranged is None else arranged(stills), self._rate)
        write_film(self.path, reel, size=(height, width), rate=self._rate, recipe=recipe)

    def remove(self) -> None:
        """Remove the frames, if they are this recording's: the film is written, or nobody will go on from here."""
        if self._claimed:
            self._work.remove()

    def _due(self, step: Step) -> bool:
        if step.done == step.total:
            return True
        if self._stages:
            return step.stage is not None
        # Steps of a patchwork are pixels, of which many are done at once.
        every = self._every or -(-step.total // ABOUT)
        return step.done // every > self._done // every

    def _keep(self, image: Tensor) -> None:
        self._work.keep(self._count + 1, image)
        self._count += 1

    def _frame(self, number: int, size: tuple[int, int]) -> Tensor:
        return filling(self._work.kept(number), size)


def filling(image: Tensor, size: tuple[int, int]) -> Tensor:
    """(1, 3, h, w) -> (1, 3, *size): resized; where proportions are others, on white.

    Early octaves are smaller than the picture in the end, whose proportions they have but for whole pixels; sheets have
    others as long as they grow.
    """
    (height, width), (tall, wide) = image.shape[2:], size
    if abs(height - width * tall / wide) <= 1 or abs(width - height * wide / tall) <= 1:
        return resize(image, size)
    factor = min(tall / height, wide / width)
    fitted = resize(image, (max(1, round(height * factor)), max(1, round(width * factor))))
    above, left = (tall - fitted.shape[2]) // 2, (wide - fitted.shape[3]) // 2
    canvas = torch.ones(1, 3, tall, wide)
    canvas[..., above : above + fitted.shape[2], left : left + fitted.shape[3]] = fitted
    return canvas
