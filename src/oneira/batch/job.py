"""A job: items handed out one by one, and what came of each."""

from collections.abc import Callable, Generator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Protocol

from oneira.batch.manifest import Item, Manifest, State
from oneira.batch.outcomes import Faulted, Made, Outcome, Refused
from oneira.files import remove_halves
from oneira.images import sidecar_of

TICK = 0.2  # seconds between two looks at whether to stop


@dataclass(frozen=True)
class Settled:
    """An item that came back: `state` is waiting where it will be tried again."""

    item: Item
    state: State
    problem: str | None = None
    seconds: float | None = None
    notes: tuple[str, ...] = ()


class Hands(AbstractContextManager[object], Protocol):
    """Whoever makes items, wherever: between entering and leaving, when what is still being made is dropped.

    An item may be made twice without harm: the same bytes are written to the same place, whole or not at all.
    """

    @property
    def items(self) -> Sequence[Item]:
        """What they are at, or were when they were left."""

    @property
    def idle(self) -> int:
        """How many more items can be given."""

    def give(self, item: Item) -> None:
        """Have one of the idle make it."""

    def wait(self, seconds: float) -> list[tuple[Item, Outcome]]:
        """What has come of items, after so many seconds at the most. Raises BatchError where there is nobody left."""


def work_off(
    manifest: Manifest, hands: Hands, *, tries: int, stopping: Callable[[], bool]
) -> Generator[Settled, None, None]:
    """Have all that waits in `manifest` made, each item until it took a worker along `tries` times.

    Once `stopping`, nothing more is handed out, and what is being made is finished. Closed early, that is dropped and
    waits again. Raises BatchError where nobody can work or the manifest cannot be written, and what concerns all items.
    """
    try:
        with hands:
            while True:
                ending = stopping()
                while hands.idle and not ending:
                    item = manifest.claim()
                    if item is None:
                        break
                    hands.give(item)
                if not hands.items and (ending or not manifest.tally()[State.WAITING]):
                    return
                # All of them before the first is told, whoever listens may stop there.
                yield from [_settled(manifest, item, outcome, tries) for item, outcome in hands.wait(TICK)]
    finally:
        for item in hands.items:
            _remove_halves(item)
            manifest.released(item)


def _settled(manifest: Manifest, item: Item, outcome: Outcome, tries: int) -> Settled:
    if isinstance(outcome, Made):
        manifest.done(item, outcome)
        return Settled(item, State.DONE, None, outcome.seconds, outcome.notes)
    if isinstance(outcome, Refused):
        manifest.failed(item, outcome.problem)
        return Settled(item, State.FAILED, outcome.problem)
    _remove_halves(item)
    if isinstance(outcome, Faulted):
        again = manifest.faulted(item, outcome.problem, tries)
        return Settled(item, State.WAITING if again else State.FAILED, outcome.problem)
    manifest.released(item)
    raise outcome.error


def _remove_halves(item: Item) -> None:
    """What a worker that died at it may have left beside its target."""
    for path in (item.errand.target, sidecar_of(item.errand.target)):
        remove_halves(path)
