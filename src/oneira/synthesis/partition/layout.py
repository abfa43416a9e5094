"""Where a picture is cut, so that every activation is computed in one of its parts as it is in the whole."""

import math
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor

from oneira.errors import PlanError
from oneira.features.address import Address
from oneira.features.description import field_of
from oneira.features.encoder import Encoder
from oneira.features.receptive_field import ReceptiveField, Window
from oneira.features.registry import find_backbone
from oneira.objectives.place import Place, Span

Size = tuple[int, int]  # height, width


@dataclass(frozen=True)
class Partition:
    """Parts of at most `tile` pixels a side, as nearly as the layers' strides allow, each with its surroundings.

    The larger, the less is computed twice; the smaller, the less memory. Raises PlanError for less than a pixel.
    """

    tile: int = 1024

    def __post_init__(self) -> None:
        if self.tile < 1:
            raise PlanError(f"a part of a picture has a side of at least 1 pixel, not {self.tile}")

    def cuts(self, size: Size) -> bool:
        """Whether a picture of `size` (height, width) is in more than one part."""
        return max(size) > self.tile


@dataclass(frozen=True)
class Part:
    """What is cut out of the picture: `cut` is that, with all that its own positions depend on.

    `places` are those of its activations in the layers' maps, where the part holds nothing but its own, and under None
    that of its pixels in the picture, with a pixel around.
    """

    cut: Place
    places: Mapping[Address | None, Place]

    def pixels(self, cut: Tensor) -> Tensor:
        """Of what has been cut out (b, c, h, w), the pixels that are in view."""
        return _within(cut, self.places[None], self.cut, (1, 1))

    def own(self, activations: Mapping[Address, Tensor], steps: Mapping[Address, Size]) -> dict[Address, Tensor]:
        """Of the activations of what has been cut out, the part's own."""
        return {a: _within(maps, self.places[a], self.cut, steps[a]) for a, maps in activations.items()}

    def add(self, gradient: Tensor, to: Tensor) -> None:
        """Add the gradient to what has been cut out where it belongs in the whole picture's."""
        rows, columns = self.cut.rows, self.cut.columns
        if all(span.begin >= 0 and span.end <= span.whole for span in (rows, columns)):
            to[..., rows.begin : rows.end, columns.begin : columns.end] += gradient
            return
        # On a torus one pixel may have been cut out several times.
        by_rows = gradient.new_zeros(*gradient.shape[:2], rows.whole, gradient.shape[3])
        by_rows.index_add_(2, rows.indices(gradient.device), gradient)
        to.index_add_(3, columns.indices(gradient.device), by_rows)


