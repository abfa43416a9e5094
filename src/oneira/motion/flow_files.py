"""Optical flow in files: Middlebury's .flo, which DeepFlow, FlowNet, RAFT and the others write."""

import os
from io import BufferedReader
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from oneira.errors import FilmError, ImageError
from oneira.files import write_whole
from oneira.images import MAX_PIXELS
from oneira.images.notices import shown
from oneira.images.opening import open_regular

MAGIC = b"PIEH"  # 202021.25 as a little-endian float
HEADER = 12  # bytes: the magic, width, height
PIXEL = 8  # bytes: dx, dy
SAMPLE = 4096  # bytes
UNKNOWN = 1e9  # what is larger, on either axis and in either direction, is not known
WRITTEN_UNKNOWN = 1e10


def read_flo(path: Path) -> Tensor:
    """The flow in a .flo file: (1, 2, h, w) float32, (dx, dy) in pixels, both NaN where it is not known.

    Raises FilmError where there is no such file, where its size is not the one that its header tells, or where it is
    too large. Format: Baker et al., "A Database and Evaluation Methodology for Optical Flow", 2011, and the README of
    its flow-code.
    """
    with _opened(path) as file:
        size = os.fstat(file.fileno()).st_size
        try:
            height, width = _size_told(path, file.read(HEADER), size)
            data = file.read(size - HEADER)
        except OSError as error:
            raise FilmError(f"{shown(path)} cannot be read: {error.strerror or error}") from error
    if len(data) != size - HEADER:
        raise FilmError(f"{shown(path)} became shorter while it was read")
    pairs: npt.NDArray[np.float32] = np.frombuffer(data, "<f4").reshape(height, width, 2).astype(np.float32)
    return unknown_as_nan(torch.from_numpy(pairs).permute(2, 0, 1)[None])


def write_flo(path: Path, flow: Tensor) -> None:
    """Write flow (1, 2, h, w), in pixels, as a .flo file; what is NaN is written as not known.

    Raises FilmError where the disk refuses.
    """
    height, width = flow.shape[2:]
    known = unknown_as_nan(flow.detach().to("cpu", torch.float32)).nan_to_num(nan=WRITTEN_UNKNOWN)
    header = MAGIC + np.array([width, height], "<i4").tobytes()
    data = known[0].permute(1, 2, 0).numpy().astype("<f4").tobytes()
    try:
        write_whole(path, lambda file: file.write(header + data))
    except OSError as error:
        raise FilmError(f"cannot write {shown(path)}: {error.strerror or error}") from error


def sampled(path: Path) -> tuple[int, bytes]:
    """The size of a file in bytes, and some bytes from its middle, which tell it from flow found otherwise.

    Raises FilmError where it cannot be read.
    """
    with _opened(path) as file:
        size = os.fstat(file.fileno()).st_size
        try:
            file.seek(size // 2)
            return size, file.read(SAMPLE)
        except OSError as error:
            raise FilmError(f"{shown(path)} cannot be read: {error.strerror or error}") from error


def unknown_as_nan(flow: Tensor) -> Tensor:
    """Flow (1, 2, h, w) with NaN on both axes where either is NaN, infinite, or larger than flow can be."""
    known = (flow.abs() <= UNKNOWN).all(dim=1, keepdim=True)
    return torch.where(known, flow, torch.nan).contiguous()


def _opened(path: Path) -> BufferedReader:
    try:
        return open_regular(path, "flow")
    except ImageError as error:
        raise FilmError(str(error)) from error


def _size_told(path: Path, header: bytes, size: int) -> tuple[int, int]:
    """Height and width, after the magic; FilmError unless a file of `size` bytes can hold just them."""
    if header[: len(MAGIC)] != MAGIC or len(header) < HEADER:
        raise FilmError(f"{shown(path)} is no .flo file of optical flow: it does not begin with PIEH and a size")
    width, height = (int(number) for number in np.frombuffer(header[len(MAGIC) :], "<i4"))
    if width < 1 or height < 1 or width * height > MAX_PIXELS:
        raise FilmError(f"{shown(path)} tells of {width} x {height} pixels; 1 to {MAX_PIXELS:,} are read")
    if size != HEADER + width * height * PIXEL:
        raise FilmError(
            f"{shown(path)} is damaged: {width} x {height} pixels of flow take"
            f" {HEADER + width * height * PIXEL:,} bytes, it has {size:,}"
        )
    return height, width
