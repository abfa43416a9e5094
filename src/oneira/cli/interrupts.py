"""SIGINT and SIGTERM, asked for politely."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


class Interrupts:
    """While `patient`, the first signal is only noted in `received`; otherwise, and the second time, it interrupts.

    It then raises KeyboardInterrupt, so that half-written files are removed on the way out.
    """

    def __init__(self) -> None:
        self.received: int | None = None
        self.patient = False

    @contextmanager
    def caught(self) -> Iterator[None]:
        """Within, signals come here."""
        before = {number: signal.signal(number, self._note) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    @property
    def status(self) -> int:
        """The exit status that tells of the signal: 128 + its number; 0 where none came."""
        return 0 if self.received is None else 128 + self.received

    def _note(self, number: int, _: FrameType | None) -> None:
        at_once = self.received is not None or not self.patient
        self.received = number
        if at_once:
            raise KeyboardInterrupt
