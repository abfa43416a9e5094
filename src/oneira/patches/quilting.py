"""Image quilting: a picture sewn from blocks of a sample along the cuts that show least.

A. A. Efros and W. T. Freeman, "Image quilting for texture synthesis and transfer", SIGGRAPH 2001.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from oneira.errors import PlanError
from oneira.patches.layout import Layout, reaching
from oneira.patches.matching import check_picture, check_tolerance, eight_bits, shown, wholly_inside
from oneira.patches.seams import Differences, least_cut
from oneira.patches.weave import Look, Weave

SMALLEST_BLOCK = 4  # fewer pixels a side leave no room for a cut on each side
LARGEST_OWN_BLOCK = 48  # that is chosen where none is named
LAST_ALPHA = 0.9  # how much the last pass minds the neighbours, in the paper's schedule


@dataclass(frozen=True)
class Blocks:
    """Square blocks of `side` pixels, each laid `overlap` pixels over the one before it."""

    side: int
    overlap: int

    @classmethod
    def of(cls, side: int) -> "Blocks":
        """The paper's overlap, a sixth of the block; a cut needs two columns to choose from."""
        return cls(side, max(2, round(side / 6)))

    def starts(self, length: int) -> range:
        """Where blocks begin so that together they cover `length` pixels; the last may reach past it."""
        step = self.side - self.overlap
        count = max(1, math.ceil((length - self.overlap) / step))
        return range(0, count * step, step)


