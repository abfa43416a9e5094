"""Labelled sheets: a grid of pictures, as a figure has it, in one picture."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate, islice
from typing import Self

import torch
import torch.nn.functional as F
from torch import Tensor

from oneira.errors import ImageError, PlanError
from oneira.images.lettering import MINIMUM, Block, ink, line_height, line_width, set_type
from oneira.images.picture import MAX_PIXELS
from oneira.images.resizing import fit, resize

_INK = 0.1  # of white; print is never quite black
_CAPTION_LINES, _TITLE_LINES, _ROW_LABEL_LINES = 3, 3, 4
# Type is a part of a column, and of the sheet, which is seen about 1000 pixels wide; five letters go into a column.
_OF_COLUMN, _OF_SHEET, _TITLE = 0.035, 0.013, 1.25
_LARGEST_OF_COLUMN, _LARGEST_OF_HEIGHT = 0.2, 0.5
_NARROWEST = 3 * MINIMUM  # pixels of a column in which something is written
_ROW_LABEL = 10  # times the size of type: the widest label beside a row, unless columns are wider
_CENTRE, _RIGHT = 0.5, 1.0


@dataclass(frozen=True, eq=False)
class Cell:
    """A picture (1, 3, h, w), sRGB in [0, 1], and the caption below it; None leaves the place empty."""

    image: Tensor | None
    caption: str = ""


Rows = Sequence[Sequence[Cell]]


@dataclass(frozen=True)
class Labels:
    """What is written around the grid; empty where there is nothing."""

    title: str = ""
    rows: tuple[str, ...] = ()
    columns: tuple[str, ...] = ()


@dataclass(frozen=True)
class Line:
    """A line of type: where its box begins, in pixels from the sheet's corner, and what it says in which size."""

    top: int
    left: int
    text: str
    size: int


@dataclass(frozen=True, eq=False)
class Placed:
    """A picture, where it begins, and the (height, width) that it is brought to."""

    top: int
    left: int
    size: tuple[int, int]
    image: Tensor


@dataclass(frozen=True)
class Layout:
    """A sheet of `size` (height, width) before anything is drawn."""

    size: tuple[int, int]
    pictures: tuple[Placed, ...]
    lines: tuple[Line, ...]


def sheet(
    rows: Rows,
    *,
    title: str = "",
    row_labels: Sequence[str] = (),
    column_labels: Sequence[str] = (),
    cell: int | None = None,
) -> Tensor:
    """Rows of pictures as one picture, (1, 3, h, w), sRGB in [0, 1]: near-black type on white, no two things touching.

    Every picture keeps its proportions: its longer side becomes `cell` pixels, the longest side among the pictures if
    None (less where the sheet would have more than MAX_PIXELS), and it stands in the middle of its place. Rows may
    be of different lengths. Texts are set by `lettering.set_type`: broken, made smaller, and cut short with an
    ellipsis where they are too long; letters that the built-in font has not are spelled.

    Raises PlanError where labels do not go with the rows or columns, where there is no picture, for a cell below 1,
    and for a sheet of more than MAX_PIXELS; ImageError for what is no such picture.
    """
    labels = Labels(title, tuple(row_labels), tuple(column_labels))
    _check(rows, labels, cell)
    return _drawn(_within_bounds(rows, labels, cell))


