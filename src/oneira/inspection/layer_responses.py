"""What one layer's channels answer to many pictures: counted picture by picture, in constant memory."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import NamedTuple, Self

import torch
from torch import Tensor


class Response(NamedTuple):
    """How strongly a channel answers to a picture, and where in the layer's grid."""

    value: float
    picture: int
    y: int
    x: int


class Glances(NamedTuple):
    """What each of a few pictures did to a layer; all are (pictures, channels), on the CPU.

    `highest`: the largest activation; `places`: its position, counted row by row, the first where several are equal;
    `firing`: positions whose activation is above 0; `means` and `squares`: of the activations, and of their squares.
    """

    highest: Tensor
    places: Tensor
    firing: Tensor
    means: Tensor
    squares: Tensor

    @classmethod
    def room(cls, pictures: int, channels: int) -> Self:
        """Zeros, to be noted over.

        Asked for at once: small tensors that stay, between large ones that go, would keep the memory of these from
        being used again (1.8 GB, measured, where 0.4 are needed).
        """
        size = (pictures, channels)
        whole, real = torch.int64, torch.float32
        return cls(*(torch.zeros(size, dtype=kind) for kind in (real, whole, whole, real, real)))

    def note(self, row: int, features: Tensor, floor: Tensor) -> None:
        """A picture's activations (1, c, h, w) or (1, c). Where the highest is above `floor` (c,), also its place.

        Looking for places takes ten times as long as looking for maxima, and few pictures are among the strongest.
        """
        values = _positions(features).float()
        highest = values.amax(0)
        asked = (highest > floor.to(highest.device)).nonzero().flatten()
        self.highest[row] = highest
        if asked.numel():
            self.places[row, asked.cpu()] = values[:, asked].argmax(0).cpu()
        # Counted as numbers: a sum of truths takes five times as long, and up to 2^24 positions this is exact.
        self.firing[row] = values.sign().clamp_(min=0).sum(0).long()
        self.means[row] = values.mean(0)
        self.squares[row] = values.square().mean(0)

    def finite(self, row: int) -> bool:
        """Whether all activations of a picture were numbers."""
        return bool(self.squares[row].isfinite().all())