@dataclass(frozen=True, eq=False)
class Quilting(Weave):
    """Rows of blocks, each chosen at random among those that fit nearly as well as the best, and cut to fit.

    `block`: its side in pixels; by default a third of the largest square that may be copied, at most 48. `overlap` of
    neighbours, in pixels: by default a sixth of the block, as in the paper. `tolerance`: how much worse than the best
    a block may be. Only blocks that lie wholly inside the mask are laid.

    `like` (1, 3, *size): a picture whose layout is followed (section 3, "texture transfer"), by how light it is, in
    `passes`: each but the first begins with the picture so far and has blocks a third smaller (at least 4 pixels).
    `alpha` is the neighbours' share in the first, the layout's being the rest; it grows evenly to 0.9 in the last.
    `overlap` is that of the first; later ones have the paper's. Without a layout there is one pass, in which the
    neighbours alone count.

    Raises PlanError for a block, overlap, tolerance, layout, number of passes or alpha that cannot be.

    Source: Efros and Freeman 2001. Departures: colours are compared in 8 bits, for exact sums; where a cut from above
    meets one from the left, a pixel is new if both say so; the layout's tones are fitted to the sample's, see `Layout`.
    """

    block: int | None = None
    overlap: int | None = None
    tolerance: float = 0.1
    like: Tensor | None = None
    passes: int = 3
    alpha: float = 0.1

    def __post_init__(self) -> None:
        super().__post_init__()
        self.require_room("block", self.blocks.side, SMALLEST_BLOCK)
        most = self.blocks.side // 2
        if not 1 <= self.blocks.overlap <= most:
            raise PlanError(
                f"an overlap of {self.blocks.overlap} pixels does not fit blocks of {self.blocks.side}: 1 to {most} do"
            )
        check_tolerance(self.tolerance)
        if self.passes < 1:
            raise PlanError(f"{self.passes} passes draw nothing; ask for at least 1")
        if not 0 <= self.alpha <= LAST_ALPHA:
            raise PlanError(f"an alpha is from 0 (the layout alone) to {LAST_ALPHA} (the neighbours), not {self.alpha}")
        if self.like is not None:
            _check_layout(self.like, self.size)

    @cached_property
    def blocks(self) -> Blocks:
        """Those of the first pass."""
        usual = max(SMALLEST_BLOCK, min(LARGEST_OWN_BLOCK, self.room // 3))
        blocks = Blocks.of(usual if self.block is None else self.block)
        return blocks if self.overlap is None else Blocks(blocks.side, self.overlap)

    @property
    def total(self) -> int:
        """Each pass sets every pixel."""
        return len(list(self.schedule())) * math.prod(self.size)

    def schedule(self) -> Iterator[tuple[Blocks, float]]:
        """The blocks of each pass, and the neighbours' share."""
        yield self.blocks, 1.0 if self.like is None else self.alpha
        for turn in range(1, self.passes if self.like is not None else 1):
            side = max(SMALLEST_BLOCK, round(self.blocks.side * (2 / 3) ** turn))
            yield Blocks.of(side), self.alpha + (LAST_ALPHA - self.alpha) * turn / (self.passes - 1)

    def looks(self, generator: torch.Generator) -> Iterator[Look]:
        """One after each row of blocks; what is not yet sewn is black."""
        sewing = _Sewing(eight_bits(self.sample), self.inside, self.tolerance, generator)
        places = torch.full(self.size, -1)
        before = 0
        for blocks, neighbours in self.schedule():
            layout = None if self.like is None else Layout.of(self.sample, self.inside, self.like, neighbours)
            for rows, sewn in sewing.sew(places, blocks, layout):
                places = sewn
                yield Look(before + rows * self.size[1], shown(self.sample, places), self.size)
            before += math.prod(self.size)


class _Sewing:
    """The sample that blocks are cut from, and how they are chosen.

    A pixel is kept as its place in the sample, so that none can have a colour that the sample has not.
    """

    def __init__(self, levels: Tensor, inside: Tensor, tolerance: float, generator: torch.Generator) -> None:
        self._levels = levels
        self._inside = inside
        self._tolerance = tolerance
        self._generator = generator
        self._differences = Differences(levels)
        self._home = torch.arange(inside.numel()).view(inside.shape)

    def sew(self, places: Tensor, blocks: Blocks, layout: Layout | None) -> Iterator[tuple[int, Tensor]]:
        """After each row of blocks, how many rows of pixels are done, and where each comes from, (h, w); -1: nowhere.

        On a second pass the whole block is compared: the picture so far is under it.
        """
        height, width = places.shape
        rows, columns, side = blocks.starts(height), blocks.starts(width), blocks.side
        cloth = reaching(places, rows[-1] + side, columns[-1] + side)
        layout = None if layout is None else layout.reaching(*cloth.shape)
        allowed = wholly_inside(self._inside, side)
        for top in rows:
            for left in columns:
                under = cloth[top : top + side, left : left + side]
                errors = self._differences.to(self._at(under), under >= 0)
                if layout is not None:
                    errors = layout.weighed(errors, top, left, side)
                row, column = choose(errors, allowed, self._tolerance, self._generator)
                block = self._home[row : row + side, column : column + side]
                new = self._uncut(under, block, blocks.overlap, above=top > 0, before=left > 0)
                under.copy_(torch.where(new, block, under))
            yield min(top + side, height), cloth[:height, :width].clone()

    def _uncut(self, under: Tensor, block: Tensor, overlap: int, *, above: bool, before: bool) -> Tensor:
        """Which pixels of `block` are laid over what is under it: (b, b) places in the sample, twice -> (b, b) bool."""
        unlike = (self._at(under) - self._at(block)).square().sum(0)
        new = torch.ones_like(under, dtype=torch.bool)
        across = torch.arange(overlap)
        if before:
            new[:, :overlap] &= across >= least_cut(unlike[:, :overlap])[:, None]
        if above:
            new[:overlap] &= across[:, None] >= least_cut(unlike[:overlap].T)
        return new

    def _at(self, places: Tensor) -> Tensor:
        """(y, x) places -> (3, y, x); nowhere reads the first pixel."""
        return self._levels.flatten(1)[:, places.clamp(min=0)]


def choose(errors: Tensor, allowed: Tensor, tolerance: float, generator: torch.Generator) -> tuple[int, int]:
    """The row and column of one of the `allowed` places that are at most `1 + tolerance` times as bad as the best.

    Both (h, w).
    """
    # Each operation is rounded on its own, place by place: the limit is the same for any number of threads.
    limit = errors[allowed].min() * (1 + tolerance)
    near = (allowed & (errors <= limit)).flatten().nonzero().flatten()
    row, column = divmod(int(near[torch.randint(len(near), (), generator=generator)]), errors.shape[1])
    return row, column


def _check_layout(like: Tensor, size: tuple[int, int]) -> None:
    check_picture("layout", like)
    if tuple(like.shape[2:]) != tuple(size):
        raise PlanError(
            f"the layout is {like.shape[3]}x{like.shape[2]} pixels and the picture to make {size[1]}x{size[0]}: "
            "they must be the same"
        )
