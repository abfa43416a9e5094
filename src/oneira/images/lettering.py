"""Type on pictures: what the built-in font can write, and how a text goes into a width."""

import re
import unicodedata
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

MINIMUM = 11  # pixels; smaller type cannot be read
ELLIPSIS = "…"
_LONGEST = 1000  # characters; more are no caption
# How far type may shrink, by how much at a time, before a text is cut short instead.
_SMALLEST, _SMALLER = 0.6, 0.92
# Words that are too long for a line break after the marks of addresses and paths, and at hyphens.
_BREAKS = re.compile(r"(?<=[/:_])(?=\w)|(?<=[^\W\d]-)(?=[^\W\d])")
# Pillow's own font holds ASCII and little more.
_SPELLED = {
    "\N{MULTIPLICATION SIGN}": "x",
    "\N{MINUS SIGN}": "-",
    "\N{EN DASH}": "-",
    "\N{EM DASH}": "-",
    "\N{RIGHTWARDS ARROW}": "->",
    "\N{LESS-THAN OR EQUAL TO}": "<=",
    "\N{GREATER-THAN OR EQUAL TO}": ">=",
    "\N{ALMOST EQUAL TO}": "~",
    "\N{INFINITY}": "inf",
    "\N{LATIN SMALL LETTER SHARP S}": "ss",
    "\N{LATIN SMALL LETTER AE}": "ae",
    "\N{LATIN SMALL LETTER O WITH STROKE}": "o",
    "\N{LATIN SMALL LETTER L WITH STROKE}": "l",
}


@dataclass(frozen=True)
class Block:
    """Lines of type of one size, and the room in pixels that they take."""

    lines: tuple[str, ...]
    size: int
    width: int
    height: int


def set_type(texts: Sequence[str], *, width: int, size: int, most: int) -> tuple[Block, ...]:
    """Each text in at most `width` pixels and `most` lines, all of the largest type up to `size` that loses nothing.

    Lines break at line ends and spaces; words that are too long, after the marks of addresses. Type shrinks to 0.6 of
    `size`, never below 11 pixels; what is too long then is broken anywhere and, if need be, ends in an ellipsis.
    `width` is at least twice `size`, so that something can be written at all. An empty text has no lines.
    """
    written = [legible(text) for text in texts]
    floor = max(MINIMUM, round(_SMALLEST * size))
    tried = size
    while True:
        font = _font(tried)
        lines = [tuple(islice(_broken(text, font, width, anywhere=False), most + 1)) for text in written]
        if all(len(some) <= most and _all_fit(some, font, width) for some in lines):
            break
        if tried <= floor:
            lines = [_shortened(text, font, width, most) for text in written]
            break
        tried = max(floor, int(tried * _SMALLER))
    return tuple(_block(some, tried) for some in lines)


def line_height(size: int) -> int:
    """From the top of one line to the top of the next, in pixels."""
    return sum(_font(size).getmetrics())


def line_width(text: str, size: int) -> int:
    """What the ink of a line takes, in pixels."""
    return _width(text, _font(size))


def ink(text: str, size: int) -> Tensor:
    """A line of type: (h, w) in [0, 1], how much of each pixel is ink; as high as a line, as wide as its ink."""
    font = _font(size)
    page = Image.new("L", (_width(text, font), line_height(size)))
    ImageDraw.Draw(page).text((-font.getbbox(text)[0], 0), text, fill=255, font=font)
    return torch.from_numpy(np.asarray(page, dtype=np.float32) / 255)


def legible(text: str) -> str:
    """The text in letters that the font has: 'λ' as 'lambda', 'é' as 'e', and '?' where there is no way.

    Whatever is white, but a line's end, is a space. At most 1000 characters, the last an ellipsis where there were
    more.
    """
    if len(text) > _LONGEST:
        text = text[: _LONGEST - 1] + ELLIPSIS
    font = _font(24)
    missing = bytes(font.getmask("\uffff"))  # what is drawn in place of a letter that is not there
    return "".join(_written(letter, lambda known: bytes(font.getmask(known)) != missing) for letter in text)


def _written(letter: str, known: Callable[[str], bool]) -> str:
    if letter.isspace():
        return "\n" if letter == "\n" else " "
    if unicodedata.category(letter) in ("Cc", "Cf", "Mn", "Me"):
        return ""  # controls, such as those that turn the direction of writing, and loose accents
    if unicodedata.category(letter) != "Cs" and known(letter):
        return letter
    if letter in _SPELLED:
        return _SPELLED[letter]
    parts = unicodedata.normalize("NFKD", letter)
    return "".join(_written(part, known) for part in parts) if parts != letter else _greek(letter)


def _greek(letter: str) -> str:
    """'λ' -> 'lambda', 'Λ' -> 'Lambda'; '?' for what is not Greek."""
    match unicodedata.name(letter, "").replace("LAMDA", "LAMBDA").split():
        case ["GREEK", "SMALL", "LETTER", *_, name]:
            return name.lower()
        case ["GREEK", "CAPITAL", "LETTER", *_, name]:
            return name.capitalize()
        case _:
            return "?"


def _font(size: int) -> ImageFont.FreeTypeFont:
    font = ImageFont.load_default(size)
    assert isinstance(font, ImageFont.FreeTypeFont)
    return font


def _width(text: str, font: ImageFont.FreeTypeFont) -> int:
    left, _, right, _ = font.getbbox(text)
    return int(right - left)


def _all_fit(lines: Sequence[str], font: ImageFont.FreeTypeFont, width: int) -> bool:
    return all(_width(line, font) <= width for line in lines)


def _broken(text: str, font: ImageFont.FreeTypeFont, width: int, *, anywhere: bool) -> Iterator[str]:
    """Lines, each as full as it can be; a piece that is too wide by itself is a line of its own."""
    line = ""
    for lead, piece in _pieces(text, font, width, anywhere=anywhere):
        if lead != "\n" and _width(line + lead + piece, font) <= width:
            line += lead + piece
            continue
        if line:
            yield line
        line = piece
    if line:
        yield line


def _pieces(text: str, font: ImageFont.FreeTypeFont, width: int, *, anywhere: bool) -> Iterator[tuple[str, str]]:
    """What is kept together, and what stands before it on the same line: nothing, a space, or a line's end."""
    for paragraph in text.split("\n"):
        lead = "\n"
        for word in paragraph.split():
            for part in [word] if _width(word, font) <= width else _BREAKS.split(word):
                for piece in part if anywhere and _width(part, font) > width else [part]:
                    yield lead, piece
                    lead = ""
            lead = " "


def _shortened(text: str, font: ImageFont.FreeTypeFont, width: int, most: int) -> tuple[str, ...]:
    lines = list(islice(_broken(text, font, width, anywhere=True), most + 1))
    if len(lines) > most:
        last = lines[most - 1]
        while last and _width(last + ELLIPSIS, font) > width:
            last = last[:-1].rstrip()
        lines[most - 1 :] = [last + ELLIPSIS]
    return tuple(lines)


def _block(lines: tuple[str, ...], size: int) -> Block:
    width = max((line_width(line, size) for line in lines), default=0)
    return Block(lines, size, width, len(lines) * line_height(size))
