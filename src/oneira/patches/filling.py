"""Unknown pixels filled with a sample's, one at a time (Efros and Leung 1999, "Texture synthesis by non-parametric
sampling").

Each unknown pixel is compared, by what is known around it, with every window of the sample; one of the windows that
are nearly as close as the closest is drawn, and its middle pixel is copied.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from oneira.errors import PlanError
from oneira.patches.matching import check_odd, check_picture, check_tolerance, eight_bits, wholly_inside

PATIENCE = 1.1  # by how much the largest error grows after a pass that filled nothing


@dataclass(frozen=True)
class Likeness:
    """How like a window must be: from those whose error is at most (1 + tolerance) times the least, one is drawn.

    `window`: side of the square that is compared, odd. `largest_error`: the weighted mean square difference, of values
    in [0, 1], from which a pixel is left for a later pass; it grows by a tenth after a pass that filled nothing.
    """

    window: int = 11
    tolerance: float = 0.1
    largest_error: float = 0.3

    def __post_init__(self) -> None:
        check_odd(self.window)
        check_tolerance(self.tolerance)
        if not 0 < self.largest_error < math.inf:
            raise PlanError(f"a largest error is a number above 0 (0.3 in the paper), not {self.largest_error}")


def fill(
    picture: Tensor, known: Tensor, sample: Tensor, inside: Tensor, likeness: Likeness, generator: torch.Generator
) -> Iterator[tuple[int, Tensor]]:
    """The unknown pixels of a picture filled with the sample's, from the known ones outwards: also holes in a photo.

    picture: (1, 3, h, w) in [0, 1]; known: (h, w), boolean; sample: (1, 3, h', w'); inside: (h', w'), boolean, what may
    be copied of it. Yields how many pixels are known and the picture so far, (1, 3, h, w), black where it is not known,
    at first and after each pass that filled some.

    PlanError: shapes that do not go together, nothing known, or no window of the sample inside.
    Source: Efros and Leung 1999 and their published pseudo-code, sequential in the same order. Departures: the colours
    are compared in 8 bits and the Gaussian in 16, so that sums are exact; the error of a colour is the mean of its
    three channels', so that the thresholds are those of grey. Only windows that lie wholly inside are drawn.
    The table of windows holds 32 window^2 bytes for each: 1 GB for a sample of 512x512 pixels and windows of 11.
    """
    check_picture("picture", picture)
    if known.dtype != torch.bool or known.shape != picture.shape[2:]:
        raise PlanError(f"what is known is a boolean (height, width) of the picture, not {tuple(known.shape)}")
    if not known.any():
        raise PlanError("nothing of the picture is known, so there is nothing to grow from")
    windows, canvas = _Windows.of(sample, inside, likeness.window), _Canvas(picture, known, sample, likeness.window)
    limit = likeness.largest_error
    yield canvas.count, canvas.picture()
    while canvas.count < known.numel():
        before = canvas.count
        for places, draws in canvas.frontier(generator):
            values, weights = canvas.around(places, windows.gaussian)
            chosen, errors = windows.draw(values, weights, likeness.tolerance, draws)
            close = errors < limit
            canvas.put(places[close], windows.sources[chosen[close]])
        if canvas.count == before:
            limit *= PATIENCE
            continue
        yield canvas.count, canvas.picture()


def gaussian(window: int) -> Tensor:
    """The weight of each pixel of a window (window * window), in whole numbers up to 2^16; sigma is window / 6.4."""
    steps = [place - window // 2 for place in range(window)]
    falls = [math.exp(-(y * y + x * x) / (2 * (window / 6.4) ** 2)) for y in steps for x in steps]
    return torch.tensor([float(round(fall * 2**16)) for fall in falls], dtype=torch.float64)


@dataclass(frozen=True)
class _Windows:
    """Every window of the sample, ready for one product: error = weights @ squares - 2 weighted @ values."""

    table: Tensor  # (k + 3k, n): squares summed over colours, then values, k pixels in each of n windows
    sources: Tensor  # (n,): which of the sample's pixels is in the middle
    gaussian: Tensor  # (k,)

    @classmethod
    def of(cls, sample: Tensor, inside: Tensor, window: int) -> "_Windows":
        whole = wholly_inside(inside, window) if min(inside.shape) >= window else torch.zeros(0, dtype=torch.bool)
        if not whole.any():
            raise PlanError(f"no window of {window} pixels lies wholly in what may be copied; give a smaller window")
        patches = F.unfold(eight_bits(sample)[None], window)[0][:, whole.flatten()]  # (3k, n), the colour slowest
        squares = patches.square().reshape(3, window * window, -1).sum(0)
        half = window // 2
        sources = torch.arange(inside.numel()).view(inside.shape)[half:-half, half:-half][whole]
        return cls(torch.cat((squares, patches)), sources, gaussian(window))

    def errors(self, values: Tensor, weights: Tensor) -> Tensor:
        """Weighted square differences, whole numbers, (b, n): of values (b, 3, k) under weights (b, k)."""
        weighted = values * weights[:, None]
        constant = (weighted * values).sum((1, 2))
        return torch.cat((weights, -2 * weighted.flatten(1)), 1) @ self.table + constant[:, None]

    def draw(self, values: Tensor, weights: Tensor, tolerance: float, draws: Tensor) -> tuple[Tensor, Tensor]:
        """For each of b places, one of the windows nearly as close as the closest, and its mean error, both (b,)."""
        errors = self.errors(values, weights)
        near = errors <= errors.amin(1, keepdim=True) * (1 + tolerance)
        order = near.cumsum(1, dtype=torch.int32)
        wanted = (draws * order[:, -1]).floor().to(torch.int32)  # draws lie in [0, 1)
        chosen = (order <= wanted[:, None]).sum(1)  # the first window with more than `wanted` near ones up to it
        error = errors.gather(1, chosen[:, None])[:, 0]
        return chosen, error / (weights.sum(1) * (3 * 255.0**2))


class _Canvas:
    """The picture that grows, with an unknown margin of half a window around it. A place is a row of (y, x)."""

    def __init__(self, picture: Tensor, known: Tensor, sample: Tensor, window: int) -> None:
        half = self._half = window // 2
        self.count = int(known.sum())
        self._known = F.pad(known, (half,) * 4)
        self._picture = F.pad(picture[0] * known, (half,) * 4)
        self._values = F.pad(eight_bits(picture) * known, (half,) * 4)
        self._sample, self._sample_values = sample[0].flatten(1), eight_bits(sample).flatten(1)
        self._rows, self._columns = (slice(half, half + side) for side in known.shape)
        steps = torch.arange(-half, half + 1)
        self._offsets = (steps[:, None] * self._known.shape[1] + steps).flatten()

    def picture(self) -> Tensor:
        return self._picture[:, self._rows, self._columns][None].clone()

    def around(self, places: Tensor, weights: Tensor) -> tuple[Tensor, Tensor]:
        """The windows around b places: values (b, 3, k), and weights (b, k), 0 where nothing is known."""
        flat = (places + self._half) @ torch.tensor([self._known.shape[1], 1])
        pixels = flat[:, None] + self._offsets
        return self._values.flatten(1)[:, pixels].transpose(0, 1), weights * self._known.flatten()[pixels]

    def put(self, places: Tensor, sources: Tensor) -> None:
        y, x = (places + self._half).unbind(1)
        self._picture[:, y, x] = self._sample[:, sources]
        self._values[:, y, x] = self._sample_values[:, sources]
        self._known[y, x] = True
        self.count += len(places)

    def frontier(self, generator: torch.Generator) -> Iterator[tuple[Tensor, Tensor]]:
        """The unknown pixels beside known ones, those with most known neighbours first, else in random order.

        Yields batches of places (b, 2) with a number in [0, 1) for each. The result is that of one pixel after the
        other: a batch holds pixels outside each other's windows whose forerunners in each window are done.
        """
        known = self._known[self._rows, self._columns]
        neighbours = F.avg_pool2d(known[None].double(), 3, 1, 1, divisor_override=1)[0]
        places = ((neighbours > 0) & ~known).nonzero()
        places = places[torch.randperm(len(places), generator=generator)]
        counts = neighbours[places[:, 0], places[:, 1]]
        places = places[torch.sort(counts, descending=True, stable=True).indices]
        draws = torch.rand(len(places), dtype=torch.float64, generator=generator)
        turns = _turns(places.tolist(), (known.shape[0], known.shape[1]), self._half)
        for turn in range(1, int(turns.max()) + 1):
            batch = turns == turn
            yield places[batch], draws[batch]


def _turns(places: list[list[int]], size: tuple[int, int], half: int) -> Tensor:
    """When each of the places (n, 2), in their order, can be computed: after all earlier ones in its window; from 1."""
    done = np.zeros(size, dtype=np.int64)
    turns = []
    for y, x in places:
        turn = int(done[max(y - half, 0) : y + half + 1, max(x - half, 0) : x + half + 1].max()) + 1
        done[y, x] = turn
        turns.append(turn)
    return torch.tensor(turns)
