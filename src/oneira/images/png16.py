"""PNG with 16 bits per sample, which Pillow writes only for grey (ISO/IEC 15948)."""

import struct
import zlib

import numpy as np
import numpy.typing as npt

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_COLOUR_TYPES = {3: 2, 4: 6}
_PAETH = 4


def png16(samples: npt.NDArray[np.uint16], text: tuple[str, str] | None = None) -> bytes:
    """(h, w, 3 or 4) samples, RGB or RGBA, to a PNG file; `text` is a keyword and what goes under it, as iTXt."""
    height, width, channels = samples.shape
    header = struct.pack(">IIBBBBB", width, height, 16, _COLOUR_TYPES[channels], 0, 0, 0)
    rows = samples.astype(">u2").view(np.uint8).reshape(height, width * channels * 2)
    chunks = [_chunk(b"IHDR", header)]
    if text is not None:
        keyword, content = text
        # Uncompressed, without a language or a translated keyword: legible in the file itself.
        chunks.append(_chunk(b"iTXt", keyword.encode("latin-1") + b"\0\0\0\0\0" + content.encode()))
    chunks.append(_chunk(b"IDAT", zlib.compress(_filtered(rows, 2 * channels), 6)))
    return b"".join([_SIGNATURE, *chunks, _chunk(b"IEND", b"")])


def _chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def _filtered(rows: npt.NDArray[np.uint8], pixel: int) -> bytes:
    """Every row behind its filter's number: the difference from the best of three neighbours (PNG's filter 4)."""
    above = np.pad(rows, ((1, 0), (0, 0)))[:-1].astype(np.int16)
    left = np.pad(rows, ((0, 0), (pixel, 0)))[:, :-pixel].astype(np.int16)
    corner = np.pad(above, ((0, 0), (pixel, 0)))[:, :-pixel]
    to_left, to_above = np.abs(above - corner), np.abs(left - corner)
    to_corner = np.abs(above + left - 2 * corner)
    nearest = np.where((to_left <= to_above) & (to_left <= to_corner), left, corner)
    nearest = np.where((to_above < to_left) & (to_above <= to_corner), above, nearest)
    differences = (rows - nearest).astype(np.uint8)
    return np.pad(differences, ((0, 0), (1, 0)), constant_values=_PAETH).tobytes()
