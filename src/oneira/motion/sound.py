"""The sound of a clip on its way into another film, as it is: nothing is decoded."""

from collections.abc import Iterator
from contextlib import ExitStack
from fractions import Fraction
from typing import Any, Self

from oneira.motion.decoding import alone
from oneira.motion.extra import required
from oneira.motion.opening import opened
from oneira.motion.reading import Clip


class Sound:
    """The packets of a clip's sound, in the order of its file, as a context within which the file is open.

    Bytes, times and side data of the packets are the clip's own. Raises FilmError where the file cannot be opened.
    """

    def __init__(self, clip: Clip) -> None:
        self._clip = clip
        self._open = ExitStack()

    def __enter__(self) -> Self:
        container = self._open.enter_context(opened(self._clip.path))
        self.templates: list[Any] = list(container.streams.audio)
        alone(container, *self.templates)
        self._packets = _packets(container, self.templates)
        self._waiting: Any = None
        return self

    def __exit__(self, *_: object) -> None:
        self._open.close()

    def until(self, seconds: Fraction | None) -> Iterator[Any]:
        """The packets, as PyAV has them, that come next and are played before `seconds`; None: all that are left.

        `packet.stream` is one of `templates`, PyAV's audio streams.
        """
        while (packet := self._next()) is not None:
            if seconds is not None and (_time(packet) or Fraction(0)) >= seconds:
                self._waiting = packet
                return
            yield packet

    def _next(self) -> Any:
        packet, self._waiting = self._waiting, None
        return next(self._packets, None) if packet is None else packet


def _packets(container: Any, streams: list[Any]) -> Iterator[Any]:
    """All packets with something in them, up to the end or to where the file cannot be read any more."""
    if not streams:
        return
    try:
        for packet in container.demux(streams):
            if packet.size:
                yield packet
    except required("av.error").FFmpegError:
        return


def _time(packet: Any) -> Fraction | None:
    stamp = packet.dts if packet.pts is None else packet.pts
    return None if stamp is None else stamp * packet.time_base
