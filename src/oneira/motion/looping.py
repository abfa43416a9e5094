"""Dives without end: the first frame comes up from the middle of the last ones."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, partial

import torch
from torch import Tensor

from oneira.errors import PlanError
from oneira.images import resize
from oneira.motion.reel import Still
from oneira.synthesis.turning import turn

DEPTH = 4.0  # how often the first frame is shrunk where it appears
EDGE = 0.4  # in the end, in halves of the frame's width and height, how broad its soft edge is
SHARE = 0.5  # of the film that it may take to come up


def looped(stills: Sequence[Still], factor: float, degrees: float = 0.0) -> list[Still]:
    """A dive whose last frame flows into its first.

    Each of `stills` is the one before, its middle magnified by `factor` and turned counter-clockwise by `degrees`, and
    changed a little. Over the last of them, the first is laid into the middle, shrunk and turned back by as much as the
    dive still has to go, so that it comes up with the rest of the picture, and would fill it one frame behind the last.
    No cross-fade: nothing in it stands still, and nothing is seen twice in two sizes at one place.

    A factor below 1 flies outward: what holds of a dive holds of the film played backwards, and it is the last frame
    that lies in the middle of the first ones. Raises PlanError for a factor of 1, or fewer than two frames.
    """
    if not factor > 0 or factor == 1:
        raise PlanError(f"only what zooms can be a loop, and the factor is {factor:g}; take one such as 1.02")
    if len(stills) < 2:
        raise PlanError("a loop needs at least two frames")
    if factor < 1:
        return looped(stills[::-1], 1 / factor, -degrees)[::-1]
    count = blended_frames(len(stills), factor)
    arrival = Arrival(stills[0], factor, degrees, count)
    before = len(stills) - count
    coming = [partial(arrival, still, count - place) for place, still in enumerate(stills[before:])]
    return [*stills[:before], *coming]


def blended_frames(frames: int, factor: float) -> int:
    """Over how many of the last frames of a dive the first one comes up: enough for it to grow fourfold, or half."""
    return max(1, min(math.ceil(math.log(DEPTH) / math.log(factor)), math.floor(frames * SHARE)))


@dataclass(frozen=True, eq=False)
class Arrival:
    """`first`, coming up over `count` frames, of which each magnifies by `factor` and turns by `degrees`."""

    first: Still
    factor: float
    degrees: float
    count: int

    @cached_property
    def _destination(self) -> Tensor:
        return self.first()

    def __call__(self, still: Still, left: int) -> Tensor:
        """The frame of `still` (1, 3, h, w), `left` frames before the first comes again; with 0, the first itself."""
        frame, first = still(), self._destination
        if left == 0:
            return first
        size = (first.shape[2], first.shape[3])
        shrunk, angle = self.factor**-left, -math.radians(self.degrees) * left
        inset = turn(_softened(first, shrunk), angle, shrunk, mode="bicubic").clamp(0, 1)
        return torch.lerp(frame, inset, self.opacity(size, left))

    def opacity(self, size: tuple[int, int], left: int) -> Tensor:
        """(1, 1, h, w): how much of each pixel is the first frame's; 1 everywhere where none is `left`."""
        height, width = size
        nearness = 1 - left / self.count
        angle, grown = -math.radians(self.degrees) * left, self.factor**left
        y = (torch.arange(height) + 0.5 - height / 2)[:, None] * grown
        x = (torch.arange(width) + 0.5 - width / 2)[None] * grown
        cos, sin = math.cos(angle), math.sin(angle)
        # Where each pixel lies in the first frame, from -1 to 1, by the map of `turn`; how far from its border.
        across, down = (cos * x - sin * y) / (width / 2), (sin * x + cos * y) / (height / 2)
        # Where it appears, all of the frame is a soft edge. Then the edge goes outward, to where the frame is continued
        # by its reflection: no border of it is seen to come nearer, and all of the edge is outside in the end.
        softness = 1 + (EDGE - 1) * nearness
        reach = 1 + EDGE * nearness
        edge = smooth((reach - across.abs()) / softness) * smooth((reach - down.abs()) / softness)
        return (edge * smooth(torch.tensor(2 * nearness)))[None, None]


def smooth(ramp: Tensor) -> Tensor:
    """From 0 to 1 as `ramp` goes from 0 to 1, without a corner at either end."""
    inside = ramp.clamp(0, 1)
    return inside * inside * (3 - 2 * inside)


def _softened(image: Tensor, shrunk: float) -> Tensor:
    """Without what is too fine to be seen that small, which would flicker."""
    height, width = image.shape[2:]
    small = (max(1, round(height * shrunk)), max(1, round(width * shrunk)))
    return resize(resize(image, small), (height, width))
