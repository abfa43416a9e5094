"""Few colours for many pictures: a palette made of theirs, and pictures in the colours of a palette."""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Literal, Self

import numpy as np
import numpy.typing as npt
from PIL import Image

Dither = Literal["ordered", "diffused", "none"]
Levels = npt.NDArray[np.uint8]  # (h, w, 3)
Indices = npt.NDArray[np.uint8]  # (h, w)

_PIXELS = 2**15  # that a palette is made from
# After the median cut, which by itself spends most colours on what there is most of.
_ROUNDS = 4
_GOLDEN = 0.6180339887498949
_LUMA = (0.299, 0.587, 0.114)
# In which order colours, from dark to bright, fill a square of 2 x 2 pixels: Bayer's.
_PATTERN = ((0, 2), (3, 1))


@dataclass(frozen=True, eq=False)
class Palette:
    """Colours, (n, 3) levels, n at most 256."""

    colours: npt.NDArray[np.uint8]

    @classmethod
    def of(cls, pictures: Iterable[Levels], count: int, most: int) -> Self:
        """At most `most` colours for all of `pictures`, of which there are `count`."""
        pixels = np.concatenate([_some(levels.reshape(-1, 3), _PIXELS // count) for levels in pictures])
        found = Image.fromarray(pixels[None]).quantize(most, method=Image.Quantize.MEDIANCUT, kmeans=_ROUNDS)
        return cls(np.array(found.getpalette(), np.uint8).reshape(-1, 3)[:most])

    def nearest(self, levels: Levels, dither: Dither) -> Indices:
        """(h, w): which colour each pixel of `levels` becomes.

        "ordered": each pixel has four colours whose mean is close to its own, and its place in the picture says which
        of them it shows (Knoll's pattern dithering, US 6606166, expired; 2 x 2 instead of 4 x 4, which shows less and
        costs a quarter). What rests does not flicker. "diffused": the error goes to the neighbours (Floyd and Steinberg
        1976): closer in each picture, restless in a film. "none": the nearest; shades break into bands.
        """
        if dither == "ordered":
            return self._ordered(levels)
        return self._mapped(levels, Image.Dither.NONE if dither == "none" else Image.Dither.FLOYDSTEINBERG)

    def _ordered(self, levels: Levels) -> Indices:
        by_brightness = np.argsort(self.colours @ np.array(_LUMA), kind="stable")
        place = np.argsort(by_brightness).astype(np.uint8)
        owed = np.zeros(levels.shape, np.int16)
        places = []
        for _ in range(4):
            index = self._mapped(np.clip(levels + owed, 0, 255).astype(np.uint8), Image.Dither.NONE)
            owed += levels.astype(np.int16) - self.colours[index]
            places.append(place[index])
        height, width = levels.shape[:2]
        pattern = np.tile(_PATTERN, (-(-height // 2), -(-width // 2)))[:height, :width]
        chosen = np.take_along_axis(np.sort(np.stack(places), axis=0), pattern[None], axis=0)[0]
        shown: Indices = by_brightness.astype(np.uint8)[chosen]
        return shown

    def _mapped(self, levels: Levels, dither: Image.Dither) -> Indices:
        mapped: Indices = np.asarray(Image.fromarray(levels).quantize(palette=self._image, dither=dither))
        return mapped

    @cached_property
    def _image(self) -> Image.Image:
        image = Image.new("P", (1, 1))
        image.putpalette(self.colours.tobytes())
        return image


def _some(pixels: npt.NDArray[np.uint8], most: int) -> npt.NDArray[np.uint8]:
    if len(pixels) <= most:
        return pixels
    # Steps of the golden section fall into no grid, neither of rows nor of columns.
    chosen: npt.NDArray[np.uint8] = pixels[(np.arange(most) * _GOLDEN % 1 * len(pixels)).astype(int)]
    return chosen
