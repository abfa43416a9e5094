"""What reading and writing .flo files must do."""

import os
import struct

import cv2
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from oneira.errors import FilmError
from oneira.images import MAX_PIXELS
from oneira.motion.flow_files import UNKNOWN, read_flo, write_flo

SHAPES = array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=7)
KNOWN = st.floats(-UNKNOWN, UNKNOWN, width=32)


def plain(pairs):
    """The format as its README tells it: the magic, width, height, then u and v by rows, all little-endian."""
    height, width, _ = pairs.shape
    numbers = [float(number) for row in pairs for pair in row for number in pair]
    return struct.pack(f"<fii{len(numbers)}f", 202021.25, width, height, *numbers)


def as_flow(pairs):
    return torch.from_numpy(pairs).permute(2, 0, 1)[None]


@given(SHAPES.flatmap(lambda size: arrays(np.float32, (*size, 2), elements=KNOWN)))
def test_what_is_written_is_the_published_format_and_is_read_again_to_the_bit(tmp_path_factory, pairs):
    path = tmp_path_factory.getbasetemp() / "flow.flo"
    write_flo(path, as_flow(pairs))
    assert path.read_bytes() == plain(pairs)
    read = read_flo(path)
    assert read.dtype == torch.float32
    assert read.is_contiguous()
    assert read.shape == (1, 2, *pairs.shape[:2])
    assert read[0].permute(1, 2, 0).numpy().tobytes() == pairs.tobytes()


def test_opencv_reads_and_writes_the_same_files(tmp_path):
    ours, theirs = tmp_path / "ours.flo", tmp_path / "theirs.flo"
    pairs = np.random.default_rng(0).normal(size=(5, 9, 2)).astype(np.float32)
    write_flo(ours, as_flow(pairs))
    assert np.array_equal(cv2.readOpticalFlow(str(ours)), pairs)
    cv2.writeOpticalFlow(str(theirs), pairs)
    assert theirs.read_bytes() == ours.read_bytes()


@pytest.mark.parametrize("number", [np.nan, 1.5e9, -1e10, np.inf, -np.inf])
def test_flow_that_is_not_known_on_one_axis_is_nan_on_both(tmp_path, number):
    pairs = np.ones((2, 3, 2), np.float32)
    pairs[1, 2, 0] = number
    path = tmp_path / "flow.flo"
    path.write_bytes(plain(pairs))
    read = read_flo(path)
    assert read[0, :, 1, 2].isnan().all()
    assert read.isnan().sum() == 2
    write_flo(path, read)
    assert struct.unpack("<2f", path.read_bytes()[-8:]) == (1e10, 1e10)


def header(width, height):
    return struct.pack("<fii", 202021.25, width, height)


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (b"", "no .flo"),
        (b"PIEH", "no .flo"),
        (b"PIEH\x01\x00\x00\x00\x01\x00\x00", "no .flo"),
        (b"HEIP" + bytes(16), "no .flo"),
        (header(2, 2) + bytes(31), "take 44 bytes, it has 43"),
        (header(2, 2) + bytes(33), "damaged"),
        (header(0, 2), "0 x 2 pixels"),
        (header(2, -1) + bytes(16), "2 x -1 pixels"),
        (header(-2, -2) + bytes(32), "-2 x -2 pixels"),
        (header(2**31 - 1, 2**31 - 1) + bytes(16), f"{MAX_PIXELS:,}"),
        (header(10_000, 10_000) + bytes(16), "damaged"),
    ],
)
def test_a_header_that_lies_is_refused_in_one_line(tmp_path, data, told):
    path = tmp_path / "bad.flo"
    path.write_bytes(data)
    with pytest.raises(FilmError, match=r"bad\.flo") as raised:
        read_flo(path)
    assert told in str(raised.value)
    assert "\n" not in str(raised.value)


@given(st.binary(max_size=60), st.integers(0, 12 + 6 * 8), st.booleans())
def test_damaged_bytes_are_refused_or_read_as_flow_of_the_size_told(tmp_path_factory, damage, at, longer):
    whole = plain(np.zeros((2, 3, 2), np.float32))
    path = tmp_path_factory.getbasetemp() / "fuzzed.flo"
    path.write_bytes(whole[:at] + damage + (whole[at:] if longer else whole[at + len(damage) :]))
    try:
        read = read_flo(path)
    except FilmError as error:
        assert "fuzzed.flo" in str(error)  # noqa: PT017 - either outcome is right
    else:
        assert 12 + 4 * read.numel() == path.stat().st_size


def test_a_file_that_is_not_there_is_refused_with_the_nearest(tmp_path):
    write_flo(tmp_path / "forward_1_2.flo", torch.zeros(1, 2, 2, 2))
    with pytest.raises(FilmError, match=r"no flow .*forward_1_3\.flo.*did you mean 'forward_1_2\.flo'"):
        read_flo(tmp_path / "forward_1_3.flo")


def test_a_pipe_is_refused_and_does_not_block(tmp_path):
    os.mkfifo(tmp_path / "pipe.flo")
    with pytest.raises(FilmError, match="pipe"):
        read_flo(tmp_path / "pipe.flo")


def test_a_folder_that_is_not_there_is_told_in_one_line(tmp_path):
    with pytest.raises(FilmError, match=r"cannot write .*flow\.flo"):
        write_flo(tmp_path / "nowhere" / "flow.flo", torch.zeros(1, 2, 2, 2))
