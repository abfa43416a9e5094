"""Laws of labelled sheets: nothing overlaps, nothing is cut, pictures stay as they are."""

from itertools import combinations, pairwise

import numpy as np
import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from PIL import Image, ImageDraw, ImageFont
from torch.testing import assert_close

from oneira.errors import ImageError, PlanError
from oneira.images import Cell, resize, sheet, sheets, side_by_side
from oneira.images.lettering import ELLIPSIS, MINIMUM, ink, legible, line_height, line_width, set_type
from oneira.images.sheets import Labels, lay_out

WORDS = [
    "",
    "7",
    "relu4_1",
    "vgg19:inception_4c/output",
    "λ = 0.3 \N{MULTIPLICATION SIGN} 2",
    "a long caption, of many words",
    "W" * 60,
    "\n\n",
]
# Lone surrogates among them, and what turns the direction of writing.
TEXTS = st.one_of(st.sampled_from(WORDS), st.text(st.characters(codec=None), max_size=60))
SIDES = st.integers(1, 90)


def picture(height, width, level=0.5):
    return torch.full((1, 3, height, width), level)


def boxes(layout):
    """(top, left, bottom, right) of every line's ink, which Pillow measures, and of every picture."""
    for line in layout.lines:
        left, top, right, bottom = ImageFont.load_default(line.size).getbbox(line.text)
        yield line.top + top, line.left, line.top + bottom, line.left + right - left
    for placed in layout.pictures:
        yield placed.top, placed.left, placed.top + placed.size[0], placed.left + placed.size[1]


def apart(one, other):
    return one[2] < other[0] or other[2] < one[0] or one[3] < other[1] or other[3] < one[1]


@st.composite
def labelled(draw):
    cells = st.builds(Cell, st.one_of(st.none(), st.builds(picture, SIDES, SIDES)), TEXTS)
    rows = draw(st.lists(st.lists(cells, max_size=4), min_size=1, max_size=3))
    rows[0].insert(0, Cell(picture(draw(SIDES), draw(SIDES)), draw(TEXTS)))
    columns = max(len(row) for row in rows)
    row_labels = draw(st.one_of(st.just([]), st.lists(TEXTS, min_size=len(rows), max_size=len(rows))))
    column_labels = draw(st.one_of(st.just([]), st.lists(TEXTS, min_size=columns, max_size=columns)))
    return rows, Labels(draw(TEXTS), tuple(row_labels), tuple(column_labels))


@settings(max_examples=60)
@given(labelled(), st.integers(1, 300))
def test_no_label_overlaps_anything_or_is_cut(given_sheet, cell):
    layout = lay_out(*given_sheet, cell)
    taken = list(boxes(layout))
    height, width = layout.size
    for top, left, bottom, right in taken:
        assert 0 < top < bottom < height
        assert 0 < left < right < width
    for one, other in combinations(taken, 2):
        assert apart(one, other)


def test_labels_of_rows_that_are_lower_than_type_stand_apart():
    layout = lay_out([[Cell(picture(2, 20))]] * 5, Labels(rows=("a label, of some length",) * 5), 20)
    assert all(apart(one, other) for one, other in combinations(boxes(layout), 2))


@pytest.mark.parametrize("caption", ["", "caption"])
def test_labels_stand_at_what_they_name(caption):
    rows = [[Cell(picture(60, 60), caption)] * 2] * 2
    layout = lay_out(rows, Labels("title", ("a", "b"), ("left", "right")), 60)
    title, left, right, *lines = layout.lines
    beside = [line for line in lines if line.text in "ab"]
    below = [line for line in lines if line.text == caption]
    first, second, third, _ = layout.pictures

    def middles(line):  # of the ink's width, of the line's height
        return line.left + line_width(line.text, line.size) / 2, line.top + line_height(line.size) / 2

    assert middles(title)[0] == pytest.approx(layout.size[1] / 2, abs=1)
    for label, placed in ((left, first), (right, second)):
        assert middles(label)[0] == pytest.approx(placed.left + 30, abs=1)
        assert title.top + line_height(title.size) <= label.top < placed.top - line_height(label.size)
    for label, placed in zip(beside, (first, third), strict=True):
        assert middles(label)[1] == pytest.approx(placed.top + 30, abs=1)
        assert label.left + line_width(label.text, label.size) <= placed.left - 4
    for label, placed in zip(below, layout.pictures if caption else (), strict=True):
        assert middles(label)[0] == pytest.approx(placed.left + 30, abs=1)
        assert 60 < label.top - placed.top < 66
    # Nearer to what is above than to what is below, where there are captions; white in any case.
    assert second.left - first.left - 60 >= 4
    ends = below[0].top + line_height(below[0].size) if below else first.top + 60
    assert third.top - ends >= (5 if below else 4)