@dataclass(frozen=True, eq=False)
class LayerResponses:
    """What `count` pictures did to a layer whose grid is (height, width); (1, 1) where it has no positions.

    `values` (channels, top), float32: the strongest responses, at most one of each picture, the strongest first, of
    equal ones the earlier picture; `pictures` (channels, top): their numbers; `places` (channels, top): where, counted
    row by row. Only activations above 0 are responses: where fewer pictures have any, the rest is 0, -1, 0.
    `highest` (channels,), float32: the largest activation of all, also where it is below 0.
    `firing_positions`, `firing_pictures` (channels,): how many are above 0, and in how many pictures any is.
    `sums`, `squares` (channels,), float64: of the pictures' means, and of their means of squares.
    `peaks` (channels,), `products` (channels, channels), float64: of the pictures' largest activations, for each
    channel, the sum; for each two channels, the sum of their products.
    """

    grid: tuple[int, int]
    count: int
    values: Tensor
    pictures: Tensor
    places: Tensor
    highest: Tensor
    firing_positions: Tensor
    firing_pictures: Tensor
    sums: Tensor
    squares: Tensor
    peaks: Tensor
    products: Tensor

    @classmethod
    def none(cls, features: Tensor, top: int) -> Self:
        """Before the first picture, of a layer that gives `features` (1, c, h, w) or (1, c)."""
        channels = features.shape[1]
        whole, exact = torch.zeros(channels, dtype=torch.int64), torch.zeros(channels, dtype=torch.float64)
        return cls(
            grid=(features.shape[2], features.shape[3]) if features.ndim == 4 else (1, 1),
            count=0,
            values=torch.zeros(channels, top),
            pictures=torch.full((channels, top), -1),
            places=torch.zeros(channels, top, dtype=torch.int64),
            highest=torch.full((channels,), -torch.finfo(torch.float32).max),
            firing_positions=whole,
            firing_pictures=whole,
            sums=exact,
            squares=exact,
            peaks=exact,
            products=torch.zeros(channels, channels, dtype=torch.float64),
        )

    def after(self, numbers: Sequence[int], glances: Glances) -> Self:
        """With the pictures of the first rows of `glances`, whose `numbers` rise, added in their order.

        However many at once, the result is the same, to the bit.
        """
        added = len(numbers)
        highest, places, firing = (each[:added].T for each in glances[:3])
        # Stable, and the earlier stand first: equal ones keep their order, and a 0 never displaces the 0 of nobody.
        values, order = torch.cat([self.values, highest], 1).sort(dim=1, descending=True, stable=True)
        order = order[:, : self.values.shape[1]]
        sums, squares, peaks, products = (each.clone() for each in (self.sums, self.squares, self.peaks, self.products))
        for row in range(added):  # one after the other: a sum depends on its order
            largest = glances.highest[row].double()
            sums += glances.means[row]
            squares += glances.squares[row]
            peaks += largest
            products.addr_(largest, largest)
        pictures = torch.tensor(numbers, dtype=torch.int64).expand_as(places)
        return replace(
            self,
            count=self.count + added,
            values=values[:, : self.values.shape[1]].contiguous(),
            pictures=torch.cat([self.pictures, pictures], 1).gather(1, order),
            places=torch.cat([self.places, places], 1).gather(1, order),
            highest=torch.cat([self.highest[:, None], highest], 1).amax(1),
            firing_positions=self.firing_positions + firing.sum(1),
            firing_pictures=self.firing_pictures + (firing > 0).sum(1),
            sums=sums,
            squares=squares,
            peaks=peaks,
            products=products,
        )

    @property
    def channels(self) -> int:
        """How many there are."""
        return len(self.values)

    @property
    def floor(self) -> Tensor:
        """(channels,): what a response must exceed to be among the strongest."""
        return self.values[:, -1]

    def strongest(self, channel: int) -> tuple[Response, ...]:
        """The strongest responses of a channel, the strongest first; none of a dead one."""
        width = self.grid[1]
        rows = zip(*(each[channel].tolist() for each in (self.values, self.pictures, self.places)), strict=True)
        return tuple(
            Response(value, picture, place // width, place % width) for value, picture, place in rows if picture >= 0
        )

    @property
    def dead(self) -> Tensor:
        """(channels,) of truths: no position of any picture is above 0."""
        return self.firing_pictures == 0

    @property
    def share_of_positions(self) -> Tensor:
        """(channels,) in [0, 1]: how many of all positions of all pictures are above 0."""
        return self.firing_positions.double() / max(1, self.count * self.grid[0] * self.grid[1])

    @property
    def share_of_pictures(self) -> Tensor:
        """(channels,) in [0, 1]: in how many pictures any position is above 0."""
        return self.firing_pictures.double() / max(1, self.count)

    @property
    def mean(self) -> Tensor:
        """(channels,), float64: of all activations. Every picture has as many, so their means count alike."""
        return self.sums / max(1, self.count)

    @property
    def deviation(self) -> Tensor:
        """(channels,), float64: the standard deviation of all activations."""
        return (self.squares / max(1, self.count) - self.mean.square()).clamp(min=0).sqrt()

    @cached_property
    def correlations(self) -> Tensor:
        """(channels, channels) in [-1, 1]: of two channels' largest activations, over the pictures.

        The cosine of their profiles over pictures once each profile's mean is taken off: what comes from a ReLU is
        never negative, so that without it all channels would be near each other. 0 where one of them never changes.
        """
        centred = self.products - torch.outer(self.peaks, self.peaks) / max(1, self.count)
        lengths = centred.diagonal().clamp(min=0).sqrt()
        # What rounding leaves of equal numbers is no change.
        constant = lengths <= 1e-7 * self.products.diagonal().sqrt()
        lengths = lengths.masked_fill(constant, torch.inf)
        return (centred / lengths[:, None] / lengths).clamp(-1, 1)

    def neighbours(self, channel: int, count: int = 5) -> tuple[tuple[int, float], ...]:
        """The channels of this layer that answer to the same pictures, and how closely; the closest first.

        Only those whose correlation is above 0; none of a channel that is dead or never changes.
        """
        row = self.correlations[channel].clone()
        row[channel] = 0.0
        closest = row.argsort(descending=True, stable=True)[:count].tolist()
        return tuple((other, float(row[other])) for other in closest if row[other] > 0)

    def tensors(self) -> dict[str, Tensor]:
        """For a file; of the products, which are symmetric, one half."""
        rows, columns = torch.triu_indices(self.channels, self.channels)
        return {part: getattr(self, part).contiguous() for part in PARTS} | {"products": self.products[rows, columns]}

    @classmethod
    def of_tensors(cls, parts: Mapping[str, Tensor], grid: tuple[int, int], count: int, seen: int) -> Self:
        """From a file that knows `count` of the first `seen` pictures.

        Raises ValueError or KeyError for what no measurement gives.
        """
        channels, top = parts["values"].shape
        for part, (kind, wide) in PARTS.items():
            _require(parts[part].dtype == kind, part)
            _require(parts[part].shape == ((channels, top) if wide else (channels,)), part)
        half = parts["products"]
        _require(half.dtype == torch.float64 and half.shape == (channels * (channels + 1) // 2,), "products")
        _require(all(bool(parts[part].isfinite().all()) for part in (*PARTS, "products")), "not finite")
        _require(top > 0 and channels > 0, "nothing in it")
        values, pictures, positions = parts["values"], parts["pictures"], grid[0] * grid[1]
        _require(bool((values.diff(dim=1) <= 0).all()) and bool((values >= 0).all()), "values")
        _require(bool(((pictures >= 0) == (values > 0)).all()) and _within(pictures, -1, seen - 1), "pictures")
        _require(_within(parts["places"], 0, positions - 1), "places")
        _require(_within(parts["firing_pictures"], 0, count), "firing_pictures")
        _require(_within(parts["firing_positions"], 0, count * positions), "firing_positions")
        products = torch.zeros(channels, channels, dtype=torch.float64)
        rows, columns = torch.triu_indices(channels, channels)
        products[rows, columns] = products[columns, rows] = half
        return cls(grid=grid, count=count, products=products, **{part: parts[part] for part in PARTS})


# What a file holds besides the products: numbers of which kind, and whether one for each of the strongest responses.
PARTS = {
    "values": (torch.float32, True),
    "pictures": (torch.int64, True),
    "places": (torch.int64, True),
    "highest": (torch.float32, False),
    "firing_positions": (torch.int64, False),
    "firing_pictures": (torch.int64, False),
    "sums": (torch.float64, False),
    "squares": (torch.float64, False),
    "peaks": (torch.float64, False),
}


def _positions(features: Tensor) -> Tensor:
    """(1, c, h, w) or (1, c) -> (positions, c)."""
    return features.movedim(1, -1).reshape(-1, features.shape[1])


def _require(holds: bool, what: str) -> None:
    if not holds:
        raise ValueError(what)


def _within(numbers: Tensor, low: int, high: int) -> bool:
    return bool(((numbers >= low) & (numbers <= high)).all())
