"""GIF (GIF89a): one palette for the whole film, and of each frame only what changes."""

from collections.abc import Iterable, Iterator
from fractions import Fraction
from struct import pack
from typing import IO

import numpy as np
from PIL import Image
from PIL.GifImagePlugin import getdata

from oneira.images.notices import notice
from oneira.images.palette import Dither, Indices, Levels, Palette
from oneira.images.ticks import Ticks

MOST_COLOURS = 255
_AS_BEFORE = 255  # the place of the table that is no colour
_HUNDREDTHS = 100
_SLOW = 2  # hundredths; what is shorter is shown for ten by browsers
_LONGEST = 0xFFFF


def write_gif(
    file: IO[bytes],
    frames: Iterable[tuple[Levels, Fraction]],
    palette: Palette,
    *,
    plays: int,
    dither: Dither,
    comment: str | None,
) -> None:
    """Write `frames`, their levels and seconds, in at most 255 colours; `plays` 0 is without end."""
    clock, before, slow = Ticks(_HUNDREDTHS, _LONGEST), None, 0
    for levels, seconds in frames:
        indices = palette.nearest(levels, dither)
        if before is None:
            for part in _head(indices, palette, plays, comment):
                file.write(part)
        hundredths = clock.of(seconds)
        for part in _frame(indices, before, hundredths):
            file.write(part)
        slow += hundredths < _SLOW
        before = indices
    file.write(b";")
    if slow:
        notice(f"{slow} frames are seen for less than 2 hundredths of a second, which most players show for 10")


def _head(indices: Indices, palette: Palette, plays: int, comment: str | None) -> Iterator[bytes]:
    height, width = indices.shape
    yield b"GIF89a" + pack("<HHBBB", width, height, 0xF7, 0, 0)  # a table of 256 colours of 8 bits
    yield palette.colours.tobytes().ljust(3 * 256, b"\0")
    if plays != 1:
        # How often it is played again; a film without this is played once.
        yield b"!\xff\x0bNETSCAPE2.0\x03\x01" + pack("<HB", max(0, plays - 1), 0)
    if comment is not None:
        yield b"!\xfe" + _blocks(comment.encode())


def _blocks(data: bytes) -> bytes:
    blocks = [data[start : start + 255] for start in range(0, len(data), 255)]
    return b"".join(bytes([len(block)]) + block for block in blocks) + b"\0"


def _frame(indices: Indices, before: Indices | None, hundredths: int) -> Iterator[bytes]:
    if before is None:
        drawn, holes = _drawn(indices, 0, 0), False
    else:
        drawn, holes = _change(indices, before)
    # What is drawn stays (disposal 1); `holes` show what was there.
    yield b"!\xf9\x04" + pack("<BHBB", 4 | holes, hundredths, _AS_BEFORE, 0)
    yield drawn


def _change(indices: Indices, before: Indices) -> tuple[bytes, bool]:
    """What is to be drawn over `before`, and whether there are holes in it."""
    changed = indices != before
    left, top, right, bottom = _bounds(changed)
    part, changed = indices[top:bottom, left:right], changed[top:bottom, left:right]
    whole = _drawn(part, left, top)
    if changed.all():
        return whole, False
    # Holes, within what repeats itself, can cost more than they save.
    pierced = _drawn(np.where(changed, part, np.uint8(_AS_BEFORE)), left, top)
    return (pierced, True) if len(pierced) < len(whole) else (whole, False)


def _bounds(changed: np.ndarray[tuple[int, ...], np.dtype[np.bool_]]) -> tuple[int, int, int, int]:
    """(left, top, right, bottom) of what changed; one pixel where nothing did."""
    rows, columns = np.flatnonzero(changed.any(1)), np.flatnonzero(changed.any(0))
    if not len(rows):
        return 0, 0, 1, 1
    return int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1


def _drawn(indices: Indices, left: int, top: int) -> bytes:
    """An image's descriptor and its compressed data."""
    picture = Image.fromarray(np.ascontiguousarray(indices))
    return b"".join(getdata(picture, (left, top), interlace=0, optimize=False))
