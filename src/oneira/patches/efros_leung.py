"""Texture grown one pixel at a time from a small piece of the sample (Efros and Leung 1999)."""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import torch

from oneira.patches.filling import Likeness, fill
from oneira.patches.matching import wholly_inside
from oneira.patches.weave import Look, Weave

PIECE = 3  # the side of the piece of the sample from which the texture grows


@dataclass(frozen=True, eq=False)
class EfrosLeung(Weave):
    """A texture grown from a 3x3 piece of the sample, outwards from the middle; see `fill` for how.

    `window`, `tolerance`, `largest_error`: see `Likeness`. The piece and the windows lie wholly inside the mask.
    Raises PlanError for a window that is even or does not fit, or a threshold out of its range.
    """

    window: int = 11
    tolerance: float = 0.1
    largest_error: float = 0.3

    def __post_init__(self) -> None:
        super().__post_init__()
        self.require_room("window", self.likeness.window, PIECE)

    @property
    def likeness(self) -> Likeness:
        """How like a window must be."""
        return Likeness(self.window, self.tolerance, self.largest_error)

    @property
    def total(self) -> int:
        """Each pixel is set once."""
        return math.prod(self.size)

    def looks(self, generator: torch.Generator) -> Iterator[Look]:
        """One at first and one after each ring of pixels; what is not yet known is black."""
        pieces = wholly_inside(self.inside, PIECE).nonzero()
        top, left = pieces[torch.randint(len(pieces), (), generator=generator)].tolist()
        picture, known = self.sample.new_zeros(1, 3, *self.size), torch.zeros(self.size, dtype=torch.bool)
        rows, columns = (min(PIECE, side) for side in self.size)
        first_row, first_column = (max(0, side - PIECE) // 2 for side in self.size)
        middle = (slice(first_row, first_row + rows), slice(first_column, first_column + columns))
        picture[..., *middle] = self.sample[..., top : top + rows, left : left + columns]
        known[middle] = True
        for count, so_far in fill(picture, known, self.sample, self.inside, self.likeness, generator):
            yield Look(count, so_far, self.size)
