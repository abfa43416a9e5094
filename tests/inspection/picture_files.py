"""Encoded pictures, some damaged, as a packed file and as a folder: what tests of many pictures look through."""

import io

import numpy as np
from PIL import Image


def random_png(seed, size=(22, 20)):
    """(width, height) of random colours; its middle 20 x 20 pixels need no resizing."""
    pixels = np.random.default_rng(seed).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()


def eleven_files():
    """Eleven encoded pictures, of which numbers 4 and 8 are none, and 9 is 2 once more."""
    made = [random_png(seed) for seed in range(11)]
    made[4], made[8], made[9] = b"no picture at all", made[8][:60], made[2]
    return made


def pack(path, files):
    """An .npz in the packed layout."""
    np.savez(
        path,
        jpeg=np.frombuffer(b"".join(files), np.uint8),
        offset=np.cumsum([0, *map(len, files)]),
        label=np.zeros(len(files), np.int64),
    )
    return path


def spread_out(folder, files):
    """The same pictures at several depths, in the same order, and what else lies about."""
    for number, data in enumerate(files):
        path = folder / f"{number:02}" / ("deep/one.png" if number % 2 else "one.png")
        path.parent.mkdir(parents=True)
        path.write_bytes(data)
    (folder / "README.md").write_text("pictures")
    hidden = folder / ".cache/one.png"
    hidden.parent.mkdir()
    hidden.write_bytes(files[0])
    return folder
