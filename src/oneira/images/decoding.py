"""Bytes of a picture file -> samples, at the depth that the file has, upright, in sRGB."""

import io
import struct
import sys
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from PIL import ExifTags, Image, ImageFile
from torch import Tensor

from oneira.errors import ImageError
from oneira.images.formats import Format
from oneira.images.profiles import is_srgb, to_srgb

Array = npt.NDArray[Any]

# What Pillow raises where a part of a file is damaged that one can do without.
DAMAGE = (OSError, EOFError, ValueError, SyntaxError, LookupError, TypeError, struct.error)
# Every 16-bit layout that Pillow opens with 8 bits: it keeps one byte of the two, the one that it takes for the high.
_DEEP = ("RGB;16", "RGBA;16", "RGBX;16", "RGBa;16")
# Pillow stretches greys of 2 and 4 bits to 255, but not the one of them that is transparent.
_GREY_UNITS = {"L;2": 85, "L;4": 17}
_OTHER_BYTE = {"B": "L", "L": "B", "N": "B" if sys.byteorder == "little" else "L"}


@dataclass(frozen=True)
class Samples:
    """One picture as integers: `colour` (h, w, 3), sRGB, 0 to `full`; `alpha` (h, w), 0 to `full`, or None."""

    colour: Array
    alpha: Array | None
    full: int

    def tensors(self, orientation: int) -> tuple[Tensor, Tensor | None]:
        """The picture (1, 3, h, w) and its alpha (1, 1, h, w) in [0, 1], turned as EXIF says.

        An alpha that is opaque everywhere is none.
        """
        image = upright(self._scaled(self.colour).permute(2, 0, 1)[None], orientation)
        if self.alpha is None or bool((self.alpha == self.full).all()):
            return image, None
        return image, upright(self._scaled(self.alpha)[None, None], orientation)

    def _scaled(self, samples: Array) -> Tensor:
        return torch.from_numpy(samples.astype(np.float32)).div_(self.full)


def upright(image: Tensor, orientation: int) -> Tensor:
    """(..., h, w) as stored -> as it is to be seen, by EXIF's orientation 1 to 8 (anything else: as it is)."""
    if orientation in (5, 6, 7, 8):
        image = image.transpose(-1, -2)
    # After the transposition, each of the eight is a pair of mirrorings.
    mirrored = {2: (-1,), 3: (-1, -2), 4: (-2,), 6: (-1,), 7: (-1, -2), 8: (-2,)}.get(orientation, ())
    return image.flip(mirrored).contiguous()


def open_header(data: bytes, kind: Format) -> ImageFile.ImageFile:
    """What stands before the pixels; nothing is decoded yet. Pillow's own exceptions pass."""
    return kind.reader(io.BytesIO(data))


def decode_pixels(data: bytes, kind: Format, notes: list[str]) -> tuple[Tensor, Tensor | None]:
    """The first picture in a file (1, 3, h, w) and its alpha (1, 1, h, w) or None, in [0, 1], sRGB, upright.

    What there is to warn about is added to `notes`. Pillow's own exceptions pass.
    """
    picture = open_header(data, kind)
    samples = _samples(picture, data, kind, notes)
    return samples.tensors(_orientation(picture, notes))


def _samples(picture: ImageFile.ImageFile, data: bytes, kind: Format, notes: list[str]) -> Samples:
    layout = _layout(picture)
    profile = picture.info.get("icc_profile")
    if layout == "LA;16B":
        return _tagged(_grey_and_alpha_16(picture), "L", profile, notes)
    if layout.startswith(_DEEP):
        return _tagged(_colour_16(picture, open_header(data, kind), layout), "RGB", profile, notes)
    picture.load()
    if picture.mode.startswith("I;16"):
        return _tagged(_grey_16(picture), "L", profile, notes)
    if picture.mode in ("I", "F"):
        raise ImageError("its samples have 32 bits; 8 and 16 bits are read")
    opaque, alpha = _split(picture, key_unit=_GREY_UNITS.get(layout, 1))
    return _eight_bit(opaque, alpha, profile, notes)


def _layout(picture: ImageFile.ImageFile) -> str:
    """Pillow's name for how the file stores its samples, such as RGB;16B (its handbook lists them)."""
    tags = getattr(picture, "tag_v2", {})
    if tags.get(284) == 2 and 16 in tags.get(258, ()):
        raise ImageError("its 16-bit planes are stored apart; 16 bits are read where the samples of a pixel adjoin")
    arguments = picture.tile[0].args if picture.tile else None
    layout = arguments[0] if isinstance(arguments, tuple) else arguments
    return layout if isinstance(layout, str) else ""


def _with_layout(picture: ImageFile.ImageFile, layout: str) -> ImageFile.ImageFile:
    """Decode with another layout than the one that Pillow chose; both have the same bits per pixel."""
    for position, tile in enumerate(picture.tile):
        arguments = (layout, *tile.args[1:]) if isinstance(tile.args, tuple) else layout
        picture.tile[position] = tile._replace(args=arguments)
    picture.load()
    return picture


