"""Frames of a film on their way: each is painted, and passed on before the next one is looked at."""

from collections.abc import Iterator
from typing import IO

from oneira.feedforward.stylization import Stylization
from oneira.images import ppm_frame, read_frame


def paint_frames(
    technique: Stylization,
    incoming: IO[bytes],
    outgoing: IO[bytes],
    name: str,
    *,
    device: str = "auto",
    precision: str = "auto",
) -> Iterator[tuple[int, int]]:
    """PPM frames in, PPM frames out, as `technique` paints its own picture; the (height, width) of each that is out.

    Their sizes may change. `name` is how errors call `incoming`. Raises ImageError as `read_frame` does, PlanError and
    WeightsError for what concerns all frames, PlanError for a frame that the mask does not fit, and what `outgoing`
    raises.
    """
    painter = technique.brush().painter(device, precision)
    while (frame := read_frame(incoming, name)) is not None:
        technique.require_fit(frame)
        painted = painter(frame)
        outgoing.write(ppm_frame(painted))
        outgoing.flush()
        yield painted.shape[2], painted.shape[3]
