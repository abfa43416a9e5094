"""Film files that somebody named: opened by what they hold, and nothing opened but they."""

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from io import BufferedReader
from typing import Any

from oneira.errors import FilmError, ImageError, OneiraError
from oneira.images import MAX_PIXELS
from oneira.images.formats import looks_like
from oneira.images.notices import PathLike, shown
from oneira.images.opening import open_regular
from oneira.motion.boxes import untrustworthy
from oneira.motion.extra import required

ALLOWED = "MP4, MOV, Matroska, WebM, AVI, MPEG, FLV, Ogg, GIF"
_HEAD = 4096

# FFmpeg's readers, and how a file begins that each is given. Left to itself FFmpeg guesses, and among what it guesses
# are lists of other files and addresses (HLS, concat, SDP), which it then opens.
_READERS = (
    ("mov", rb".{4}(?:ftyp(?!hei[cfmsx]|hev[cx]|mif1|msf1|avi[fs])|moov|mdat|free|skip|wide|pnot|styp)"),
    ("matroska", rb"\x1a\x45\xdf\xa3"),
    ("avi", rb"RIFF.{4}AVI[ X\x19]"),
    ("mpegts", rb"\x47.{187}\x47.{187}\x47|.{4}\x47.{191}\x47.{191}\x47"),
    ("mpeg", rb"\x00\x00\x01\xba"),
    ("flv", rb"FLV\x01"),
    ("ogg", rb"OggS"),
    ("gif", rb"GIF8[79]a"),
)

# How far FFmpeg may look to find out what a file holds: bytes, and microseconds of film. Its own defaults, but said.
# max_pixels holds for every frame, whatever the header promised; no protocol is called "none", so that none is allowed.
_BOUNDS = {
    "probesize": "5000000",
    "analyzeduration": "5000000",
    "protocol_whitelist": "none",
    "max_pixels": str(MAX_PIXELS),
}


def open_film(path: PathLike) -> BufferedReader:
    """A regular file, for reading; FilmError, in one line, where there is none, or a folder, a pipe, a device."""
    try:
        return open_regular(path, "film")
    except ImageError as error:
        raise FilmError(str(error)) from error


@contextmanager
def opened(path: PathLike) -> Iterator[Any]:
    """The film in a file, as PyAV's InputContainer, which is closed at the end.

    Its format is told by its first bytes; neither its name nor its content can make another file, or an address, be
    opened. Raises FilmError, in one line that names the file, where it is no film that is read here, or damaged.
    """
    av = required("av")
    with open_film(path) as file:
        with as_film_error(path):
            reader = _reader_of(file, shown(path))
            file.seek(0)
            container = av.open(file, "r", format=reader, options=_BOUNDS, metadata_errors="backslashreplace")
        try:
            yield container
        finally:
            container.close()


@contextmanager
def as_film_error(path: PathLike) -> Iterator[None]:
    """Whatever PyAV raises of a file becomes a FilmError of one line that names it."""
    try:
        yield
    except OneiraError:
        raise
    except MemoryError:
        raise FilmError(f"{shown(path)} needs more memory to be read than there is") from None
    except Exception as error:
        # Readers of hostile bytes raise nearly everything that Python has.
        reason = (str(getattr(error, "strerror", None) or error).strip() or type(error).__name__).splitlines()[0]
        what = f"damaged, or of a kind that is not read ({reason})"
        raise FilmError(f"{shown(path)} cannot be read as a film: {what}") from error


def _reader_of(file: BufferedReader, name: str) -> str:
    head = file.read(_HEAD)
    if not head:
        raise FilmError(f"{name} is empty (0 bytes); a film is needed")
    reader = next((reader for reader, begins in _READERS if re.match(begins, head, re.DOTALL)), None)
    if reader is None:
        raise FilmError(f"{name} is {looks_like(head) or 'no film that is known here'}; allowed: {ALLOWED}")
    if reader == "mov":
        _refuse_lies(file, name)
    return reader


def _refuse_lies(file: BufferedReader, name: str) -> None:
    reason = untrustworthy(file, os.fstat(file.fileno()).st_size)
    if reason is not None:
        raise FilmError(f"{name} {reason}")
