"""What the boxes of an MP4 or QuickTime file promise, held against what the file can hold."""

import struct
from collections.abc import Iterator
from typing import IO

# Where tables of samples can stand: in the header of the film, and in the headers of its fragments.
_FOLDERS = (b"moov", b"trak", b"mdia", b"minf", b"stbl", b"moof", b"traf")
# Where such a table tells how many samples it has: after version and flags, and in `stsz` after their common size.
_COUNT_AT = {b"stsz": 8, b"trun": 4}
# A header that is compressed, as some old QuickTime files have it.
_COMPRESSED = b"cmov"
# Old codecs of sound count samples that are smaller than a byte; none has more than 6 of them in one.
_SAMPLES_PER_BYTE = 8


def untrustworthy(file: IO[bytes], size: int) -> str | None:
    """Why the boxes of a file of `size` bytes must not be believed, in words that go on after its name; None else.

    FFmpeg believes in the number of samples where all are told to be equally long: a few bytes make it fill gigabytes.
    """
    claimed = 0
    for kind, count in _tables(file, 0, size):
        if kind == _COMPRESSED:
            return "has a compressed header, which is not read: save it again as MP4"
        claimed += count
    if claimed > _SAMPLES_PER_BYTE * size:
        return f"is damaged: its header promises {claimed:,} frames and sounds in {size:,} bytes"
    return None


def _tables(file: IO[bytes], start: int, end: int) -> Iterator[tuple[bytes, int]]:
    """(kind, number of samples) of the boxes that matter between two places of the file."""
    place = start
    while place + 8 <= end:
        file.seek(place)
        head = file.read(32).ljust(32, b"\0")
        length, kind = struct.unpack_from(">I4s", head)
        header = 8
        if length == 1:
            length, header = struct.unpack_from(">Q", head, 8)[0], 16
        following = end if length == 0 else min(end, place + length)
        if kind in _FOLDERS:
            yield from _tables(file, place + header, following)
        elif kind in _COUNT_AT:
            yield kind, struct.unpack_from(">I", head, header + _COUNT_AT[kind])[0]
        elif kind == _COMPRESSED:
            yield kind, 0
        if length in range(1, 8):
            return  # too short to hold itself: what follows cannot be understood
        place = following
