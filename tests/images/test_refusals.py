"""What cannot be read says so in one line that names the file, what came, and what is allowed."""

import io
import os
import re
import zlib
from pathlib import Path

import numpy as np
import pytest
from by_hand import png, tiff
from PIL import Image

from oneira.errors import ImageError, RecipeError
from oneira.images import Picture, load, read_recipe

FORMATS = ["PNG", "JPEG", "WebP", "TIFF", "BMP", "GIF", "AVIF"]
ALLOWED = "allowed: AVIF, BMP, GIF, JPEG, PNG, TIFF, WebP"


def refusal(path, **options):
    """The one line that opening a file ends with."""
    with pytest.raises(ImageError) as caught:
        Picture.open(path, **options)
    message = str(caught.value)
    assert "\n" not in message
    assert Path(path).name in message
    return message


def test_a_missing_file_names_its_nearest_neighbour(tmp_path):
    (tmp_path / "cat.jpg").touch()
    assert refusal(tmp_path / "cat.jgp").endswith("; did you mean 'cat.jpg'?")
    assert "did you mean" not in refusal(tmp_path / "zebra.png")


def test_a_missing_folder_is_named(tmp_path):
    assert refusal(tmp_path / "no" / "cat.jpg").endswith(f"there is no folder {str(tmp_path / 'no')!r}")


def test_a_folder(tmp_path):
    assert "is a folder" in refusal(tmp_path)


def test_a_pipe_never_blocks(tmp_path):
    os.mkfifo(tmp_path / "pipe.png")
    assert "is a pipe; a picture file is needed" in refusal(tmp_path / "pipe.png")


def test_a_device():
    assert "is a device" in refusal("/dev/zero")


def test_an_endless_link(tmp_path):
    (tmp_path / "a.png").symlink_to("a.png")
    assert "cannot be opened" in refusal(tmp_path / "a.png")


def test_no_permission(tmp_path, monkeypatch):
    (tmp_path / "a.png").touch(mode=0)
    if os.geteuid() == 0:  # who may read everything
        monkeypatch.setattr(os, "open", lambda *_: (_ for _ in ()).throw(PermissionError(13, "Permission denied")))
    assert "may not be read: permission denied" in refusal(tmp_path / "a.png")


def test_names_that_no_file_can_have(tmp_path):
    with pytest.raises(ImageError, match="cannot be opened: embedded null byte"):
        load("a\0.png")
    assert "cannot be opened" in refusal(tmp_path / ("a" * 300))


def test_names_stay_on_one_line(tmp_path):
    (tmp_path / "a\n\x1b[31mb.png").touch()
    with pytest.raises(ImageError, match=r"a\\n\\x1b\[31mb.png' is empty") as caught:
        load(tmp_path / "a\n\x1b[31mb.png")
    assert str(caught.value).isprintable()


def test_an_empty_file(tmp_path):
    (tmp_path / "a.png").touch()
    assert "is empty (0 bytes)" in refusal(tmp_path / "a.png")
    with pytest.raises(ImageError, match="is empty"):
        read_recipe(tmp_path / "a.png")


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (b"%PDF-1.7\n", "a PDF document"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "an EPS drawing"),
        (b"\xc5\xd0\xd3\xc6" + bytes(30), "an EPS drawing"),
        (b'<?xml version="1.0"?>\n<!-- by hand -->\n<svg xmlns="http://www.w3.org/2000/svg"/>', "an SVG drawing"),
        (b"<svg width='9'></svg>", "an SVG drawing"),
        (b"\n<!DOCTYPE html><html></html>", "an HTML page"),
        (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", "a HEIC picture"),
        (b"\0\0\0\x18ftypisom\0\0\0\0mp42", "a film"),
        (b"8BPS\0\1", "a Photoshop document"),
        (b"\xff\x0a" + bytes(9), "a JPEG XL picture"),
        (b"PK\x03\x04" + bytes(9), "an archive"),
        (b"just some words", "text"),
        (b"P6\n1 1\n255\n\1\2\3", "no picture that is known here"),  # Pillow could, but it is not asked
        (bytes(100), "no picture that is known here"),
    ],
)
def test_other_files_are_called_by_their_name(tmp_path, content, what):
    path = tmp_path / "a.png"
    path.write_bytes(content)
    assert refusal(path) == f"{str(path)!r} is {what}; {ALLOWED}"
    with pytest.raises(ImageError, match=what):
        read_recipe(path)


@pytest.mark.parametrize("kind", FORMATS)
@pytest.mark.parametrize("kept", [0.02, 0.3, 0.6, 0.9])
def test_a_file_cut_short(tmp_path, kind, kept):
    path = tmp_path / "a.png"
    noise = np.random.default_rng(0).integers(0, 256, (60, 80, 3), np.uint8)
    Image.fromarray(noise).save(path, kind)
    whole = path.read_bytes()
    path.write_bytes(whole[: int(kept * len(whole))])
    assert re.search(f"cannot be decoded as {kind}: damaged, or of a kind", refusal(path))


def claims():
    """Small files that claim to be 40,000 x 30,000 pixels."""
    yield "PNG", png(40_000, 30_000, 8, 2, [b""])
    yield "TIFF", tiff(40_000, 30_000, 8, 1, b"")
    for kind, width, height in (("BMP", (18, 4), (22, 4)), ("GIF", (6, 2), (8, 2))):
        file = io.BytesIO()
        Image.new("RGB", (3, 2)).save(file, kind)
        data = bytearray(file.getvalue())
        for (place, length), value in ((width, 40_000), (height, 30_000)):
            data[place : place + length] = value.to_bytes(length, "little")
        yield kind, bytes(data)
    file = io.BytesIO()
    Image.new("RGB", (3, 2)).save(file, "JPEG")
    start = file.getvalue().index(b"\xff\xc0") + 5
    size = (30_000).to_bytes(2, "big") + (40_000).to_bytes(2, "big")
    yield "JPEG", file.getvalue()[:start] + size + file.getvalue()[start + 4 :]


@pytest.mark.parametrize(("kind", "data"), list(claims()))
def test_size_is_checked_before_anything_is_decoded(tmp_path, kind, data):
    path = tmp_path / "bomb"
    path.write_bytes(data)
    assert refusal(path).endswith("40000 x 30000 are 1,200,000,000 pixels; at most 150,000,000 are read")


def test_the_limit_is_the_callers(tmp_path):
    Image.new("RGB", (20, 10)).save(tmp_path / "a.png")
    assert Picture.open(tmp_path / "a.png", max_pixels=200).image.shape == (1, 3, 10, 20)
    assert "at most 199 are read" in refusal(tmp_path / "a.png", max_pixels=199)


def test_a_huge_file_is_not_read_at_all(tmp_path):
    path = tmp_path / "a.png"
    with path.open("wb") as file:
        file.truncate(2**40)  # sparse: no byte of it is on the disk
    assert "has 1,099,511,627,776 bytes; at most" in refusal(path)


def test_text_that_unpacks_to_gigabytes_is_refused():
    bomb = b"oneira\0\0" + zlib.compress(bytes(50_000_000))
    with pytest.raises(ImageError, match="damaged"):
        Picture.decode(png(1, 1, 8, 2, [bytes(3)], before=[(b"zTXt", bomb)]))


def test_a_refused_recipe_is_a_refused_picture_too():
    assert issubclass(RecipeError, ImageError)
