"""The picture formats that are read and written, and how each is known by its first bytes."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import PurePath
from typing import IO, Literal

from PIL import features
from PIL.AvifImagePlugin import AvifImageFile
from PIL.BmpImagePlugin import BmpImageFile
from PIL.GifImagePlugin import GifImageFile
from PIL.ImageFile import ImageFile
from PIL.JpegImagePlugin import JpegImageFile
from PIL.PngImagePlugin import PngImageFile
from PIL.TiffImagePlugin import TiffImageFile
from PIL.WebPImagePlugin import WebPImageFile

from oneira.errors import ImageError, nearest
from oneira.images.notices import PathLike, shown


@dataclass(frozen=True)
class Format:
    """One format: how to know it, what opens it, what it can hold.

    `reader` is Pillow's class for this format alone: a file is never offered to any other of Pillow's parsers.
    `feature` names what Pillow must have been built with. `recipe` says where in the file a recipe goes (`embedding`).
    """

    name: str
    extensions: tuple[str, ...]
    magic: re.Pattern[bytes]
    reader: Callable[[IO[bytes]], ImageFile]
    longest_side: int
    alpha: bool = False
    quality: bool = False
    deep: bool = False
    recipe: Literal["text", "comment", "description"] | None = None
    feature: str | None = None

    def available(self) -> bool:
        """Whether the Pillow that is installed can do it."""
        return self.feature is None or bool(features.check(self.feature))


def _starts(pattern: bytes) -> re.Pattern[bytes]:
    return re.compile(rb"\A(?:" + pattern + rb")", re.DOTALL)


FORMATS = (
    Format(
        "PNG", (".png",), _starts(rb"\x89PNG\r\n\x1a\n"), PngImageFile, 2**31 - 1, alpha=True, deep=True, recipe="text"
    ),
    Format("JPEG", (".jpg", ".jpeg"), _starts(rb"\xff\xd8\xff"), JpegImageFile, 65_500, quality=True, recipe="comment"),
    Format(
        "WebP",
        (".webp",),
        _starts(rb"RIFF.{4}WEBP"),
        WebPImageFile,
        16_383,
        alpha=True,
        quality=True,
        recipe="comment",
        feature="webp",
    ),
    Format(
        "TIFF",
        (".tif", ".tiff"),
        _starts(rb"II[\x2a\x2b]\0|MM\0[\x2a\x2b]"),
        TiffImageFile,
        2**31 - 1,
        alpha=True,
        recipe="description",
    ),
    Format("BMP", (".bmp",), _starts(rb"BM"), BmpImageFile, 2**31 - 1),
    Format("GIF", (".gif",), _starts(rb"GIF8[79]a"), GifImageFile, 65_535),
    Format(
        "AVIF",
        (".avif",),
        # The brand stands first, or among the compatible brands after it.
        _starts(rb".{4}ftyp(?:avi[fs]|.{8}(?:.{4}){0,8}?avi[fs])"),
        AvifImageFile,
        65_536,
        alpha=True,
        quality=True,
        recipe="comment",
        feature="avif",
    ),
)

# What people hand in by mistake, so that the error can call it by its name.
_OTHERS = (
    ("a PDF document", _starts(rb"%PDF")),
    ("an EPS drawing", _starts(rb"%!PS|\xc5\xd0\xd3\xc6")),
    ("an SVG drawing", _starts(rb"(?:\xef\xbb\xbf)?\s*<(?:svg|(?:\?xml|!--|!DOCTYPE svg).{0,2000}?<svg)")),
    ("an HTML page", _starts(rb"(?:\xef\xbb\xbf)?\s*<(?i:!doctype html|html|head|body)")),
    ("a HEIC picture", _starts(rb".{4}ftyp(?:hei[cfmsx]|hev[cx]|mif1|msf1)")),
    ("a film", _starts(rb".{4}ftyp|\x1a\x45\xdf\xa3|RIFF.{4}AVI ")),
    ("a JPEG 2000 picture", _starts(rb"\0\0\0\x0cjP  |\xff\x4f\xff\x51")),
    ("a JPEG XL picture", _starts(rb"\0\0\0\x0cJXL |\xff\x0a")),
    ("a Photoshop document", _starts(rb"8BPS")),
    ("an OpenEXR picture", _starts(rb"\x76\x2f\x31\x01")),
    ("an archive", _starts(rb"PK\x03\x04|\x1f\x8b|7z\xbc\xaf|BZh|\xfd7zXZ")),
    ("text", _starts(rb"[\t\n\r -~]{16}|[\t\n\r -~]{1,15}\Z")),
)


def readable() -> str:
    """The names of the formats that can be read here, as an error lists them."""
    return ", ".join(sorted(known.name for known in FORMATS if known.available()))


def sniff(data: bytes, name: str) -> Format:
    """The format of a file by its content; its name plays no part.

    Raises ImageError where it is none of ours, saying what it looks like.
    """
    head = data[:4096]
    for known in FORMATS:
        if known.magic.search(head):
            if not known.available():
                raise ImageError(f"{name} is {known.name}, which this Pillow cannot read; allowed: {readable()}")
            return known
    raise ImageError(f"{name} is {looks_like(head) or 'no picture that is known here'}; allowed: {readable()}")


def looks_like(head: bytes) -> str | None:
    """What a file that begins with `head` is, in words such as "a PDF document"; None where that is not known."""
    known = next((known.name for known in FORMATS if known.magic.search(head)), None)
    if known is not None:
        return f"a picture ({known})"
    return next((what for what, magic in _OTHERS if magic.search(head)), None)


def format_for(path: PathLike) -> Format:
    """The format that a name's extension asks for, to write.

    Raises ImageError where there is no such extension or where this Pillow cannot write it.
    """
    extension = PurePath(path).suffix.lower()
    by_extension = {extension: known for known in FORMATS if known.available() for extension in known.extensions}
    if extension not in by_extension:
        came = f"unknown extension {extension!r}" if extension else "no extension"
        allowed = " ".join(sorted(by_extension))
        raise ImageError(f"cannot write {shown(path)}: {came}{nearest(extension, by_extension)}; allowed: {allowed}")
    return by_extension[extension]