def lay_out(rows: Rows, labels: Labels, cell: int) -> Layout:
    """Where everything stands if the pictures' longer sides are `cell` pixels."""
    page = _Page.of(rows, labels, cell)
    tops = page.tops()
    lines, pictures = [*page.title_lines(), *page.column_lines(tops[0])], []
    for index, (row, top) in enumerate(zip(rows, tops, strict=True)):
        lines += page.row_lines(index, top)
        for column, shown in enumerate(row):
            if shown.image is not None:
                pictures.append(page.placed(shown.image, top + page.band(index) // 2, column, cell))
    return Layout((page.height, page.width), tuple(pictures), tuple(lines))


@dataclass(frozen=True)
class _Grid:
    """Lengths in pixels: the (height, width) that a picture may take, a column's width, type, and white between."""

    box: tuple[int, int]
    columns: int
    column: int
    type: int
    gap: int

    @classmethod
    def of(cls, rows: Rows, labels: Labels, cell: int) -> Self:
        sizes = [_fitted(image, cell) for image in _images(rows)]
        height, width = (max(sides) for sides in zip(*sizes, strict=True))
        columns = max(len(row) for row in rows)
        column = max(width, _NARROWEST) if _written(rows, labels) else width
        wanted = max(_OF_COLUMN * column, _OF_SHEET * columns * column)
        type_size = round(min(_LARGEST_OF_COLUMN * column, _LARGEST_OF_HEIGHT * height, wanted))
        return cls((height, width), columns, column, max(MINIMUM, type_size), max(4, type_size // 2))

    @property
    def width(self) -> int:
        return self.left(self.columns) - self.gap

    def left(self, column: int) -> int:
        """Where a column begins, from the first."""
        return column * (self.column + self.gap)


@dataclass(frozen=True)
class _Page:
    """The grid, and its texts as they are set: the title, above columns, beside rows, below the cells of each row."""

    grid: _Grid
    title: Block
    above: tuple[Block, ...]
    beside: tuple[Block, ...]
    below: tuple[tuple[Block, ...], ...]

    @classmethod
    def of(cls, rows: Rows, labels: Labels, cell: int) -> Self:
        grid = _Grid.of(rows, labels, cell)
        above = set_type(labels.columns, width=grid.column, size=grid.type, most=_CAPTION_LINES)
        most = min(max(1, grid.box[0] // line_height(grid.type)), _ROW_LABEL_LINES)
        beside = set_type(labels.rows, width=max(grid.column, _ROW_LABEL * grid.type), size=grid.type, most=most)
        captions = [shown.caption for row in rows for shown in row]
        blocks = iter(set_type(captions, width=grid.column, size=grid.type, most=_CAPTION_LINES))
        below = tuple(tuple(islice(blocks, len(row))) for row in rows)
        untitled = cls(grid, Block((), 0, 0, 0), above, beside, below)
        size = round(_TITLE * grid.type)
        (title,) = set_type([labels.title], width=untitled.width - 2 * grid.gap, size=size, most=_TITLE_LINES)
        return replace(untitled, title=title)

    @property
    def left(self) -> int:
        """Where the first column begins."""
        aside = _widest(self.beside)
        return self.grid.gap + (aside + self.grid.gap if aside else 0)

    @property
    def width(self) -> int:
        return self.left + self.grid.width + self.grid.gap

    @property
    def height(self) -> int:
        return self.tops()[-1] + self.row_height(len(self.below) - 1) + self.grid.gap

    @property
    def close(self) -> int:
        """The white between a picture and what is written about it."""
        return max(2, self.grid.type // 4)

    def band(self, row: int) -> int:
        """The height that pictures, and the label beside them, have."""
        return max(self.grid.box[0], self.beside[row].height if self.beside else 0)

    def row_height(self, row: int) -> int:
        captions = _tallest(self.below[row])
        return self.band(row) + (self.close + captions if captions else 0)

    def tops(self) -> list[int]:
        """Where each row begins."""
        title, labels = self.title.height, _tallest(self.above)
        top = self.grid.gap + (title + self.grid.gap if title else 0) + (labels + self.close if labels else 0)
        # Captions belong to what is above them: more white follows.
        white = [self.grid.gap * (3 if _tallest(blocks) else 2) // 2 for blocks in self.below]
        steps = [self.row_height(row) + white[row] for row in range(len(white))]
        return list(accumulate(steps[:-1], initial=top))

    def placed(self, image: Tensor, middle: int, column: int, cell: int) -> Placed:
        """A picture in the middle of its place."""
        height, width = size = _fitted(image, cell)
        left = self.left + self.grid.left(column) + (self.grid.column - width) // 2
        return Placed(middle - height // 2, left, size, image)

    def title_lines(self) -> Iterator[Line]:
        return _lines(self.title, self.grid.gap, self.grid.gap, self.width - 2 * self.grid.gap, _CENTRE)

    def column_lines(self, first: int) -> Iterator[Line]:
        """The labels above columns: the last line of each stands right above the first row, which begins at `first`."""
        for column, block in enumerate(self.above):
            top = first - self.close - block.height
            yield from _lines(block, top, self.left + self.grid.left(column), self.grid.column, _CENTRE)

    def row_lines(self, row: int, top: int) -> Iterator[Line]:
        """The label beside a row, in the middle of its height, and the captions below its cells."""
        if self.beside:
            block = self.beside[row]
            middle = top + (self.band(row) - block.height) // 2
            yield from _lines(block, middle, self.grid.gap, _widest(self.beside), _RIGHT)
        for column, block in enumerate(self.below[row]):
            left = self.left + self.grid.left(column)
            yield from _lines(block, top + self.band(row) + self.close, left, self.grid.column, _CENTRE)


def _lines(block: Block, top: int, left: int, width: int, aligned: float) -> Iterator[Line]:
    height = line_height(block.size)
    for index, text in enumerate(block.lines):
        spare = width - line_width(text, block.size)
        yield Line(top + index * height, left + int(spare * aligned), text, block.size)


def _widest(blocks: Sequence[Block]) -> int:
    return max((block.width for block in blocks), default=0)


def _tallest(blocks: Sequence[Block]) -> int:
    return max((block.height for block in blocks), default=0)


def _fitted(image: Tensor, cell: int) -> tuple[int, int]:
    return fit(image.shape[2], image.shape[3], cell)


def _images(rows: Rows) -> list[Tensor]:
    return [shown.image for row in rows for shown in row if shown.image is not None]


def _written(rows: Rows, labels: Labels) -> bool:
    texts = [labels.title, *labels.rows, *labels.columns, *(shown.caption for row in rows for shown in row)]
    return any(text.strip() for text in texts)


def _check(rows: Rows, labels: Labels, cell: int | None) -> None:
    """PlanError and ImageError, as `sheet` says."""
    images = _images(rows)
    if not images:
        raise PlanError("a sheet without a picture; give at least one cell an image")
    columns = max(len(row) for row in rows)
    for what, given, count in (("row", labels.rows, len(rows)), ("column", labels.columns, columns)):
        if given and len(given) != count:
            raise PlanError(f"there is one label per {what}: {count} here, not {len(given)}")
    if cell is not None and cell < 1:
        raise PlanError(f"a cell of {cell} pixels; at least 1 is needed")
    for image in images:
        if image.ndim != 4 or image.shape[:2] != (1, 3) or image.numel() == 0 or not image.is_floating_point():
            came = f"{image.dtype} {tuple(image.shape)}".removeprefix("torch.")
            raise ImageError(f"a cell's picture of {came}; floats of (1, 3, height, width) are needed")
        if bool(image.isnan().any()):
            raise ImageError("a cell's picture with NaN in it; no sheet was made")


def _within_bounds(rows: Rows, labels: Labels, cell: int | None) -> Layout:
    """The layout for `cell`; for None, that of the largest cells, up to the pictures' own size, that may be."""
    tried = max(max(image.shape[2:]) for image in _images(rows)) if cell is None else cell
    while True:
        grid = _Grid.of(rows, labels, tried)
        height, width = len(rows) * grid.box[0], grid.width
        if height * width <= MAX_PIXELS:  # otherwise the pictures alone are too much, and type would be huge
            layout = lay_out(rows, labels, tried)
            height, width = layout.size
        if height * width <= MAX_PIXELS:
            return layout
        if cell is not None or tried == 1:
            came = f"cells of {tried} pixels would make a sheet of {width} x {height}, {height * width:,} pixels"
            raise PlanError(f"{came}; at most {MAX_PIXELS:,} are allowed: take smaller cells, or fewer")
        tried = max(1, min(tried - 1, int(tried * (MAX_PIXELS / (height * width)) ** 0.5)))


def _drawn(layout: Layout) -> Tensor:
    page = torch.ones(1, 3, *layout.size)
    for placed in layout.pictures:
        height, width = placed.size
        image = resize(placed.image.detach().to("cpu", torch.float32).clamp(0, 1), placed.size)
        page[..., placed.top : placed.top + height, placed.left : placed.left + width] = image
    for line in layout.lines:
        drawn = ink(line.text, line.size)
        height, width = drawn.shape
        page[..., line.top : line.top + height, line.left : line.left + width] -= (1 - _INK) * drawn
    return page


def in_rows(cells: Sequence[Cell], columns: int | None = None) -> list[list[Cell]]:
    """Cells as rows of so many `columns`; of a grid that is about square where none are told."""
    width = columns or math.ceil(math.sqrt(len(cells)))
    return [list(cells[first : first + width]) for first in range(0, len(cells), width)]


def side_by_side(images: Tensor) -> Tensor:
    """A batch (b, 3, h, w) as one picture (1, 3, H, W), a grid that is about square; places left over are white."""
    columns = math.ceil(math.sqrt(len(images)))
    rows = math.ceil(len(images) / columns)
    white = images.new_ones(rows * columns - len(images), *images.shape[1:])
    grid = torch.cat([images, white]).unflatten(0, (rows, columns))
    together: Tensor = grid.permute(2, 0, 3, 1, 4).flatten(3).flatten(1, 2)[None]
    return together


def stacked(*pages: Tensor) -> Tensor:
    """Pictures (1, 3, h, w) as one, each below the other, in the middle of as much white as the widest needs."""
    width = max(page.shape[3] for page in pages)
    sides = [((width - page.shape[3]) // 2, (width - page.shape[3] + 1) // 2) for page in pages]
    return torch.cat([F.pad(page, side, value=1.0) for page, side in zip(pages, sides, strict=True)], 2)
