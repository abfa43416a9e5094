"""What excites channels most, of many pictures, beside what of it did: the figure of Zeiler and Fergus 2014."""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path

import torch
from torch import Tensor

from oneira.errors import PlanError
from oneira.features.address import Address, split_address
from oneira.features.encoder import Encoder
from oneira.features.registry import resolve
from oneira.images import Cell, in_rows, sheet
from oneira.inspection.layer_responses import Response
from oneira.inspection.picture_set import PictureSet
from oneira.inspection.projection import project
from oneira.inspection.receptive_box import receptive_box
from oneira.inspection.remembering import memory_of, remembered
from oneira.inspection.responses import Responses
from oneira.inspection.rules import Rule
from oneira.inspection.seeds import answer
from oneira.inspection.showing import SILENT_GREY, magnified, shown
from oneira.inspection.study import Study
from oneira.inspection.watching import SIDE

GAP = 4  # pixels between the patches and their projections
SHOWN_SIDE = 64  # pixels, about, of each


@dataclass(frozen=True, eq=False)
class Excitation(Study):
    """The `top` pictures of `data` that excite each of `channels` of `layer` most, at most one position of each.

    Of every channel a cell: to the left what the strongest positions saw, to the right what of it made them answer, by
    `rule`. `data`: a folder of pictures, or an .npz file. What was measured is kept in the cache, and not measured
    again.
    """

    data: Path
    layer: str
    channels: tuple[int, ...]
    top: int = 9
    rule: Rule = "deconvnet"

    def __post_init__(self) -> None:
        if not self.channels or self.top < 1:
            raise PlanError("at least one channel is shown, and one picture of each")

    @property
    def size(self) -> tuple[int, int]:
        """Of each picture."""
        return SIDE, SIDE

    def check(self, encoder: Encoder) -> None:
        """The layer is there; the pictures are."""
        encoder.check([self.layer], self.size)
        _ = self._found  # told here where it cannot be opened

    @cached_property
    def _found(self) -> PictureSet:
        """Opened once: of an .npz file every byte is hashed."""
        return PictureSet.open(self.data)

    def pictures(self, encoder: Encoder, generator: torch.Generator) -> Iterator[tuple[int, int, Callable[[], Tensor]]]:
        """Nothing but grey while pictures are watched; then a sheet, with one more channel each time."""
        found = self._found
        total = len(found) + len(self.channels)
        responses: Responses | None = None
        address = resolve(self.layer)
        path = memory_of(encoder, [address], found, side=SIDE, top=self.top)
        for responses in remembered(path, encoder, [address], found, top=self.top):
            yield responses.done, total, partial(torch.full, (1, 3, SHOWN_SIDE, SHOWN_SIDE), 0.5)
        assert responses is not None
        cells: list[Cell] = []
        for done, channel in enumerate(self.channels, 1):
            cells.append(self._cell(encoder, address, channel, responses[address].strongest(channel), found))
            rows = in_rows(cells, math.ceil(math.sqrt(len(self.channels) / 2)))  # cells are twice as wide as high
            title = f"{split_address(self.layer)[1]}, {self.rule}"
            yield len(found) + done, total, partial(sheet, rows, title=title)

    def _cell(
        self, encoder: Encoder, address: Address, channel: int, strongest_ones: tuple[Response, ...], found: PictureSet
    ) -> Cell:
        if not strongest_ones:
            return Cell(torch.full((1, 3, SHOWN_SIDE, 2 * SHOWN_SIDE), SILENT_GREY), f"{channel}: dead")
        patches, projections = [], []
        for each in strongest_ones:
            square = found.square(each.picture, SIDE).to(encoder.device)
            projection = project(encoder, square, address, partial(answer, channel=channel), self.rule)
            box = receptive_box(address, each.y, each.x, self.size)
            patches.append(box.crop(square).cpu())
            projections.append(shown(box.crop(projection).cpu()))
        gap = torch.ones(1, 3, 1, GAP)
        left_side, right_side = _grid(patches, self.top), _grid(projections, self.top)
        return Cell(
            torch.cat([left_side, gap.expand(-1, -1, left_side.shape[2], -1), right_side], 3),
            f"{channel}: {strongest_ones[0].value:.3g}",
        )


def _grid(squares: list[Tensor], places: int) -> Tensor:
    """About square, as large for few squares as for `places`; each enlarged by a whole number."""
    factor = max(1, SHOWN_SIDE // squares[0].shape[2])
    large = [magnified(each, factor) for each in squares]
    columns = math.ceil(math.sqrt(places))
    rows = math.ceil(places / columns)
    large += [torch.ones_like(large[0])] * (rows * columns - len(large))
    return torch.cat([torch.cat(large[first : first + columns], 3) for first in range(0, rows * columns, columns)], 2)
