"""Picture files as float tensors."""

import hashlib
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Self

from PIL.ImageFile import ImageFile
from torch import Tensor

from oneira.errors import ImageError
from oneira.images.decoding import DAMAGE, decode_pixels, open_header
from oneira.images.formats import Format, sniff
from oneira.images.notices import PathLike, notice, shown
from oneira.images.opening import read_file

MAX_PIXELS = 150_000_000
# Sixteen bits in four channels are 8 bytes a pixel; what else a file may carry (profile, thumbnail) is allowed for.
_BYTES_PER_PIXEL, _BYTES_BESIDE = 8, 64 * 2**20
MAX_FILE_BYTES = _BYTES_PER_PIXEL * MAX_PIXELS + _BYTES_BESIDE


@dataclass(frozen=True, eq=False)
class Picture:
    """A picture as a file held it.

    `image`: (1, 3, h, w) float32, sRGB in [0, 1], upright. Transparent pixels keep the colour stored under them.
    `alpha`: (1, 1, h, w) float32 in [0, 1], or None where every pixel is opaque.
    `path`, `sha256`: the file and the hash of its bytes; None where there was none.
    `notes`: what a person may want to know, such as "GIF with 12 frames: only the first is used".
    """

    image: Tensor
    alpha: Tensor | None = None
    path: Path | None = None
    sha256: str | None = None
    notes: tuple[str, ...] = ()

    @classmethod
    def open(cls, path: PathLike, *, max_pixels: int = MAX_PIXELS) -> Self:
        """Read a picture: PNG, JPEG, WebP, TIFF, BMP, GIF, or AVIF, whatever its name says.

        16-bit samples keep their 16 bits. EXIF's orientation is applied; ICC profiles, CMYK and Lab become sRGB; of
        several frames or pages the first is used. The last two, where they cost something, warn with ImageWarning.

        Raises ImageError, in one line that names the file, where it is missing, no regular file, no such picture,
        damaged, or of more than `max_pixels` pixels (checked before anything is decoded).
        """
        data = read_file(path, _BYTES_PER_PIXEL * max_pixels + _BYTES_BESIDE)
        return cls._decoded(data, shown(path), Path(path), max_pixels)

    @classmethod
    def decode(cls, data: bytes, *, name: str = "picture", max_pixels: int = MAX_PIXELS) -> Self:
        """The same from bytes in memory, such as an upload; `name` is how errors call it."""
        return cls._decoded(data, shown(name), None, max_pixels)

    @classmethod
    def _decoded(cls, data: bytes, name: str, path: Path | None, max_pixels: int) -> Self:
        if not data:
            raise ImageError(f"{name} is empty (0 bytes); a picture is needed")
        kind = sniff(data, name)
        notes = _misnamed(kind, path)
        warned: list[str] = []
        try:
            header = open_header(data, kind)
            _refuse_too_large(header, max_pixels)
            warned += _frames(header, kind)
            image, alpha = decode_pixels(data, kind, warned)
        except ImageError as error:
            raise ImageError(f"{name}: {error}") from error
        except MemoryError:
            raise ImageError(f"{name} needs more memory to be read than there is") from None
        except Exception as error:
            # Decoders of hostile bytes raise nearly everything that Python has.
            reason = f"damaged, or of a kind that is not read ({_first_line(error)})"
            raise ImageError(f"{name} cannot be decoded as {kind.name}: {reason}") from error
        for message in warned:
            notice(f"{name}: {message}")
        digest = hashlib.sha256(data).hexdigest()
        return cls(image, alpha, path, digest, (*notes, *warned))


def load(path: PathLike) -> Tensor:
    """The picture in a file: (1, 3, h, w) float32, sRGB in [0, 1], upright; `Picture.open` says the rest."""
    return Picture.open(path).image


def _refuse_too_large(header: ImageFile, max_pixels: int) -> None:
    width, height = header.size
    if width * height > max_pixels:
        raise ImageError(f"{width} x {height} are {width * height:,} pixels; at most {max_pixels:,} are read")


def _frames(header: ImageFile, kind: Format) -> list[str]:
    if not getattr(header, "is_animated", False):
        return []
    try:
        frames = f"{header.n_frames}" if hasattr(header, "n_frames") else "several"
    except DAMAGE:
        frames = "several"  # a later frame is damaged, which does not matter here
    return [f"{kind.name} with {frames} {'pages' if kind.name == 'TIFF' else 'frames'}: only the first is used"]


def _misnamed(kind: Format, path: Path | None) -> tuple[str, ...]:
    extension = "" if path is None else PurePath(path).suffix.lower()
    if extension in ("", *kind.extensions):
        return ()
    return (f"named {extension}, but it holds a {kind.name}",)


def _first_line(error: Exception) -> str:
    text = str(error).strip() or type(error).__name__
    return text.splitlines()[0].encode("ascii", "backslashreplace").decode()
