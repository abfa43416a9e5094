"""Random pieces of pictures, decoded in the background, the same for the same seed and step."""

from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Generic, TypeVar

import torch
from torch import Tensor

from oneira.features.training.randomness import Seeded
from oneira.feedforward.training.pictures import Pictures, readable
from oneira.images import resize

AHEAD = 2  # batches that are prepared while the network works on the one before
Made = TypeVar("Made")


@dataclass(frozen=True)
class Crops:
    """Squares out of `pictures`, in an order and at places that `seeded` decides.

    A square has a random share of the picture's shorter side, `smallest` or above, and is mirrored half of the time:
    things come in many sizes.
    """

    pictures: Pictures
    seeded: Seeded
    smallest: float = 0.6

    def square(self, number: int, side: int) -> Tensor:
        """(1, 3, side, side): every picture comes once before any comes again."""
        epoch, place = divmod(number, len(self.pictures))
        order = torch.randperm(len(self.pictures), generator=self.seeded.generator("order", epoch))
        picture = readable(self.pictures, int(order[place]))
        share, down, across, mirrored = torch.rand(4, generator=self.seeded.generator("crops", number)).tolist()
        height, width = picture.shape[2:]
        cut = max(1, round(min(height, width) * (self.smallest + (1 - self.smallest) * share)))
        top, left = round(down * (height - cut)), round(across * (width - cut))
        square = resize(picture[:, :, top : top + cut, left : left + cut], (side, side))
        return square.flip(3) if mirrored < 0.5 else square


class Ahead(Generic[Made]):
    """`make(step)` for one step after the other, computed in a thread of its own a few steps ahead."""

    def __init__(self, make: Callable[[int], Made], steps: Iterator[int], pool: ThreadPoolExecutor) -> None:
        self._make = make
        self._steps = steps
        self._pool = pool
        self._waiting: deque[Future[Made]] = deque()
        for _ in range(AHEAD):
            self._begin()

    def __iter__(self) -> Iterator[Made]:
        """In the order of the steps; what `make` raises is raised where its result would have come."""
        while self._waiting:
            made = self._waiting.popleft().result()
            self._begin()
            yield made

    def _begin(self) -> None:
        step = next(self._steps, None)
        if step is not None:
            self._waiting.append(self._pool.submit(self._make, step))


@contextmanager
def ahead(make: Callable[[int], Made], steps: Iterator[int]) -> Iterator[Ahead[Made]]:
    """An Ahead whose thread ends with the block."""
    pool = ThreadPoolExecutor(1)
    try:
        yield Ahead(make, steps, pool)
    finally:
        pool.shutdown(cancel_futures=True)
