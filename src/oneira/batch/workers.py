"""Processes that make items, so that one that dies takes a single item along."""

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from types import TracebackType
from typing import Self

import torch

from oneira.batch.making import Maker, Order
from oneira.batch.manifest import Item
from oneira.batch.outcomes import Faulted, Outcome
from oneira.errors import BatchError
from oneira.features.hardware import keep_freed_memory

READY = "ready"
STILLBORN = 3  # workers in a row that die before they are ready: then no other will live
PATIENCE = 10.0  # seconds that an idle worker has to end
ENDING = (signal.SIGINT, signal.SIGTERM)

Serve = Callable[[Connection, Order], None]


@dataclass(eq=False)
class _Worker:
    process: BaseProcess
    connection: Connection
    ready: bool = False
    item: Item | None = None


class Crew:
    """`size` processes that make items of an `order`; started when entered, gone when left, with what they were at.

    `serve` is what they do. It is a process's whole life, and its first word is READY.
    """

    def __init__(self, order: Order, size: int, serve: "Serve | None" = None) -> None:
        self._order = order
        self._size = size
        self._serve = serve or serve_items
        self._workers: list[_Worker] = []
        self._stillborn = 0

    def __enter__(self) -> Self:
        self._fill()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        for worker in self._workers:
            if worker.item is not None or not worker.ready:
                worker.process.kill()
            worker.connection.close()  # which those that wait for an item take for the end
        for worker in self._workers:
            worker.process.join(PATIENCE)
            if worker.process.exitcode is None:
                worker.process.kill()
                worker.process.join()

    @property
    def items(self) -> Sequence[Item]:
        """What they are at."""
        return [worker.item for worker in self._workers if worker.item is not None]

    @property
    def processes(self) -> Sequence[int]:
        """The process ids of those that are ready."""
        return [worker.process.pid for worker in self._workers if worker.ready and worker.process.pid is not None]

    @property
    def idle(self) -> int:
        """How many are ready for an item."""
        return sum(worker.ready and worker.item is None for worker in self._workers)

    def give(self, item: Item) -> None:
        """Have an idle one make it."""
        worker = next(worker for worker in self._workers if worker.ready and worker.item is None)
        worker.item = item
        with suppress(OSError):  # of a worker that has died; `wait` tells
            worker.connection.send(item.errand)

    def wait(self, seconds: float) -> list[tuple[Item, Outcome]]:
        """What has come of items, after so many seconds at the most; a worker that died is replaced.

        Raises BatchError where none lives long enough to take an item.
        """
        came = []
        for connection in wait([worker.connection for worker in self._workers], seconds):
            worker = next(worker for worker in self._workers if worker.connection is connection)
            item = worker.item
            outcome = self._told_by(worker)
            if outcome is not None and item is not None:
                worker.item = None
                came.append((item, outcome))
        self._fill()
        return came

    def _told_by(self, worker: _Worker) -> Outcome | None:
        try:
            told = worker.connection.recv()
        except (EOFError, OSError):
            return self._buried(worker)
        if told == READY:
            worker.ready, self._stillborn = True, 0
            return None
        assert isinstance(told, Outcome)
        return told

    def _buried(self, worker: _Worker) -> Outcome:
        worker.connection.close()
        worker.process.join(PATIENCE)
        self._workers.remove(worker)
        how = _ended(worker.process.exitcode)
        if not worker.ready:
            self._stillborn += 1
            if self._stillborn >= STILLBORN:
                raise BatchError(f"no worker can be started: {how}; what is done is kept")
        return Faulted(f"its worker {how}")

    def _fill(self) -> None:
        context = multiprocessing.get_context("spawn")  # what torch has started survives no fork
        while len(self._workers) < self._size:
            ours, theirs = context.Pipe()
            process = context.Process(target=self._serve, args=(theirs, self._order), daemon=True)
            with _signals_held():
                process.start()
            theirs.close()
            self._workers.append(_Worker(process, ours))


def serve_items(connection: Connection, order: Order) -> None:
    """A worker's life: make what comes, until nothing can come any more."""
    _end_with_parent()
    keep_freed_memory()
    torch.set_num_threads(order.threads)
    maker = Maker(order)
    with suppress(EOFError, OSError):
        connection.send(READY)
        while True:
            errand = connection.recv()
            connection.send(maker.make(errand))


def _end_with_parent() -> None:
    """Have the process end at once when the one that started it does: another may be at the same items by then."""
    parent = multiprocessing.parent_process()
    assert parent is not None, "a worker has been started by somebody"

    def watch(sentinel: int) -> None:
        wait([sentinel])
        os._exit(1)

    threading.Thread(target=watch, args=(parent.sentinel,), daemon=True).start()


@contextmanager
def _signals_held() -> Iterator[None]:
    """Within, SIGINT and SIGTERM wait; processes that are started leave them to the one that starts them, for ever."""
    resource_tracker.ensure_running()  # started later, it would let them through
    before = signal.pthread_sigmask(signal.SIG_BLOCK, ENDING)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _ended(code: int | None) -> str:
    if code is not None and code < 0:
        return f"was killed by {signal.Signals(-code).name}" + (", for want of memory perhaps" if code == -9 else "")
    return f"ended with status {code}"