@settings(max_examples=25)
@given(labelled(), st.integers(1, 60))
def test_a_sheet_is_a_picture_and_the_same_every_time(given_sheet, cell):
    rows, labels = given_sheet
    around = {"title": labels.title, "row_labels": labels.rows, "column_labels": labels.columns, "cell": cell}
    made = sheet(rows, **around)
    assert made.dtype == torch.float32
    assert tuple(made.shape) == (1, 3, *lay_out(rows, labels, cell).size)
    assert 0 <= made.min() <= made.max() <= 1
    assert torch.equal(made, sheet(rows, **around))


@given(st.lists(TEXTS, max_size=4), st.integers(11, 60), st.integers(1, 4), st.floats(2, 20))
def test_type_fits_and_is_never_too_small(texts, size, most, ems):
    width = int(size * ems) + 1
    blocks = set_type(texts, width=width, size=size, most=most)
    assert len(blocks) == len(texts)
    for block in blocks:
        assert len(block.lines) <= most
        assert max(MINIMUM, round(0.6 * size)) <= block.size <= size
        assert block.width == max((line_width(line, block.size) for line in block.lines), default=0) <= width
        assert block.height == len(block.lines) * line_height(block.size)
    assert len({block.size for block in blocks}) <= 1


@given(TEXTS, st.integers(11, 40), st.integers(40, 400))
def test_only_an_ellipsis_leaves_letters_out(text, size, width):
    (block,) = set_type([text], width=width, size=size, most=3)
    said, wanted = ("".join("".join(part).split()) for part in (block.lines, legible(text)))
    if said != wanted:
        assert block.lines[-1].endswith(ELLIPSIS)
        assert wanted.startswith(said.removesuffix(ELLIPSIS))
        assert len(block.lines) == 3
        assert block.size == max(MINIMUM, round(0.6 * size))


def test_lines_break_where_a_reader_expects_it():
    def lines(text, width):
        return set_type([text], width=width, size=20, most=3)[0].lines

    assert lines("a caption of words", 100) == ("a caption", "of words")
    assert lines("one\ntwo", 500) == ("one", "two")
    assert lines("googlenet:inception_4c", 150) == ("googlenet:", "inception_4c")
    assert lines("see relu4_2", 80) == ("see", "relu4_2")  # a word that fits into a line is kept whole


def test_type_shrinks_before_a_text_is_cut_short():
    whole, smaller, short = (set_type(["W" * n], width=200, size=30, most=1)[0] for n in (4, 8, 30))
    assert (whole.size, whole.lines) == (30, ("WWWW",))
    assert 18 < smaller.size < 30
    assert smaller.lines == ("W" * 8,)
    assert short.size == 18
    assert short.lines[0].endswith("W" + ELLIPSIS)
    # As much as goes in.
    assert line_width(short.lines[0].replace(ELLIPSIS, "W" + ELLIPSIS), 18) > 200


@given(st.text(st.characters(codec=None), max_size=30))
@example("λ")
@example("\N{MULTIPLICATION SIGN}")
@example("日本")
@example("\ud800\u202e")
def test_every_letter_that_is_set_is_in_the_font(text):
    font = ImageFont.load_default(30)
    missing = bytes(font.getmask("\U0010ffff"))
    for letter in legible(text):
        assert letter in " \n" or bytes(font.getmask(letter)) != missing


def test_letters_that_the_font_has_not_are_spelled():
    assert legible("λ = 3 \N{MULTIPLICATION SIGN} 10²") == "lambda = 3 x 102"
    assert legible("Ω, Ά, ς") == "Omega, Alpha, sigma"
    assert legible("Josephine Müller, Café") == "Josephine Muller, Cafe"
    assert legible("日") == "?"
    assert legible("tab\tand\u00a0space\u200b") == "tab and space"
    assert legible("as it is: ~#_/“”…") == "as it is: ~#_/“”…"


