"""SIGINT and SIGTERM, asked for politely."""

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


class Interrupts:
    """The first signal waits for the step to end, a second ends the program at once."""

    def __init__(self) -> None:
        self.received: int | None = None

    @contextmanager
    def caught(self) -> Iterator[None]:
        """Within, the signals are noted here instead of raising wherever the program happens to be."""
        before = {number: signal.signal(number, self._note) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _note(self, number: int, _: FrameType | None) -> None:
        if self.received is not None:
            os._exit(128 + number)
        self.received = number
