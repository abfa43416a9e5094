"""Decoded frames as pictures: the colours, the squares and the turn that their tags ask for."""

import struct
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Self

import numpy as np
from torch import Tensor

from oneira.images import from_levels
from oneira.motion.extra import required

# Of the matrices that ITU-T H.273 numbers, those that swscale knows; 0 is RGB itself.
_MATRICES = (0, 1, 4, 5, 6, 7, 9)
# Where nothing is told, players take what is larger than this for high definition (as mpv does).
_STANDARD_WIDTH, _STANDARD_HEIGHT = 1280, 576
# Real films are stretched by less; what is told beyond this is damage.
_MOST_STRETCH = 4
# PQ and HLG, by their numbers in ITU-T H.273.
_HIGH_DYNAMIC_RANGE = (16, 18)


@dataclass(frozen=True)
class View:
    """How the frames of a clip are to be looked at.

    `fitted`: (h, w) of a frame with square pixels, as it is coded; `transposed`, then `upside_down` and `mirrored`
    turn it as the display matrix asks, in multiples of 90 degrees.
    """

    fitted: tuple[int, int]
    transposed: bool = False
    upside_down: bool = False
    mirrored: bool = False

    @classmethod
    def of(cls, frame: Any, sample_aspect_ratio: Fraction | None) -> Self:
        """What the first frame, PyAV's VideoFrame, and its stream tell."""
        return cls(_squared(frame.height, frame.width, sample_aspect_ratio or Fraction(1)), *_turn(frame))

    @property
    def size(self) -> tuple[int, int]:
        """(h, w) of the pictures."""
        height, width = self.fitted
        return (width, height) if self.transposed else (height, width)


class Conversion:
    """Makes pictures of a clip's frames, each (1, 3, h, w) of the view's size.

    The matrix and the range are those that the frame is tagged with. Without a tag the range is limited, and the matrix
    is that of BT.709 for frames wider than 1279 or higher than 576, else that of BT.601.
    """

    def __init__(self, view: View) -> None:
        reformatter = required("av.video.reformatter")
        self._view = view
        self._scaler = reformatter.VideoReformatter()
        # swscale's quick ways differ from processor to processor, and are off by some levels.
        flags = reformatter.Interpolation
        self._flags = flags.BILINEAR | flags.ACCURATE_RND | flags.FULL_CHR_H_INT | flags.BITEXACT

    def __call__(self, frame: Any) -> Tensor:
        """The picture that PyAV's VideoFrame shows."""
        height, width = self._view.fitted
        levels = self._scaler.reformat(
            frame,
            width,
            height,
            "rgb24",
            src_colorspace=None if frame.colorspace in _MATRICES else _guessed_matrix(frame),
            interpolation=self._flags,
            threads=1,
        ).to_ndarray()
        if self._view.transposed:
            levels = levels.transpose(1, 0, 2)
        if self._view.upside_down:
            levels = levels[::-1]
        if self._view.mirrored:
            levels = levels[:, ::-1]
        return from_levels(np.ascontiguousarray(levels))


def high_dynamic_range(frame: Any) -> bool:
    """Whether the frame's light is coded for other screens than sRGB's."""
    return frame.color_trc in _HIGH_DYNAMIC_RANGE


def _guessed_matrix(frame: Any) -> str:
    high = frame.width >= _STANDARD_WIDTH or frame.height > _STANDARD_HEIGHT
    return "ITU709" if high else "ITU601"


def _squared(height: int, width: int, ratio: Fraction) -> tuple[int, int]:
    if not Fraction(1, _MOST_STRETCH) <= ratio <= _MOST_STRETCH:
        return height, width
    # Always the side that grows: no line of the film is lost.
    if ratio > 1:
        return height, int(width * ratio + Fraction(1, 2))
    return int(height / ratio + Fraction(1, 2)), width


def _turn(frame: Any) -> tuple[bool, bool, bool]:
    """(transposed, upside_down, mirrored) by the display matrix, which takes (x, y) to (ax + cy, bx + dy)."""
    a, b, c, d = _matrix(frame)
    if abs(a) + abs(d) >= abs(b) + abs(c):
        return False, d < 0, a < 0
    return True, b < 0, c < 0


def _matrix(frame: Any) -> tuple[int, int, int, int]:
    try:
        told = bytes(frame.side_data["DISPLAYMATRIX"])
    except KeyError:
        return 1, 0, 0, 1
    except ValueError:
        # PyAV knows not all that a frame may carry, and then lists none of it; mirroring is lost.
        return {90: (0, -1, 1, 0), 180: (-1, 0, 0, -1), -90: (0, 1, -1, 0)}.get(_quarter(frame.rotation), (1, 0, 0, 1))
    a, b, _, c, d, *_ = struct.unpack("=9i", told)
    return a, b, c, d


def _quarter(degrees: int) -> int:
    nearest = 90 * round(degrees / 90)
    return 180 if nearest == -180 else nearest
