"""WebP that moves (the container of RFC 9649): frames that Pillow encoded, one after the other."""

import io
from collections.abc import Iterable, Iterator
from fractions import Fraction
from struct import pack, unpack
from typing import IO

from PIL import Image

from oneira.errors import ImageError
from oneira.images.palette import Levels
from oneira.images.ticks import Ticks

_MOVES, _EXIF = 0x02, 0x08
_MILLISECONDS, _LONGEST = 1000, 2**24 - 1
_LARGEST = 2**31  # bytes, well below what its numbers hold, as one more frame is to come
_REPLACE = 0x02  # a frame is not blended with what was there
_PICTURE = (b"VP8 ", b"VP8L")


def write_webp(
    file: IO[bytes],
    frames: Iterable[tuple[Levels, Fraction]],
    *,
    plays: int,
    quality: int,
    exif: bytes | None,
) -> None:
    """Write `frames`, their levels and seconds, all of one size; `plays` 0 is without end."""
    file.write(b"RIFF\0\0\0\0WEBP")
    flags = _MOVES | (_EXIF if exif is not None else 0)
    clock = Ticks(_MILLISECONDS, _LONGEST)
    for number, (levels, seconds) in enumerate(frames):
        size = _three(levels.shape[1] - 1) + _three(levels.shape[0] - 1)
        if number == 0:
            file.write(_chunk(b"VP8X", pack("<I", flags) + size))
            file.write(_chunk(b"ANIM", pack("<IH", 0, plays)))
        duration = _three(clock.of(seconds))
        if file.tell() > _LARGEST:
            raise ImageError(f"WebP ends at 4 GiB, which {number} frames fill: name a .webm, or a smaller size")
        file.write(_chunk(b"ANMF", bytes(6) + size + duration + bytes([_REPLACE]) + _encoded(levels, quality)))
    if exif is not None:
        file.write(_chunk(b"EXIF", exif))
    length = file.tell()
    file.seek(4)
    file.write(pack("<I", length - 8))


def _three(number: int) -> bytes:
    return pack("<I", number)[:3]


def _chunk(kind: bytes, content: bytes) -> bytes:
    return kind + pack("<I", len(content)) + content + bytes(len(content) % 2)


def _encoded(levels: Levels, quality: int) -> bytes:
    """The picture's own chunk of a still WebP."""
    still = io.BytesIO()
    Image.fromarray(levels).save(still, "WEBP", quality=quality)
    return b"".join(_chunk(kind, content) for kind, content in _chunks(still.getvalue()) if kind in _PICTURE)


def _chunks(still: bytes) -> Iterator[tuple[bytes, bytes]]:
    place = 12
    while place < len(still):
        kind, length = unpack("<4sI", still[place : place + 8])
        yield kind, still[place + 8 : place + 8 + length]
        place += 8 + length + length % 2
