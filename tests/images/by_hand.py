"""Files made and read byte by byte, so that what reads and writes them for us has something to be held against."""

import struct
import zlib

import numpy as np
from PIL import ImageCms

PASSES = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))


def chunk(kind, content):
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def png(width, height, depth, colour_type, rows, *, before=(), interlace=0):
    """A PNG of packed `rows`, each stored as it is (filter 0)."""
    header = struct.pack(">IIBBBBB", width, height, depth, colour_type, 0, 0, interlace)
    data = zlib.compress(b"".join(b"\0" + bytes(row) for row in rows))
    chunks = [(b"IHDR", header), *before, (b"IDAT", data), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunk(*parts) for parts in chunks)


def png_of_16(samples, **options):
    """A PNG of (h, w, 1 to 4) uint16."""
    height, width, channels = samples.shape
    colour_type = {1: 0, 2: 4, 3: 2, 4: 6}[channels]
    wide = samples.astype(">u2")
    if options.get("interlace"):
        parts = [wide[top::down, left::right] for left, top, right, down in PASSES]
        rows = [row.tobytes() for part in parts if part.size for row in part]
    else:
        rows = [row.tobytes() for row in wide]
    return png(width, height, 16, colour_type, rows, **options)


def chunks_of(data):
    place = 8
    while place < len(data):
        (length,) = struct.unpack(">I", data[place : place + 4])
        kind, content = data[place + 4 : place + 8], data[place + 8 : place + 8 + length]
        assert data[place + 8 + length : place + 12 + length] == struct.pack(">I", zlib.crc32(kind + content))
        yield kind, content
        place += 12 + length


def png_samples_of_16(data):
    """(h, w, c) uint16 of a PNG with 16 bits and no interlace: the specification, line by line."""
    parts = dict(chunks_of(data))
    width, height, depth, colour_type = struct.unpack(">IIBB", parts[b"IHDR"][:10])
    assert depth == 16
    channels = {0: 1, 4: 2, 2: 3, 6: 4}[colour_type]
    pixel, stride = 2 * channels, 2 * channels * width
    raw = zlib.decompress(parts[b"IDAT"])
    rows, above = [], bytes(stride)
    for y in range(height):
        kind, line = raw[y * (stride + 1)], bytearray(raw[y * (stride + 1) + 1 : (y + 1) * (stride + 1)])
        for i in range(stride):
            a = line[i - pixel] if i >= pixel else 0
            c = above[i - pixel] if i >= pixel else 0
            line[i] = (line[i] + (0, a, above[i], (a + above[i]) // 2, paeth(a, above[i], c))[kind]) % 256
        rows.append(bytes(line))
        above = rows[-1]
    return np.frombuffer(b"".join(rows), ">u2").reshape(height, width, channels).astype(np.uint16)


def paeth(a, b, c):
    estimate = a + b - c
    return min((abs(estimate - a), 0, a), (abs(estimate - b), 1, b), (abs(estimate - c), 2, c))[2]


def tiff(width, height, bits, photometric, data, *, extra=()):
    """A little-endian TIFF of one strip and one sample per pixel; `extra` are more short tags."""
    tags = [(256, width), (257, height), (258, bits), (259, 1), (262, photometric), (273, 0), (277, 1), (278, height)]
    tags = sorted([*tags, (279, len(data)), *extra])
    offset = 8 + 2 + 12 * len(tags) + 4
    entries = b"".join(struct.pack("<HHII", tag, 4, 1, offset if tag == 273 else value) for tag, value in tags)
    return b"II*\0" + struct.pack("<IH", 8, len(tags)) + entries + struct.pack("<I", 0) + data


def srgb_profile():
    return ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def swapping_profile():
    """sRGB with its red and blue primaries exchanged: what it tags must come out with R and B exchanged."""
    profile = srgb_profile()
    return profile.replace(b"rXYZ", b"....", 1).replace(b"bXYZ", b"rXYZ", 1).replace(b"....", b"bXYZ", 1)


def grey_profile(gamma):
    """An ICC profile for grey pictures: a white and a power."""
    white = b"XYZ \0\0\0\0" + struct.pack(">3i", 63190, 65536, 54061)
    curve = b"curv\0\0\0\0" + struct.pack(">IH", 1, round(gamma * 256)) + b"\0\0"
    name = b"desc\0\0\0\0" + struct.pack(">I", 5) + b"grey\0" + bytes(12 + 67)
    body, table = b"", struct.pack(">I", 3)
    for kind, content in ((b"desc", name), (b"wtpt", white), (b"kTRC", curve)):
        table += kind + struct.pack(">II", 128 + 4 + 36 + len(body), len(content))
        body += content + bytes(-len(content) % 4)
    size = 128 + len(table) + len(body)
    header = struct.pack(">I4sI4s4s4s", size, b"lcms", 0x02400000, b"mntr", b"GRAY", b"XYZ ") + bytes(12) + b"acsp"
    header += bytes(28) + struct.pack(">3i", 63190, 65536, 54061)
    return header + bytes(128 - len(header)) + table + body
