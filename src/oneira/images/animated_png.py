"""PNG that moves (APNG): every frame whole, without loss. Programs that know none show the first."""

import io
import zlib
from collections.abc import Iterable, Iterator
from fractions import Fraction
from itertools import count
from struct import pack, unpack
from typing import IO

from PIL import Image
from PIL.PngImagePlugin import PngInfo

from oneira.errors import ImageError
from oneira.images.palette import Levels

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_MOST = 0xFFFF  # of both parts of a fraction of a second


def write_apng(
    file: IO[bytes],
    frames: Iterable[tuple[Levels, Fraction]],
    *,
    plays: int,
    text: tuple[str, str] | None,
) -> None:
    """Write `frames`, their levels and seconds; `text`: a keyword, and what it says; `plays` 0 is without end."""
    file.write(_SIGNATURE)
    numbers = count()
    for shown, (levels, seconds) in enumerate(frames, start=1):
        head, pixels = _parts(levels, text)
        if shown == 1:
            file.write(head)
            control = file.tell()
            file.write(_control(0, plays))
        file.write(_chunk(b"fcTL", pack(">I", next(numbers)) + _place(levels) + _delay(seconds) + bytes(2)))
        for part in pixels:
            # The first frame is what a PNG is without all this.
            file.write(_chunk(b"IDAT", part) if shown == 1 else _chunk(b"fdAT", pack(">I", next(numbers)) + part))
    file.write(_chunk(b"IEND", b""))
    file.seek(control)
    file.write(_control(shown, plays))


def _control(count: int, plays: int) -> bytes:
    return _chunk(b"acTL", pack(">II", count, plays))


def _place(levels: Levels) -> bytes:
    height, width = levels.shape[:2]
    return pack(">IIII", width, height, 0, 0)


def _delay(seconds: Fraction) -> bytes:
    if seconds > _MOST:
        raise ImageError(f"a frame is seen for {float(seconds):,.0f} s; at most {_MOST:,} s are allowed here")
    # Both parts have 16 bits.
    near = seconds.limit_denominator(_MOST if seconds < 1 else int(_MOST / seconds))
    return pack(">HH", near.numerator, near.denominator)


def _parts(levels: Levels, text: tuple[str, str] | None) -> tuple[bytes, list[bytes]]:
    """The chunks before the pixels of a still PNG, and what its chunks of pixels hold."""
    still, told = io.BytesIO(), PngInfo()
    if text is not None:
        told.add_itxt(*text)
    Image.fromarray(levels).save(still, "PNG", pnginfo=told)
    chunks = list(_chunks(still.getvalue()))
    head = [_chunk(kind, content) for kind, content in chunks if kind not in (b"IDAT", b"IEND")]
    return b"".join(head), [content for kind, content in chunks if kind == b"IDAT"]


def _chunk(kind: bytes, content: bytes) -> bytes:
    return pack(">I", len(content)) + kind + content + pack(">I", zlib.crc32(kind + content))


def _chunks(still: bytes) -> Iterator[tuple[bytes, bytes]]:
    place = len(_SIGNATURE)
    while place < len(still):
        length, kind = unpack(">I4s", still[place : place + 8])
        yield kind, still[place + 8 : place + 8 + length]
        place += 12 + length
