"""The classic tiled gradient: the picture in pieces, each of which sees nothing but itself.

It bounds memory, at the price of seams that random offsets only smear; without it gradients are exact.
"""

import math
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal, get_args

import torch
from torch import Tensor

from oneira.errors import PlanError, one_of
from oneira.synthesis.augmentation import Move
from oneira.synthesis.shaping import Shaping

Offset = Literal["random", "fixed"]
Piece = tuple[float, Move]  # its share of the picture's area, and how it is cut out


@dataclass(frozen=True)
class Tiling:
    """Tiles of about `side` pixels, at a `random` offset in each step (Hvass-Labs) or a `fixed` one.

    As in Hvass' code the side is adapted so that whole tiles cover the picture, and a random offset leaves pieces of
    a quarter to three quarters of a tile at the borders. `shaping` is applied to each tile's own gradient.
    """

    side: int = 400
    offset: Offset = "random"
    shaping: tuple[Shaping, ...] = ()

    def __post_init__(self) -> None:
        one_of("offset of tiles", self.offset, get_args(Offset))
        if self.side < 4:
            raise PlanError(f"a tile has a side of at least 4 pixels, not {self.side}")

    def narrowest(self, extent: int) -> int:
        """The least that a piece of a picture of `extent` pixels can measure."""
        tile = self._tile(extent)
        return extent if tile >= extent else max(1, tile // 4)

    def pieces(self, size: tuple[int, int], generator: torch.Generator, progress: float) -> list[Piece]:
        """What a step at `size` (height, width) cuts out, row by row; shaping is told the `progress`."""
        rows, columns = (self._intervals(extent, generator) for extent in size)
        area = size[0] * size[1]
        return [
            ((bottom - top) * (right - left) / area, self._cut(top, bottom, left, right, progress))
            for top, bottom in rows
            for left, right in columns
        ]

    def _tile(self, extent: int) -> int:
        return math.ceil(extent / max(1, round(extent / self.side)))

    def _intervals(self, extent: int, generator: torch.Generator) -> list[tuple[int, int]]:
        tile = self._tile(extent)
        start = 0
        # A picture of one tile stays whole: there is no seam to be smeared.
        if self.offset == "random" and tile < extent:
            start = int(torch.randint(-(3 * tile) // 4, -(tile // 4), (), generator=generator))
        edges = [0, *range(start + tile, extent, tile), extent]
        if len(edges) > 2 and edges[-1] - edges[-2] < self.narrowest(extent):
            del edges[-2]  # a sliver is joined to its neighbour
        return list(pairwise(edges))

    def _cut(self, top: int, bottom: int, left: int, right: int, progress: float) -> Move:
        def shaped(gradient: Tensor) -> Tensor:
            for shaping in self.shaping:
                gradient = shaping(gradient, progress)
            return gradient

        def cut(image: Tensor) -> Tensor:
            piece = image[..., top:bottom, left:right]
            if self.shaping and piece.requires_grad:
                piece.register_hook(shaped)
            return piece

        return cut
