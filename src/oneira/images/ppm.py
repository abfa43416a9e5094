"""Frames of a film as PPM pictures, one after the other, as `ffmpeg -f image2pipe -c:v ppm` writes and reads them."""

import re
from typing import IO

import numpy as np
from torch import Tensor

from oneira.errors import ImageError
from oneira.images.levels import FULL, from_levels, levels_of
from oneira.images.picture import MAX_PIXELS

LONGEST_HEADER = 1024  # bytes, comments included
# Numbers stand apart by blanks, or by comments, which end with the line; a single blank ends the header.
HEADER = re.compile(rb"P6(?:\s|#[^\n]*\n)+(\d+)(?:\s|#[^\n]*\n)+(\d+)(?:\s|#[^\n]*\n)+(\d+)\s\Z")


def read_frame(stream: IO[bytes], name: str) -> Tensor | None:
    """The next frame (1, 3, h, w) in [0, 1], or None at the end; `name` is how errors call the stream.

    Raises ImageError where what comes is no binary PPM (P6) of 8 bits, too large, or ends before the frame does.
    """
    header = _header(stream, name)
    if header is None:
        return None
    width, height, full = header
    if full != FULL:
        raise ImageError(f"{name} has PPM frames with samples up to {full}; up to {FULL} are read")
    if not 0 < width * height <= MAX_PIXELS:
        raise ImageError(f"{name} has a frame of {width} x {height} pixels; 1 to {MAX_PIXELS:,} are read")
    wanted = width * height * 3
    data = _read(stream, wanted)
    if len(data) < wanted:
        raise ImageError(f"{name} ends inside a frame: {len(data):,} of its {wanted:,} bytes came")
    return from_levels(np.frombuffer(data, np.uint8).reshape(height, width, 3))


def ppm_frame(image: Tensor) -> bytes:
    """`image` (1, 3, h, w) as a frame; what lies outside [0, 1] is clamped, then rounded to the nearest level."""
    height, width = image.shape[2:]
    return b"P6\n%d %d\n%d\n" % (width, height, FULL) + levels_of(image).tobytes()


def _header(stream: IO[bytes], name: str) -> tuple[int, int, int] | None:
    """Width, height and largest sample; None where nothing comes any more."""
    header = stream.read(1)
    if not header:
        return None
    while (found := HEADER.match(header)) is None:
        byte = stream.read(1)
        if not byte:
            raise ImageError(f"{name} ends inside the header of a frame")
        header += byte
        if not b"P6".startswith(header[:2]) or len(header) > LONGEST_HEADER:
            raise ImageError(f"{name} holds no binary PPM frames (P6); let ffmpeg write -f image2pipe -c:v ppm")
    width, height, full = (int(number) for number in found.groups())
    return width, height, full


def _read(stream: IO[bytes], count: int) -> bytearray:
    """`count` bytes, or what comes of them before the end: pipes give less at a time."""
    data = bytearray()
    while len(data) < count:
        part = stream.read(count - len(data))
        if not part:
            break
        data += part
    return data
