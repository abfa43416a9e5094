"""Films as GIF, animated WebP and APNG, of so many bytes at most."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO

import numpy as np
from torch import Tensor

from oneira.errors import FilmError, ImageError
from oneira.images import fit, from_levels, levels_of, resize
from oneira.images.animation import AnimationLook, encode_animation
from oneira.images.formats import FORMATS, Format
from oneira.images.notices import notice
from oneira.images.recipe import Recipe
from oneira.motion.checking import checked
from oneira.motion.frame import Frame
from oneira.motion.look import FilmLook
from oneira.motion.reel import Reel, Still

_KINDS = {kind.name: kind for kind in FORMATS}
ANIMATIONS = {".gif": _KINDS["GIF"], ".webp": _KINDS["WebP"], ".png": _KINDS["PNG"], ".apng": _KINDS["PNG"]}
# Of FilmLook's fields.
TAKES = {
    "GIF": ("plays", "colours", "dither", "most_bytes"),
    "WebP": ("plays", "quality", "most_bytes"),
    "PNG": ("plays", "most_bytes"),
}

_LEAST_SIDE = 64  # pixels of the longer side: no film is made smaller for the sake of bytes
# Bytes shrink a little less than areas do; and what gains next to nothing is not worth another attempt.
_MARGIN, _LARGEST = 0.95, 0.9


@dataclass(frozen=True)
class Animation:
    """What an animation is before it has a frame: `size` (h, w) of its frames; errors call it `name`."""

    name: str
    kind: Format
    size: tuple[int, int]
    look: FilmLook
    recipe: Recipe | None

    def write(self, path: Path, frames: Iterable[Frame]) -> None:
        """Write it to a file that is there. Frames are looked at more than once: but for a Reel, they lie beside it
        meanwhile, at 8 bits.

        Raises FilmError where it cannot be written, or not in `most_bytes`.
        """
        with self._reel(frames, path.parent) as reel, path.open("r+b") as file:
            size, most = self.size, self.look.most_bytes
            count = self._written(file, reel, size)
            while most is not None and count > most:
                size = self._smaller(size, count, most)
                count = self._written(file, reel, size)
        if size != self.size:
            came = f"{size[1]} x {size[0]} pixels instead of {self.size[1]} x {self.size[0]}"
            notice(f"{self.name} has {came}, so as to have at most {most:,} bytes")

    @contextmanager
    def _reel(self, frames: Iterable[Frame], folder: Path) -> Iterator[Reel]:
        if isinstance(frames, Reel):
            yield frames
            return
        stills: list[Still] = []
        durations = []
        with TemporaryFile(dir=folder) as file:
            for frame in frames:
                levels = levels_of(checked(frame.image, self.size, self.name))
                stills.append(partial(self._kept, file, self._keep(file, levels.tobytes())))
                durations.append(frame.duration)
            if not stills:
                raise FilmError(f"cannot write {self.name}: a film needs at least one frame")
            yield Reel(stills, durations)

    def _keep(self, file: IO[bytes], data: bytes) -> int:
        """Where `data` begins in the file."""
        place = file.tell()
        try:
            file.write(data)
        except OSError as error:
            raise FilmError(f"cannot write {self.name}: {error.strerror or error}") from error
        return place

    def _kept(self, file: IO[bytes], place: int) -> Tensor:
        file.seek(place)
        shape = (*self.size, 3)
        return from_levels(np.frombuffer(file.read(int(np.prod(shape))), np.uint8).reshape(shape))

    def _written(self, file: IO[bytes], reel: Reel, size: tuple[int, int]) -> int:
        """How many bytes the file has with frames of `size`."""
        pictures = [partial(self._resized, still, size) for still in reel.stills]
        look = AnimationLook(self.look.plays, self.look.quality, self.look.colours, self.look.dither)
        file.seek(0)
        file.truncate()
        try:
            encode_animation(file, self.kind, pictures, reel.durations, look=look, recipe=self.recipe)
            file.flush()
        except FilmError:
            raise
        except ImageError as error:
            raise FilmError(f"cannot write {self.name}: {error}") from error
        except OSError as error:
            raise FilmError(f"cannot write {self.name}: {error.strerror or error}") from error
        return file.seek(0, 2)

    def _resized(self, still: Still, size: tuple[int, int]) -> Tensor:
        return resize(checked(still(), self.size, self.name), size)

    def _smaller(self, size: tuple[int, int], count: int, most: int) -> tuple[int, int]:
        longest = max(size)
        side = max(_LEAST_SIDE, int(longest * min(_LARGEST, _MARGIN * (most / count) ** 0.5)))
        if side >= longest:
            came = f"{count:,} bytes even at {size[1]} x {size[0]} pixels"
            raise FilmError(f"cannot write {self.name}: {came}; allow more than {most:,}, or give it fewer frames")
        return fit(*self.size, side)
