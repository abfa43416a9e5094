"""One file from its official address into a folder: whole, with the right hash, or not at all."""

import hashlib
import http.client
import os
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO
from urllib.error import HTTPError, URLError
from urllib.request import Request, urlopen

from oneira.errors import WeightsError
from oneira.features.weights.sources import WeightsSource

Progress = Callable[[str, int, int | None], None]
"""Called with the file's name, the bytes that are here and how many there will be (None: the server does not say)."""

CHUNK = 1 << 20
TIMEOUT = 30.0  # seconds without a byte


def download(
    source: WeightsSource, folder: Path, *, progress: Progress | None = None, timeout: float = TIMEOUT
) -> Path:
    """Fetch `source` into `folder`, which is made if need be, and return the file's path.

    What an interrupted download (Ctrl-C too) has brought stays as `<name>.part`, and the next one goes on from there.
    Raises WeightsError where the server cannot be reached, falls silent for `timeout` seconds, sends less than it
    promised or something else than the hash says, or where the folder cannot be written.
    """
    target = folder / source.filename
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with _whole(target, timeout) as part:
            digest = _receive(source, part, progress, timeout)
            _require_hash(source, part, digest)
    except (OSError, http.client.HTTPException, WeightsError) as error:
        raise WeightsError(f"cannot download {source} into {folder}: {_reason(error)}") from error
    return target


@contextmanager
def _whole(target: Path, timeout: float) -> Iterator[IO[bytes]]:
    """A file to receive into: it becomes `target` if all goes well, else `<target>.part`, for the next one to go on."""
    part = target.with_name(f"{target.name}.part")
    own = target.with_name(f".{target.name}.{uuid.uuid4().hex}")
    _claim(part, own, timeout)
    try:
        with own.open("a+b") as file:
            yield file
        own.replace(target)
    except BaseException:
        if own.stat().st_size > 0:
            own.replace(part)
        else:
            own.unlink()
        raise


def _claim(part: Path, own: Path, timeout: float) -> None:
    """Make `own`: what an earlier download has left, or empty.

    Renaming is atomic: of two programs that download the same file, one gets the beginning and the other starts anew.
    A program that was killed could not hand its part on; it is known by its silence.
    """
    silent = time.time() - 2 * timeout
    for left in (part, *own.parent.glob(f".{part.stem}.*")):
        try:
            if left == part or left.stat().st_mtime < silent:
                left.replace(own)
                return
        except FileNotFoundError:
            continue
    own.touch(exist_ok=False)


def _receive(source: WeightsSource, part: IO[bytes], progress: Progress | None, timeout: float) -> str:
    """Append what is missing of `source`; returns the SHA-256 of the whole."""
    part.seek(0)
    digest = hashlib.file_digest(part, "sha256")  # type: ignore[arg-type]  # typeshed asks for a BytesIO's methods
    received = part.tell()
    with _open(source.url, received, timeout) as response:
        if received and response.status != http.client.PARTIAL_CONTENT:
            part.truncate(0)
            digest, received = hashlib.sha256(), 0
        total = None if response.length is None else received + response.length
        # read1 returns what has come; read would wait for a whole chunk, and the bar with it.
        while chunk := response.read1(CHUNK):
            part.write(chunk)
            digest.update(chunk)
            received += len(chunk)
            if progress is not None:
                progress(source.filename, received, total)
    if total is not None and received < total:
        raise ConnectionError(f"the connection broke after {received} of {total} bytes; try again to go on from there")
    part.flush()
    os.fsync(part.fileno())
    return digest.hexdigest()


def _open(url: str, start: int, timeout: float) -> http.client.HTTPResponse:
    request = Request(url, headers={"User-Agent": "oneira"})  # noqa: S310 - the address is the program's own
    if start:
        request.add_header("Range", f"bytes={start}-")
    try:
        response: http.client.HTTPResponse = urlopen(request, timeout=timeout)  # noqa: S310 - as above
    except HTTPError as error:
        error.close()
        if start and error.code == http.client.REQUESTED_RANGE_NOT_SATISFIABLE:  # the part is longer than the file
            return _open(url, 0, timeout)
        raise
    if url.startswith("https:") and not response.url.startswith("https:"):
        response.close()
        raise ConnectionError(f"the address leads to {response.url}, which is not encrypted")
    return response


def _require_hash(source: WeightsSource, part: IO[bytes], digest: str) -> None:
    if not digest.startswith(source.sha256_prefix):
        part.truncate(0)  # nothing in it is worth going on from
        raise WeightsError(f"what came is another file, of SHA-256 {digest[:8]}...")


def _reason(error: Exception) -> str:
    if isinstance(error, URLError) and not isinstance(error, HTTPError):
        return str(error.reason)
    return (str(error) or type(error).__name__).partition("\n")[0]