def test_endless_texts_are_cut_short():
    assert len(legible("a" * 5000)) == 1000
    assert legible("a" * 5000).endswith("a" + ELLIPSIS)
    assert legible("a" * 1000) == "a" * 1000


@pytest.mark.parametrize("text", ["j", "jagged_(W|", "fff", "©®", '"'])
@pytest.mark.parametrize("size", [11, 20, 63])
def test_none_of_the_ink_is_lost(text, size):
    drawn = ink(text, size)
    assert tuple(drawn.shape) == (line_height(size), line_width(text, size))
    roomy = Image.new("L", (20 * size, 5 * size))
    ImageDraw.Draw(roomy).text((2 * size, 2 * size), text, fill=255, font=ImageFont.load_default(size))
    assert drawn.sum().item() == pytest.approx(np.asarray(roomy).sum() / 255, rel=1e-5)


@given(rows=st.integers(1, 3), columns=st.integers(1, 4), side=st.integers(1, 40), captions=st.booleans())
def test_pictures_of_one_size_are_in_it_as_they_are(rows, columns, side, captions):
    generator = torch.Generator().manual_seed(side)
    pictures = [[torch.rand(1, 3, side, side, generator=generator) for _ in range(columns)] for _ in range(rows)]
    cells = [[Cell(image, "caption" * captions) for image in row] for row in pictures]
    made = sheet(cells)
    for placed in lay_out(cells, Labels(), side).pictures:
        assert placed.size == (side, side)
        seen = made[..., placed.top : placed.top + side, placed.left : placed.left + side]
        assert torch.equal(seen, placed.image)


def test_all_but_pictures_and_type_is_white_and_type_is_nearly_black():
    cells = [[Cell(picture(30, 50), "one"), Cell(None), Cell(picture(50, 30), "two")]]
    layout, made = lay_out(cells, Labels("title"), 50), sheet(cells, title="title")
    assert made.min() == pytest.approx(0.1)
    for placed in layout.pictures:
        made[..., placed.top : placed.top + placed.size[0], placed.left : placed.left + placed.size[1]] = 1
    for line in layout.lines:
        height, width = ink(line.text, line.size).shape
        made[..., line.top : line.top + height, line.left : line.left + width] = 1
    assert (made == 1).all()


@given(st.lists(st.tuples(SIDES, SIDES), min_size=1, max_size=6), st.integers(1, 200))
def test_pictures_are_never_stretched_and_stand_in_the_middle(sizes, cell):
    layout = lay_out([[Cell(picture(*size)) for size in sizes]], Labels(), cell)
    assert all(max(placed.size) == cell for placed in layout.pictures)
    for placed, (height, width) in zip(layout.pictures, sizes, strict=True):
        shorter = cell * min(height, width) / max(height, width)
        assert min(placed.size) == pytest.approx(max(1, shorter), abs=0.5)
    # Middles of twice the coordinates: whole numbers.
    middles = [2 * placed.top + placed.size[0] for placed in layout.pictures]
    assert max(middles) - min(middles) <= 1
    centres = [2 * placed.left + placed.size[1] for placed in layout.pictures]
    steps = [after - before for before, after in pairwise(centres)]
    assert not steps or max(steps) - min(steps) <= 2


def test_a_picture_is_resized_as_everywhere(image):
    made = sheet([[Cell(image)]], cell=14)
    (placed,) = lay_out([[Cell(image)]], Labels(), 14).pictures
    assert_close(made[..., placed.top : placed.top + 10, placed.left : placed.left + 14], resize(image, (10, 14)))


def test_without_a_cell_the_longest_side_counts():
    rows = [[Cell(picture(10, 40)), Cell(picture(64, 20))]]
    assert torch.equal(sheet(rows), sheet(rows, cell=64))


def test_what_lies_outside_of_colours_is_clamped():
    made = sheet([[Cell(picture(9, 9, -3.0)), Cell(picture(9, 9, 7.0).bfloat16())]])
    assert set(made.unique().tolist()) == {0.0, 1.0}


