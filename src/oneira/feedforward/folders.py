"""Many pictures from files to files: decoded and encoded beside the network, which is what takes the time."""

from collections import deque
from collections.abc import Generator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

from torch import Tensor

from oneira.errands import Errand
from oneira.errors import OneiraError
from oneira.feedforward.painter import Painter
from oneira.feedforward.redrawing import Redrawing, SinglePass
from oneira.feedforward.stylization import Stylization
from oneira.images import Recipe, save

WAITING = 2  # pictures before the network, and as many behind it
WRITERS = 2  # PNG takes longer to encode than the network takes to draw


@dataclass(frozen=True)
class Delivered:
    """What came of an errand: the (height, width) of the picture that is there now, or the `problem` with it."""

    errand: Errand
    size: tuple[int, int] | None = None
    notes: tuple[str, ...] = ()
    problem: str | None = None


@dataclass(frozen=True)
class Writing:
    """How pictures are written, see `oneira.images.save`; `recipes`: whether they go into them."""

    depth: int = 8
    sidecar: bool = False
    recipes: bool = True


@dataclass(frozen=True, eq=False)
class _Loaded:
    errand: Errand
    technique: Stylization
    redrawing: Redrawing


@dataclass(frozen=True, eq=False)
class _Painted:
    errand: Errand
    technique: Stylization
    image: Tensor
    recipe: Recipe | None


def paint_all(
    technique: Stylization,
    errands: Sequence[Errand],
    writing: Writing,
    *,
    device: str = "auto",
    precision: str = "auto",
) -> Generator[Delivered, None, None]:
    """Paint as `technique` paints its own picture, to the same bytes; one Delivered per errand, in their order.

    A picture that cannot be read, painted or written is no reason to stop. Closed early, what has been painted is
    written whole, and nothing else. Raises PlanError and WeightsError for what concerns all of them.
    """
    painter = technique.brush().painter(device, precision)
    loaded: deque[Future[_Loaded | Delivered]] = deque()
    written: deque[Future[Delivered]] = deque()
    with ThreadPoolExecutor(1) as reader, ThreadPoolExecutor(WRITERS) as writers:
        try:
            for number in range(len(errands)):
                for errand in errands[number + len(loaded) : number + WAITING + 1]:
                    loaded.append(reader.submit(_load, technique, errand))
                painted = _paint(loaded.popleft().result(), painter, writing)
                written.append(writers.submit(_write, painted, writing))
                while len(written) > WAITING:
                    yield written.popleft().result()
            for future in written:
                yield future.result()
        finally:
            for waiting in loaded:
                waiting.cancel()


def _load(technique: Stylization, errand: Errand) -> _Loaded | Delivered:
    try:
        own = technique.of(str(errand.source))
        return _Loaded(errand, own, own.plan())
    except OneiraError as error:
        return Delivered(errand, problem=str(error))


def _paint(loaded: _Loaded | Delivered, painter: Painter, writing: Writing) -> _Painted | Delivered:
    if isinstance(loaded, Delivered):
        return loaded
    run = SinglePass(loaded.redrawing, painter)
    try:
        image = loaded.technique.finished(run)
        recipe = loaded.technique.recipe(run) if writing.recipes else None
    except OneiraError as error:
        return Delivered(loaded.errand, problem=str(error))
    return _Painted(loaded.errand, loaded.technique, image, recipe)


def _write(painted: _Painted | Delivered, writing: Writing) -> Delivered:
    if isinstance(painted, Delivered):
        return painted
    image, target = painted.image, painted.errand.target
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        alpha = painted.technique.transparency(image)
        save(target, image, alpha=alpha, recipe=painted.recipe, depth=writing.depth, sidecar=writing.sidecar)
    except OneiraError as error:
        return Delivered(painted.errand, problem=str(error))
    except OSError as error:
        return Delivered(painted.errand, problem=f"cannot write {str(target)!r}: {error.strerror or error}")
    return Delivered(painted.errand, (image.shape[2], image.shape[3]), painted.technique.notes)