def _within(values: Tensor, place: Place, cut: Place, steps: Size) -> Tensor:
    """What `place` holds of the map of `cut`."""
    top, left = (span.begin // step for span, step in zip((cut.rows, cut.columns), steps, strict=True))
    rows, columns = place.rows, place.columns
    return values[..., rows.begin - top : rows.end - top, columns.begin - left : columns.end - left]


@dataclass(frozen=True)
class Layout:
    """The parts of a picture, row by row, for certain layers; `steps`: pixels between their positions."""

    parts: tuple[Part, ...]
    steps: Mapping[Address, Size]

    @classmethod
    def of(cls, size: Size, layers: Collection[Address], partition: Partition, encoder: Encoder) -> "Layout":
        """For pictures of `size` (height, width).

        Raises PlanError as `require_fields` does, and for a torus that strides do not divide: its seam is another one
        in every layer.
        """
        fields = require_fields(layers)
        wraps = encoder.variant.padding == "circular"
        for address in layers:
            if wraps and not find_backbone(address.backbone).own:
                raise PlanError(f"{address.backbone} pads as it was registered, and cannot wrap a picture in parts")
        windows = [
            {address: field.vertical for address, field in fields.items()},
            {address: field.horizontal for address, field in fields.items()},
        ]
        axes = [_Axis(extent, along, wraps) for extent, along in zip(size, windows, strict=True)]
        maps = _maps(axes, partition.tile, layers, encoder)
        rows, columns = (axis.spans(partition.tile, grid) for axis, grid in zip(axes, maps, strict=True))
        parts = tuple(
            Part(
                Place(down.cut, right.cut),
                {key: Place(down.places[key], right.places[key]) for key in (None, *layers)},
            )
            for down in rows
            for right in columns
        )
        return cls(parts, {address: (windows[0][address].step, windows[1][address].step) for address in layers})


def require_fields(layers: Iterable[Address]) -> dict[Address, ReceptiveField]:
    """What their positions depend on. PlanError for a layer where each depends on the whole picture."""
    fields = {}
    for address in layers:
        field = field_of(address)
        if field is None:
            raise PlanError(
                f"{address} depends on the whole picture at once, and has no parts; take a layer before it, or leave "
                "out the parts"
            )
        fields[address] = field
    return fields


@dataclass(frozen=True)
class _Stretch:
    """A part, along one axis."""

    cut: Span
    places: Mapping[Address | None, Span]


class _Axis:
    """One side of the picture, `extent` pixels long."""

    def __init__(self, extent: int, windows: Mapping[Address, Window], wraps: bool) -> None:
        self.extent, self.windows, self.wraps = extent, windows, wraps
        self.step = math.lcm(*(window.step for window in windows.values()))
        # A pixel at least: what compares neighbours asks no network.
        self.before = max([1, *(-window.first for window in windows.values())])
        self.behind = max([1, *(window.last - window.step + 1 for window in windows.values())])
        if wraps and extent % self.step:
            raise PlanError(
                f"in parts, the sides of a picture that wraps are multiples of {self.step} pixels, and {extent} is none"
            )

    def spans(self, tile: int, maps: Mapping[Address, int]) -> list[_Stretch]:
        """The parts; `maps` are the positions that the layers have along this axis, all in all."""
        return [self._stretch(first, last, maps) for first, last in pairwise(self._edges(tile, maps))]

    def surrounded(self, first: int, last: int) -> tuple[int, int]:
        """From where to where all lies that positions from `first` to before `last` depend on, in whole strides."""
        begin = (first - self.before) // self.step * self.step
        end = -(-(last + self.behind) // self.step) * self.step
        return (begin, end) if self.wraps else (max(0, begin), min(self.extent, end))

    def _edges(self, tile: int, maps: Mapping[Address, int]) -> list[int]:
        """On the grid of the strides, as evenly as it allows."""
        count = math.ceil(self.extent / tile)
        cells = self.extent // self.step
        edges = sorted({index * cells // count * self.step for index in range(1, count)} - {0})
        # Behind the last edge every layer still has a position: strides may leave a remainder without.
        inner = [edge for edge in edges if edge < self.extent and all(edge // w.step < maps[a] for a, w in self._all())]
        return [0, *inner, self.extent]

    def _stretch(self, first: int, last: int, maps: Mapping[Address, int]) -> _Stretch:
        begin, end = self.surrounded(first, last)
        cut = Span(first, last, begin, end, self.extent)
        near = (first - 1, last + 1) if self.wraps else (max(0, first - 1), min(self.extent, last + 1))
        places: dict[Address | None, Span] = {None: Span(first, last, *near, self.extent)}
        for address, window in self._all():
            top, bottom = first // window.step, maps[address] if last == self.extent else last // window.step
            places[address] = Span(top, bottom, top, bottom, maps[address])
        return _Stretch(cut, places)

    def _all(self) -> Iterable[tuple[Address, Window]]:
        return self.windows.items()


@torch.no_grad()
def _maps(axes: list[_Axis], tile: int, layers: Collection[Address], encoder: Encoder) -> list[dict[Address, int]]:
    """How many positions each layer has along both axes.

    Seen in the picture's last corner: networks differ in what they do with what their strides leave over.
    """
    if axes[0].wraps:
        return [{address: axis.extent // window.step for address, window in axis.windows.items()} for axis in axes]
    if not layers:
        return [{}, {}]
    begins = [axis.surrounded(max(0, axis.extent - tile), axis.extent)[0] for axis in axes]
    height, width = (axis.extent - begin for axis, begin in zip(axes, begins, strict=True))
    seen = encoder(torch.zeros(1, 3, height, width, device=encoder.device), layers)
    return [
        {address: seen[address].shape[2 + index] + begins[index] // axis.windows[address].step for address in layers}
        for index, axis in enumerate(axes)
    ]
