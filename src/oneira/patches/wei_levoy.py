"""Texture scanned pixel by pixel, coarse to fine (Wei and Levoy 2000, "Fast texture synthesis using tree-structured
vector quantization").

Each pixel takes the place of the sample whose neighbourhood is closest: the pixels above and to the left on the same
level of a Gaussian pyramid, and all those around on the next coarser level, which is complete already.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from oneira.errors import PlanError, one_of
from oneira.patches.matching import check_odd, eight_bits, shown
from oneira.patches.pyramid import Level, around, causal, parents
from oneira.patches.quantisation import SEARCHES
from oneira.patches.weave import Look, Weave

MOST_LEVELS = 4  # that are taken where no number is named
LOOKS = 50  # at each level: making a picture costs as much as a step of the scan


@dataclass(frozen=True, eq=False)
class WeiLevoy(Weave):
    """A texture made around a torus, so that it can be laid side by side.

    `window`: width of the L-shaped neighbourhood, odd; the square around the pixel on the coarser level is about half
    as wide. `levels`: of the pyramid; as many as the sample and its mask have room for, at most 4, where None.
    `search`: "exact" looks at every neighbourhood of the sample, "tree" (tree-structured vector quantisation, the
    paper's) is faster for large samples, and more blurred. Only neighbourhoods that lie wholly inside the mask are
    learned. From bottom to top only the coarser levels see around the torus, so that seam is the weaker one.

    Raises PlanError for an even window, more levels than there is room for, or an unknown search.
    Departures from the paper: colours are compared in 8 bits, so that sums are exact. Each row begins half a window
    further right than the one above, around the torus: all that a pixel needs of the rows above is then done before
    the rows above are, so rows are scanned side by side, with the result of one pixel after the other. What is not yet
    scanned holds what the coarser level foretells (the sample's pixel at twice the place), noise on the coarsest only.
    """

    window: int = 7
    levels: int | None = None
    search: str = "exact"

    def __post_init__(self) -> None:
        super().__post_init__()
        check_odd(self.window)
        one_of("search", self.search, SEARCHES)
        if not self._possible:
            raise PlanError(
                f"a window of {self.window} pixels does not fit {self.ground}; it needs about "
                f"{2 * self.window}x{2 * self.window} pixels"
            )
        if self.levels is not None and not 1 <= self.levels <= len(self._possible):
            raise PlanError(
                f"{self.levels} levels do not fit this sample, size and window: 1 to {len(self._possible)} do"
            )

    @cached_property
    def _possible(self) -> tuple[Level, ...]:
        """The levels of the sample for which there is room, the finest first."""
        levels: list[Level] = []
        next_level = Level(self.sample, self.inside)
        while len(levels) < MOST_LEVELS and min(self.size) >> len(levels):
            # As many neighbourhoods as a window has pixels, in a sample of two windows side by side.
            room = min(next_level.inside.shape) >= 2 * self.window and self._teaches(next_level, None)
            if not room or (levels and not self._teaches(levels[-1], next_level)):
                break
            levels.append(next_level)
            next_level = next_level.halved()
        return tuple(levels)

    def _teaches(self, level: Level, coarser: Level | None) -> bool:
        return len(level.taught(coarser, self.window // 2)) >= self.window**2

    @cached_property
    def pyramid(self) -> tuple[Level, ...]:
        """The levels of the sample, the coarsest first."""
        return self._possible[: self.levels][::-1]

    @property
    def factors(self) -> list[int]:
        """How much smaller each level is, the coarsest first."""
        return [2**level for level in reversed(range(len(self.pyramid)))]

    def _size(self, factor: int) -> tuple[int, int]:
        return -(-self.size[0] // factor), -(-self.size[1] // factor)

    @property
    def total(self) -> int:
        """Those of all levels."""
        return sum(math.prod(self._size(factor)) for factor in self.factors)

    def looks(self, generator: torch.Generator) -> Iterator[Look]:
        """About fifty at each level; what is not yet scanned shows what the coarser level foretells."""
        coarser: Scan | None = None
        before = 0
        for level, (sample, factor) in enumerate(zip(self.pyramid, self.factors, strict=True)):
            size = self._size(factor)
            here = Scan.begin(sample, size, coarser, generator)
            for done in here.run(coarser, self.window, self.search):
                yield Look(before + done, repeated(here.picture(), self.size, factor), size, level)
            coarser = here
            before += math.prod(size)


def repeated(picture: Tensor, size: tuple[int, int], factor: int) -> Tensor:
    """The picture (1, 3, h, w) at `size`, each pixel shown `factor` times a side."""
    y, x = (torch.arange(side) // factor for side in size)
    return picture[:, :, y][..., x]


@dataclass(frozen=True)
class Scan:
    """One level: the sample there, and for each pixel of the picture which pixel of that sample it shows."""

    sample: Level
    source: Tensor  # (h, w), filled by `run`

    @classmethod
    def begin(cls, sample: Level, size: tuple[int, int], coarser: "Scan | None", generator: torch.Generator) -> "Scan":
        """The level before it is scanned: noise of what may be copied, or what the coarser level foretells."""
        height, width = sample.inside.shape
        if coarser is None:
            allowed = sample.inside.flatten().nonzero().flatten()
            return cls(sample, allowed[torch.randint(len(allowed), size, generator=generator)])
        y, x = torch.arange(size[0])[:, None], torch.arange(size[1])
        above = coarser.source[y // 2, x // 2]
        coarse_width = coarser.sample.inside.shape[1]
        down = (2 * (above // coarse_width) + y % 2).clamp(max=height - 1)
        across = (2 * (above % coarse_width) + x % 2).clamp(max=width - 1)
        return cls(sample, down * width + across)

    def picture(self) -> Tensor:
        """(1, 3, h, w)."""
        return shown(self.sample.picture, self.source)

    def run(self, coarser: "Scan | None", window: int, search: str) -> Iterator[int]:
        """Scan, in place; yields about LOOKS times how many pixels are done.

        At step t, row y is at the pixel t - y (2 half + 1) after its beginning, which lies at column y half: so much
        later than the row above that the right-most pixel it looks at there is just done.
        """
        half, lag = window // 2, window
        height, width = self.source.shape
        coarse_level = None if coarser is None else coarser.sample
        index = self.sample.taught(coarse_level, half)
        finder = SEARCHES[search](self.sample.neighbourhoods(index, coarse_level, half))
        steps, colours = causal(half), eight_bits(self.sample.picture).flatten(1).T.contiguous()
        over = None if coarser is None else around(eight_bits(coarser.picture()), parents(half), wraps=True)
        # The rows above the first are the last, as they were before the scan; each scanned row has its own below.
        rows = torch.cat((self.source[torch.arange(-half, 0) % height], self.source))
        done, last = 0, width + lag * (height - 1) - 1
        for time in range(last + 1):
            first = max(0, -(-(time - width + 1) // lag))
            y = torch.arange(first, min(height - 1, time // lag) + 1)
            x = (time - lag * y + half * y) % width
            pixels = rows[half + y[:, None] + steps[:, 0], (x[:, None] + steps[:, 1]) % width]
            wanted = colours[pixels].flatten(1)
            if over is not None:
                wanted = torch.cat((wanted, over[y // 2, x // 2]), 1)
            rows[half + y, x] = self.source[y, x] = index[finder.nearest(wanted)]
            done += len(y)
            if time == last or (time + 1) % max(1, last // LOOKS) == 0:
                yield done
