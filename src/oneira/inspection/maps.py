"""Activations and filters as they are: what channels answer where, and what the first of them are made of."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor, nn

from oneira.errors import PlanError
from oneira.features.address import split_address
from oneira.features.encoder import Encoder
from oneira.features.registry import resolve
from oneira.images import Cell, in_rows, sheet
from oneira.inspection.showing import magnified
from oneira.inspection.study import Study

SHOWN_SIDE = 96  # pixels that a small map or filter is enlarged to, about


@dataclass(frozen=True, eq=False)
class FeatureMaps(Study):
    """What channels of `layers` answer to `image` (1, 3, h, w), position by position: black is 0 or less.

    `channels`: which of each layer; without, the `top` that answer most strongly. White is each channel's own highest,
    which the caption tells.
    """

    image: Tensor
    layers: tuple[str, ...]
    channels: tuple[int, ...] = ()
    top: int = 16

    @property
    def size(self) -> tuple[int, int]:
        """Of the picture."""
        return self.image.shape[2], self.image.shape[3]

    def check(self, encoder: Encoder) -> None:
        """The layers are there, and the picture is large enough for them."""
        encoder.check(self.layers, self.size)

    def pictures(self, encoder: Encoder, generator: torch.Generator) -> Iterator[tuple[int, int, Callable[[], Tensor]]]:
        """A row for every layer, or several where one is alone; one more layer each time."""
        addresses = [resolve(layer) for layer in self.layers]
        with torch.no_grad():
            found = encoder(self.image.to(encoder.device), addresses)
        rows: list[list[Cell]] = []
        labels: list[str] = []
        for done, address in enumerate(addresses, 1):
            features = found[address].float().cpu()
            if features.ndim != 4:
                raise PlanError(f"{address} has no positions, and so no maps; name a layer that has")
            cells = [_map(features[0, channel], channel) for channel in self._chosen(features)]
            lines = [cells] if len(addresses) > 1 else in_rows(cells)
            rows += lines
            labels += [split_address(str(address))[1], *[""] * (len(lines) - 1)]
            yield done, len(addresses), partial(sheet, rows, row_labels=labels)

    def _chosen(self, features: Tensor) -> list[int]:
        if self.channels:
            if max(self.channels) >= features.shape[1]:
                raise PlanError(f"there is no channel {max(self.channels)} among {features.shape[1]}")
            return list(self.channels)
        order: list[int] = features[0].flatten(1).amax(1).argsort(descending=True, stable=True)[: self.top].tolist()
        return order


@dataclass(frozen=True, eq=False)
class Filters(Study):
    """The filters of the first convolution of `model`, which looks at colours: each as the picture that it is.

    Grey is 0; each has a scale of its own, its largest weight, which the caption tells.
    """

    model: str

    @property
    def size(self) -> tuple[int, int]:
        """None: nothing is seen."""
        return 0, 0

    def check(self, encoder: Encoder) -> None:
        """Only the weights tell."""

    def pictures(self, encoder: Encoder, generator: torch.Generator) -> Iterator[tuple[int, int, Callable[[], Tensor]]]:
        """All at once."""
        encoder.digest(self.model)  # loads the network
        parts = encoder.networks[self.model].modules()
        first = next((part for part in parts if isinstance(part, nn.Conv2d)), None)
        if first is None or first.in_channels != 3:
            raise PlanError(f"{self.model} does not begin with a convolution of three colours: it has no such filters")
        filters = first.weight.detach().float().cpu()
        cells = [_filter(weights, number) for number, weights in enumerate(filters)]
        yield 1, 1, partial(sheet, in_rows(cells))


def _filter(weights: Tensor, number: int) -> Cell:
    largest = float(weights.abs().max())
    return Cell(_enlarged(0.5 + weights[None] / (2 * max(largest, 1e-12))), f"{number}: {largest:.2g}")


def _map(values: Tensor, channel: int) -> Cell:
    highest = float(values.max())
    grey = (values.clamp(min=0) / max(highest, 1e-12)).expand(1, 3, -1, -1)
    return Cell(_enlarged(grey), f"{channel}: {highest:.3g}")


def _enlarged(picture: Tensor) -> Tensor:
    return magnified(picture, max(1, SHOWN_SIDE // picture.shape[2]))
