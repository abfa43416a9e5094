"""A picture and a place in it, whose channels are asked for; and what of the sheet that they make is the picture."""

import re
from collections.abc import Sequence
from pathlib import PurePath
from typing import Self

from pydantic import Field, model_validator
from torch import Tensor

from oneira.errors import PlanError
from oneira.images import Cell, fit, marked, resize, sheet
from oneira.objectives import Look, Region
from oneira.techniques.technique import ImagePath, Technique

SIDE = 512  # pixels: the longest side, at most, at which networks see a picture; and the side at which it is shown
COORDINATE = re.compile(r"\s*(?:(\d{1,6})|(\d{1,3}(?:\.\d{1,6})?)\s*%)\s*")


class Watching(Technique):
    """Options that say where in a picture channels are to fire, and how many of them are asked for."""

    fires: ImagePath | None = Field(
        None,
        description="a picture: show what the channels want that fire at one place of it, the strongest first; "
        "with --point or --box",
    )
    point: str | None = Field(
        None, description="with --fires: at this pixel, X,Y from the left top, such as 120,80 or 30%,50%"
    )
    box: str | None = Field(
        None, description="with --fires: in this part, LEFT,TOP,RIGHT,BOTTOM, such as 100,60,180,140 or 0%,0%,50%,50%"
    )
    top: int = Field(8, ge=1, le=1024, description="with --fires: how many channels of each layer")

    @model_validator(mode="after")
    def _one_place_in_a_picture(self) -> Self:
        if self.fires is not None:
            if (self.point is None) == (self.box is None):
                came = "neither is given" if self.point is None else "both are given"
                raise ValueError(f"--fires looks at one place, --point X,Y or --box LEFT,TOP,RIGHT,BOTTOM; {came}")
            return self
        for option in ("point", "box", "top"):
            # A recipe names every option: one that is at its default was not told.
            if getattr(self, option) != type(self).model_fields[option].default:
                raise ValueError(f"--{option} is a matter of --fires, and no picture is given: add --fires PICTURE")
        return self

    def seen(self, path: str) -> Tensor:
        """The picture (1, 3, h, w), as large as networks see it."""
        picture = self.picture(path).image
        height, width = picture.shape[2:]
        return resize(picture, fit(height, width, min(SIDE, max(height, width))))

    def look(self, path: str, layers: tuple[str, ...]) -> Look:
        """What is to be asked of `layers`. PlanError for a place that cannot be read, or is not in the picture."""
        return Look(self.seen(path), self._region(path), layers)

    def marked_picture(self, path: str) -> Tensor:
        """The picture with the place marked, and which place it is written below it."""
        picture = self.picture(path).image
        shown = resize(picture, fit(picture.shape[2], picture.shape[3], SIDE))
        (height, width), region = shown.shape[2:], self._region(path)
        box = (region.left * width, region.top * height, region.right * width, region.bottom * height)
        return sheet([[Cell(marked(shown, box), f"{PurePath(path).name} at {self.point or self.box}")]])

    def _region(self, path: str) -> Region:
        size = self.picture(path).image.shape[2:]
        if self.point is not None:
            # A pixel is where its middle is.
            x, y = _shares("--point", self.point, "X,Y such as 120,80 or 30%,50%", size, path, middle=0.5)
            return Region(x, y, x, y)
        form = "LEFT,TOP,RIGHT,BOTTOM such as 100,60,180,140 or 0%,0%,50%,50%"
        left, top, right, bottom = _shares("--box", self.box or "", form, size, path)
        if not (left < right and top < bottom):
            raise PlanError(f"--box takes {form}, from the left top to the right bottom; not {self.box!r}")
        return Region(left, top, right, bottom)


def _shares(option: str, text: str, form: str, size: Sequence[int], path: str, *, middle: float = 0.0) -> list[float]:
    """A place, as it is typed, as shares of a picture's `size` (height, width): across, down, across, ...

    PlanError for what cannot be read, and for what lies outside.
    """
    height, width = size
    found = [COORDINATE.fullmatch(part) for part in text.split(",")]
    sides = [height if down % 2 else width for down in range(form.partition(" ")[0].count(",") + 1)]
    shares = [_share(part, side, middle) for part, side in zip(found, sides, strict=False) if part is not None]
    if len(shares) != len(sides) or len(found) != len(sides):
        raise PlanError(f"{option} takes {form}; not {text!r}")
    if max(shares) > 1:
        raise PlanError(f"{option} {text} lies outside of {path!r}, which is {width} wide and {height} high")
    return shares


def _share(part: re.Match[str], side: int, middle: float) -> float:
    pixel, percent = part.groups()
    return (int(pixel) + middle) / side if percent is None else float(percent) / 100
