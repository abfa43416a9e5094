"""Bytes of files that somebody named: only regular ones, never blocking, never more than asked for."""

import hashlib
import os
import stat
from io import BufferedReader
from pathlib import Path

from oneira.errors import ImageError, nearest
from oneira.images.notices import PathLike, shown

_KINDS = (
    (stat.S_ISFIFO, "a pipe"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
)


def _without_blocking(path: str, flags: int) -> int:
    # A pipe without a writer would hold `open` for ever; O_NONBLOCK does not exist, nor is it needed, on Windows.
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))


def open_regular(path: PathLike, what: str = "picture") -> BufferedReader:
    """Open a regular file for reading; `what` it should hold is how errors speak of it.

    Raises ImageError, in one line, where there is none, where it is a folder, a pipe or a device, or where it may not
    be read.
    """
    try:
        file = open(path, "rb", opener=_without_blocking)  # noqa: SIM115 - Path.open takes no opener
    except FileNotFoundError:
        raise ImageError(_missing(Path(path), what)) from None
    except IsADirectoryError:
        raise ImageError(f"{shown(path)} is a folder; a {what} file is needed") from None
    except PermissionError:
        raise ImageError(f"{shown(path)} may not be read: permission denied") from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise ImageError(f"{shown(path)} cannot be opened: {reason}") from error
    mode = os.fstat(file.fileno()).st_mode
    if not stat.S_ISREG(mode):
        file.close()
        kind = next((kind for test, kind in _KINDS if test(mode)), "no regular file")
        raise ImageError(f"{shown(path)} is {kind}; a {what} file is needed: save it to a file first")
    return file


def read_file(path: PathLike, limit: int) -> bytes:
    """All bytes of a regular file of at most `limit` bytes; ImageError otherwise."""
    with open_regular(path) as file:
        size = os.fstat(file.fileno()).st_size
        try:
            data = b"" if size > limit else file.read(limit + 1)
        except OSError as error:
            raise ImageError(f"{shown(path)} cannot be read: {error.strerror}") from error
    if max(size, len(data)) > limit:
        raise ImageError(f"{shown(path)} has {max(size, len(data)):,} bytes; at most {limit:,} are read")
    return data


def sha256_of(path: PathLike, what: str = "picture") -> str:
    """The SHA-256 of a regular file's bytes, in hexadecimal; ImageError as `open_regular`."""
    with open_regular(path, what) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _missing(path: Path, what: str) -> str:
    try:
        beside = [entry.name for entry in path.parent.iterdir()]
    except OSError:
        return f"no {what} {shown(path)}: there is no folder {shown(path.parent)}"
    return f"no {what} {shown(path)}{nearest(path.name, beside)}"
