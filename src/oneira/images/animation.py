"""Pictures that move, as GIF, WebP and APNG: each is written before the next is looked at.

Pillow's own writers of these keep all frames in memory until the last has come. So Pillow encodes single pictures
here, and what stands around them in the file is written by `animated_gif`, `animated_webp` and `animated_png`.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import IO

import torch
from torch import Tensor

from oneira.errors import ImageError
from oneira.images.animated_gif import MOST_COLOURS, write_gif
from oneira.images.animated_png import write_apng
from oneira.images.animated_webp import write_webp
from oneira.images.embedding import KEYWORD, embedded
from oneira.images.formats import Format
from oneira.images.levels import levels_of
from oneira.images.palette import Dither, Levels, Palette
from oneira.images.recipe import Recipe
from oneira.images.saving import check_picture

Picture = Callable[[], Tensor]  # -> (1, 3, h, w) in [0, 1], the same whenever it is asked for

_SAMPLE = 32  # frames that a palette is made from


@dataclass(frozen=True)
class AnimationLook:
    """How often it `plays` (0: without end), `quality` of WebP (1 to 100), `colours` (2 to 255) and `dither` of GIF."""

    plays: int = 0
    quality: int = 90
    colours: int = MOST_COLOURS
    dither: Dither = "ordered"


def encode_animation(
    file: IO[bytes],
    kind: Format,
    pictures: Sequence[Picture],
    seconds: Sequence[Fraction],
    *,
    look: AnimationLook | None = None,
    recipe: Recipe | None = None,
) -> None:
    """Write `pictures`, all of one size, each seen for its `seconds`, as GIF, WebP or PNG into a `file` that can seek.

    What lies outside [0, 1] is clamped. Pictures are asked for one after the other; for GIF some of them twice, as it
    has one palette for all. GIF keeps time in hundredths of a second and WebP in milliseconds: pictures change at the
    nearest one, however long the film, and are seen for at least one. APNG's seconds are fractions, as they are here.
    `recipe`: in a comment of GIF, EXIF of WebP, a text chunk of PNG, where `read_recipe` finds it.

    Raises ImageError for no picture, one of another size than the first, NaN, and what the format cannot hold; OSError
    where the disk refuses.
    """
    look = look or AnimationLook()
    if not pictures:
        raise ImageError(f"a {kind.name} needs at least one frame")
    frames = zip(_checked(pictures, kind), seconds, strict=True)
    text = None if recipe is None else recipe.to_json()
    if kind.name == "GIF":
        palette = _palette(pictures, kind, look.colours)
        comment = None if text is None else f"{KEYWORD} {text}"
        write_gif(file, frames, palette, plays=look.plays, dither=look.dither, comment=comment)
    elif kind.name == "WebP":
        exif = None if recipe is None else embedded(recipe, kind)["exif"]
        write_webp(file, frames, plays=look.plays, quality=look.quality, exif=exif)
    else:
        write_apng(file, frames, plays=look.plays, text=None if text is None else (KEYWORD, text))


def _palette(pictures: Sequence[Picture], kind: Format, most: int) -> Palette:
    """Of pictures that lie as far from each other as may be, the first and the last among them."""
    count = min(len(pictures), _SAMPLE)
    places = [round(index * (len(pictures) - 1) / max(1, count - 1)) for index in range(count)]
    return Palette.of((_levels(pictures[place](), kind) for place in places), count, most)


def _checked(pictures: Sequence[Picture], kind: Format) -> Iterator[Levels]:
    size = None
    for number, picture in enumerate(pictures, start=1):
        levels = _levels(picture(), kind)
        size = size or levels.shape
        if levels.shape != size:
            came = f"frame {number} has {levels.shape[1]} x {levels.shape[0]} pixels"
            raise ImageError(f"{came}; the first has {size[1]} x {size[0]}, and all must have the same")
        yield levels


def _levels(image: Tensor, kind: Format) -> Levels:
    check_picture(image, None, kind)
    return levels_of(image.detach().to("cpu", torch.float32))
