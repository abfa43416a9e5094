"""Frames of a film as PPM: what was written comes back, and what is no frame is refused."""

import io

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from oneira.errors import ImageError
from oneira.images import load, ppm_frame, read_frame, save

SIDE = st.integers(1, 9)


class Dribble(io.BytesIO):
    """A pipe, which gives less than it is asked for."""

    def read(self, count=-1):
        return super().read(min(count, 5))


@given(sizes=st.lists(st.tuples(SIDE, SIDE), max_size=4), seed=st.integers(0, 99))
def test_frames_of_any_sizes_come_back(sizes, seed):
    generator = torch.Generator().manual_seed(seed)
    pictures = [torch.randint(256, (1, 3, *size), generator=generator) / 255 for size in sizes]
    stream = Dribble(b"".join(map(ppm_frame, pictures)))
    for picture in pictures:
        assert torch.equal(read_frame(stream, "film"), picture)
    assert read_frame(stream, "film") is None


def test_a_frame_is_the_same_numbers_as_a_file(tmp_path, image):
    save(tmp_path / "frame.png", image)
    assert torch.equal(read_frame(io.BytesIO(ppm_frame(image)), "film"), load(tmp_path / "frame.png"))


@pytest.mark.parametrize(
    "header", [b"P6 2 1 255\n", b"P6\n# a comment\n2 1\n255\n", b"P6\t2\r\n1 # wide\n 255 ", b"P6\n2 1#\n255\n"]
)
def test_headers_may_hold_blanks_and_comments(header):
    frame = read_frame(io.BytesIO(header + b"\n\0\xff\xff\0\0"), "film")
    assert (frame * 255).flatten().tolist() == [10, 255, 0, 0, 255, 0]


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"P5 2 2 255\n", "no binary PPM frames"),
        (b"P6 2 2 255", "ends inside the header"),
        (b"P6x", "no binary PPM frames|ends inside the header"),
        (b"P6 2 2 65535\n", "samples up to 65535; up to 255 are read"),
        (b"P6 0 2 255\n", "0 x 2 pixels; 1 to"),
        (b"P6 99999999 99999999 255\n", "1 to 150,000,000 are read"),
        (b"P6 " + b"#" * 2000, "no binary PPM frames"),
        (b"P6 2 2 255\nabc", "ends inside a frame: 3 of its 12 bytes came"),
        (b"\x89PNG\r\n\x1a\n", "no binary PPM frames"),
    ],
)
def test_what_is_no_frame_is_refused(data, message):
    with pytest.raises(ImageError, match=f"^film .*({message})"):
        read_frame(io.BytesIO(data), "film")