def test_type_can_be_read_where_the_sheet_is_seen_1000_pixels_wide():
    for columns, side in ((1, 512), (5, 256), (7, 160), (16, 128), (3, 2048)):
        layout = lay_out([[Cell(picture(side, side), f"{c}") for c in range(columns)]] * 2, Labels(), side)
        shown = min(1, 1000 / layout.size[1])
        assert all(line.size * shown > 10 for line in layout.lines)
        assert all(line.size * shown < 40 for line in layout.lines)


def test_captions_of_the_smallest_pictures_can_be_read():
    numbers = [str(number) for number in range(1000, 1256)]
    rows = [[Cell(picture(4, 4), number) for number in numbers[start : start + 16]] for start in range(0, 256, 16)]
    assert sorted(line.text for line in lay_out(rows, Labels(), 4).lines) == numbers


def test_a_sheet_stays_below_the_most_pixels(monkeypatch):
    rows = [[Cell(picture(100, 150), "caption")] * 4] * 3
    free = sheet(rows)
    monkeypatch.setattr(sheets, "MAX_PIXELS", 50_000)
    held = sheet(rows)
    assert 40_000 < held.shape[2] * held.shape[3] <= 50_000 < free.shape[2] * free.shape[3]
    with pytest.raises(PlanError, match="at most 50,000 are allowed: take smaller cells"):
        sheet(rows, cell=150)
    monkeypatch.setattr(sheets, "MAX_PIXELS", 100)
    with pytest.raises(PlanError, match="cells of 1 pixels would make a sheet of"):
        sheet(rows)


def test_cells_beyond_all_measure_are_refused_before_anything_is_made():
    with pytest.raises(PlanError, match="take smaller cells"):
        sheet([[Cell(picture(4, 4), "caption")]], cell=10**9)


@given(count=st.integers(1, 17), height=st.integers(1, 5), width=st.integers(1, 5))
def test_side_by_side_pictures_stand_as_they_are_in_a_grid_that_is_about_square(count, height, width):
    images = 0.9 * torch.rand(count, 3, height, width, generator=torch.Generator().manual_seed(count))
    together = side_by_side(images)
    columns, rows = together.shape[3] // width, together.shape[2] // height
    assert together.shape == (1, 3, rows * height, columns * width)
    # About square, and no row without a picture.
    assert rows <= columns < count**0.5 + 1
    assert (rows - 1) * columns < count <= rows * columns
    for place in range(rows * columns):
        top, left = place // columns * height, place % columns * width
        seen = together[..., top : top + height, left : left + width]
        if place < count:
            assert torch.equal(seen, images[place : place + 1])
        else:
            assert (seen == 1).all()


def test_one_picture_by_itself_stays_as_it_is(image):
    assert torch.equal(side_by_side(image), image)


@pytest.mark.parametrize(
    ("make", "error", "says"),
    [
        (lambda: sheet([]), PlanError, "a sheet without a picture"),
        (lambda: sheet([[Cell(None, "nothing")]]), PlanError, "a sheet without a picture"),
        (lambda: sheet([[Cell(picture(2, 2))]], row_labels=["a", "b"]), PlanError, "one label per row: 1 here, not 2"),
        (
            lambda: sheet([[Cell(picture(2, 2))], [Cell(None)] * 3], column_labels="a"),
            PlanError,
            "one label per column: 3 here, not 1",
        ),
        (lambda: sheet([[Cell(picture(2, 2))]], cell=0), PlanError, "a cell of 0 pixels; at least 1"),
        (lambda: sheet([[Cell(torch.rand(3, 4, 4))]]), ImageError, r"float32 \(3, 4, 4\); floats of \(1, 3, "),
        (lambda: sheet([[Cell(torch.rand(2, 3, 4, 4))]]), ImageError, r"\(2, 3, 4, 4\)"),
        (lambda: sheet([[Cell(torch.rand(1, 3, 0, 4))]]), ImageError, r"\(1, 3, 0, 4\)"),
        (lambda: sheet([[Cell(torch.ones(1, 3, 4, 4).byte())]]), ImageError, "uint8"),
        (lambda: sheet([[Cell(picture(2, 2, float("nan")))]]), ImageError, "NaN"),
    ],
)
def test_what_makes_no_sheet_is_refused(make, error, says):
    with pytest.raises(error, match=says):
        make()