def _colour_16(first: ImageFile.ImageFile, second: ImageFile.ImageFile, layout: str) -> Samples:
    # Pillow has no 16-bit colour and keeps each sample's high byte; told the opposite byte order, it keeps the low one.
    straight = layout.replace("RGBa", "RGBA")
    high = np.array(_with_layout(first, straight)).astype(np.uint16)
    low = np.array(_with_layout(second, straight[:-1] + _OTHER_BYTE[straight[-1]]))
    samples = high << 8 | low
    colour, alpha = samples[..., :3], samples[..., 3] if samples.shape[-1] == 4 else None
    if "RGBa" in layout and alpha is not None:
        colour = _unmultiplied(colour, alpha)
    key = first.info.get("transparency")
    if alpha is None and isinstance(key, tuple):
        alpha = _keyed(colour, np.array(key), 65535)
    return Samples(colour, alpha, 65535)


def _grey_and_alpha_16(picture: ImageFile.ImageFile) -> Samples:
    # Pillow drops the low bytes; as "RGBA" the four bytes of a pixel all arrive: grey high, low, alpha high, low.
    samples = np.array(_with_layout(picture, "RGBA")).astype(np.uint16)
    return Samples(_grey(samples[..., 0] << 8 | samples[..., 1]), samples[..., 2] << 8 | samples[..., 3], 65535)


def _grey_16(picture: ImageFile.ImageFile) -> Samples:
    samples = np.array(picture).astype(np.uint16)
    tags = getattr(picture, "tag_v2", {})
    key = picture.info.get("transparency")
    alpha = _keyed(samples[..., None], np.array([key]), 65535) if isinstance(key, int) else None
    if tags.get(258) == (12,):
        samples = (samples.astype(np.float64) * (65535 / 4095)).round().astype(np.uint16)
    if tags.get(262) == 0:  # WhiteIsZero, which Pillow turns round for 8 bits but not for 16
        samples = 65535 - samples
    return Samples(_grey(samples), alpha, 65535)


def _tagged(samples: Samples, mode: str, profile: bytes | None, notes: list[str]) -> Samples:
    """16-bit samples in sRGB. Little CMS works on 8 bits here, so another profile costs the low byte, and is said."""
    if is_srgb(profile, mode):
        return samples
    eight = (samples.colour.astype(np.float64) / 257).round().astype(np.uint8)
    source = Image.fromarray(eight[..., 0].copy() if mode == "L" else eight)
    converted, warning = to_srgb(source, profile)
    if warning is not None:
        notes.append(warning)
        return samples
    notes.append("16 bits became 8 in converting its ICC profile to sRGB")
    return Samples(np.array(converted).astype(np.uint16) * 257, samples.alpha, 65535)


def _eight_bit(opaque: Image.Image, alpha: Array | None, profile: bytes | None, notes: list[str]) -> Samples:
    if opaque.mode not in ("L", "RGB", "CMYK", "LAB"):
        opaque = opaque.convert("L" if opaque.mode == "1" else "RGB")
    converted, warning = to_srgb(opaque, profile)
    if warning is not None:
        notes.append(warning)
    return Samples(np.array(converted), alpha, 255)


def _split(picture: Image.Image, key_unit: int) -> tuple[Image.Image, Array | None]:
    """A decoded picture without its transparency, and that: an alpha channel, a palette's, or one colour's."""
    if picture.mode in ("LA", "La"):
        straight = picture.convert("LA")
        return straight.getchannel("L"), np.array(straight.getchannel("A"))
    key = picture.info.get("transparency")
    if picture.mode in ("1", "L", "RGB") and key is not None:
        stored = np.array(picture.convert("L") if picture.mode == "1" else picture)
        return picture, _keyed(stored.reshape(*stored.shape[:2], -1), np.array(key).reshape(-1) * key_unit, 255)
    if picture.has_transparency_data:
        straight = picture.convert("RGBA")
        return straight.convert("RGB"), np.array(straight.getchannel("A"))
    return picture, None


def _grey(samples: Array) -> Array:
    return np.repeat(samples[..., None], 3, axis=-1)


def _keyed(colour: Array, key: Array, full: int) -> Array:
    """Alpha where one colour is the transparent one."""
    return np.where((colour == key).all(axis=-1), 0, full)


def _unmultiplied(colour: Array, alpha: Array) -> Array:
    straight = colour.astype(np.float64) * 65535 / np.maximum(alpha, 1)[..., None]
    return straight.round().clip(0, 65535).astype(np.uint16)


def _orientation(picture: Image.Image, notes: list[str]) -> int:
    """EXIF's orientation 1 to 8 of a decoded picture, unless Pillow has turned it already (as it does for TIFF)."""
    try:
        orientation = picture.getexif().get(ExifTags.Base.Orientation, 1)
    except DAMAGE:
        notes.append("damaged EXIF: taken to be upright")
        return 1
    return orientation if orientation in range(1, 9) else 1
