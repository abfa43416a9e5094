"""Pictures that follow each other: which, in what order, for how long, and all in one size."""

import re
from collections.abc import Sequence
from fractions import Fraction
from functools import lru_cache, partial
from itertools import pairwise
from pathlib import Path

import torch
from torch import Tensor

from oneira.errands import EXTENSIONS
from oneira.errors import PlanError
from oneira.images import Picture, fit, resize
from oneira.images.notices import notice
from oneira.motion.reel import Reel, Still


def pictures_in(places: Sequence[Path]) -> list[Path]:
    """`places`, with the pictures in a folder in place of it: by name, frame2 before frame10; hidden ones are left out.

    Raises PlanError for a folder without any.
    """
    found: list[Path] = []
    for place in places:
        if not place.is_dir():
            found.append(place)
            continue
        pictures = [path for path in place.iterdir() if _is_picture(path)]
        if not pictures:
            raise PlanError(f"no picture in {str(place)!r}; name a folder that holds some")
        found += sorted(pictures, key=_natural)
    return found


def shown_at(path: Path, size: tuple[int, int] | None = None) -> Tensor:
    """The picture (1, 3, h, w) in the file at `path`, of `size` where that is told; see `opaque` and `letterboxed`.

    Raises ImageError where it cannot be read.
    """
    picture = Picture.open(path)
    image = opaque(picture.image, picture.alpha)
    return image if size is None else letterboxed(image, size)


def opaque(image: Tensor, alpha: Tensor | None) -> Tensor:
    """`image` (1, 3, h, w), laid on white where there is `alpha` (1, 1, h, w): films hold none. A notice says so."""
    if alpha is None:
        return image
    notice("films hold no transparency: the pictures were laid on white")
    return image * alpha + (1 - alpha)


def letterboxed(image: Tensor, size: tuple[int, int]) -> Tensor:
    """(1, 3, h, w) -> (1, 3, *size): as large as it can be there with its proportions, in the middle of black."""
    height, width = image.shape[2:]
    if height * size[1] > width * size[0]:  # taller than the frame
        inside = (size[0], min(size[1], max(1, round(width * size[0] / height))))
    else:
        inside = (min(size[0], max(1, round(height * size[1] / width))), size[1])
    if inside == size:
        return resize(image, size)
    top, left = (size[0] - inside[0]) // 2, (size[1] - inside[1]) // 2
    page = torch.zeros(*image.shape[:2], *size)
    page[:, :, top : top + inside[0], left : left + inside[1]] = resize(image, inside)
    return page


def frame_size(image: Tensor, long_side: int | None) -> tuple[int, int]:
    """(height, width) of a film in the proportions of `image` (1, 3, h, w): its own size, or that of its long side."""
    height, width = image.shape[2:]
    return (height, width) if long_side is None else fit(height, width, long_side)


def paced(stills: Sequence[Still], rate: Fraction, *, hold: Fraction | None = None, fade: int = 0) -> Reel:
    """`stills` at `rate` frames a second, or each for `hold` seconds; between two of them, `fade` frames of both.

    A frame of a cross-fade mixes the two by even shares of sRGB values, as editors of films do, and takes 1 / `rate`.
    Raises PlanError as `Reel` does, and for fewer than 0 frames of fading.
    """
    if rate <= 0 or fade < 0:
        raise PlanError(f"a film needs a rate above 0 and a fade of at least 0 frames, not {rate} and {fade}")
    moment = 1 / rate
    seen = _remembered(stills) if fade else list(stills)
    frames, durations = seen[:1], [moment if hold is None else hold][: len(seen)]
    for before, behind in pairwise(seen):
        frames += [partial(_mixed, before, behind, step / (fade + 1)) for step in range(1, fade + 1)]
        durations += [moment] * fade
        frames.append(behind)
        durations.append(moment if hold is None else hold)
    return Reel(frames, durations)


def _mixed(before: Still, behind: Still, share: float) -> Tensor:
    return torch.lerp(before(), behind(), share)


def _remembered(stills: Sequence[Still]) -> list[Still]:
    """The same, of which the last two that were looked at stay in memory."""
    look = lru_cache(maxsize=2)(lambda number: stills[number]())
    return [partial(look, number) for number in range(len(stills))]


def _is_picture(path: Path) -> bool:
    return path.is_file() and path.suffix.lower() in EXTENSIONS and not path.name.startswith(".")


def _natural(path: Path) -> tuple[list[tuple[int, str]], str]:
    """As people count: runs of digits are numbers."""
    parts = re.split(r"([0-9]+)", path.name)
    return [(int(part), "") if number % 2 else (-1, part.lower()) for number, part in enumerate(parts)], path.name
