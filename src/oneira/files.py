"""Files are written whole or not at all; those of tensors tell what they hold."""

import glob
import json
import os
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from safetensors import SafetensorError
from safetensors.torch import save
from torch import Tensor

# What reading tensors, and what is told of them, may raise where the bytes may be anything.
DAMAGE = (
    SafetensorError,
    ValueError,
    KeyError,
    TypeError,
    IndexError,
    AttributeError,
    RuntimeError,
    RecursionError,
    OverflowError,
)


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A temporary file beside `path`, to be filled by its name; flushed to the disk and put in place at the end.

    It is removed where anything is raised, and what stood at `path` stays. A file that is replaced keeps its
    permissions; a new one gets those of any new file here.
    """
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".part")
    os.close(descriptor)
    temporary = Path(name)
    try:
        yield temporary
        with temporary.open("rb+") as file:
            os.fchmod(file.fileno(), _mode(path))
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)  # a signal may come right behind the replacing
        raise


def write_whole(path: Path, write: Callable[[IO[bytes]], object]) -> None:
    """Let `write` fill a file that takes the place of `path` at once, as `replacing` says."""
    with replacing(path) as temporary, temporary.open("wb") as file:
        write(file)


def remove_halves(path: Path) -> None:
    """Delete what writers of `path` that were killed have left half written."""
    for half in path.parent.glob(f".{glob.escape(path.name)}.*.part"):
        half.unlink(missing_ok=True)


def packed(tensors: dict[str, Tensor], kind: str, about: Mapping[str, object]) -> bytes:
    """A safetensors file of `tensors`, and of what is told `about` them as the JSON entry `kind` of its metadata."""
    # One entry: of several, safetensors writes any first, and the same tensors would be other bytes every time.
    return save(tensors, {kind: json.dumps(about, allow_nan=False)})


def told_in(data: bytes, kind: str) -> Any:
    """What was told when the file was `packed` as that `kind`. Raises one of DAMAGE where there is none."""
    header = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])
    return json.loads(header["__metadata__"][kind])


def _mode(path: Path) -> int:
    try:
        return path.stat().st_mode & 0o777
    except OSError:
        # The mask can only be read by setting it.
        mask = os.umask(0o077)
        os.umask(mask)
        return 0o666 & ~mask
