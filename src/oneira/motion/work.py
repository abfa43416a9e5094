"""The finished pictures of a job that takes long, in a folder beside what it makes, until that is there."""

import copy
import fcntl
import json
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

from torch import Tensor

from oneira.errors import CheckpointError, FilmError, ImageError
from oneira.files import write_whole
from oneira.images import Recipe, load, save

JOB = "job.json"
DIGITS = 6


class WorkFolder:
    """`OUTPUT.frames/`: pictures by number from 1, each written whole, and `job.json`, which tells whose they are.

    What is read again has been rounded to levels of `depth` bits, 8 or 16: who goes on from a picture that was kept
    goes on from what `kept` returns, so that a job that was stopped ends in the same bytes as one that was not.
    """

    def __init__(self, output: Path) -> None:
        self.folder = output.with_name(f"{output.name}.frames")
        self._depth = 8

    def within(self, name: str, *, depth: int) -> "WorkFolder":
        """A folder inside, for other pictures of the same job: it comes with the first of them, and goes with all."""
        inner = copy.copy(self)
        inner.folder, inner._depth = self.folder / name, depth
        return inner

    @contextmanager
    def held(self) -> Iterator[None]:
        """Within, no other process takes the folder. CheckpointError where one has it, FilmError where none can be."""
        try:
            self.folder.mkdir(exist_ok=True)
            descriptor = os.open(self.folder, os.O_RDONLY)
        except OSError as error:
            raise FilmError(f"cannot write into {str(self.folder)!r}: {error.strerror or error}") from error
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            os.close(descriptor)
            raise CheckpointError(f"another process is at work in {str(self.folder)!r}: wait for it") from error
        except OSError:
            pass  # a file system without locks
        try:
            yield
        finally:
            os.close(descriptor)
            with suppress(OSError):  # where something is in it
                self.folder.rmdir()

    def claim(self, job: Mapping[str, object]) -> int:
        """Begin the job, or go on with it; how many pictures from 1 on are there already, without a gap.

        `job` is all that decides the pictures, as JSON. Raises CheckpointError where the folder holds pictures of
        another, or something else; FilmError where it cannot be written to.
        """
        told = json.dumps(job, indent=1, sort_keys=True, allow_nan=False) + "\n"
        try:
            if not self.folder.exists():
                self.folder.mkdir()
            if self._is_fresh():  # or was killed before its first picture
                write_whole(self.folder / JOB, lambda file: file.write(told.encode()))
            if not self._is_of(told):
                raise CheckpointError(
                    f"{str(self.folder)!r} holds finished frames of another job: remove it, or name another output"
                )
        except OSError as error:
            raise FilmError(f"cannot write into {str(self.folder)!r}: {error.strerror or error}") from error
        return self.finished

    @property
    def told(self) -> str:
        """What is there, for a person."""
        count = self.finished
        return f"{count} finished {'frame is' if count == 1 else 'frames are'} kept in {self.folder}"

    @property
    def finished(self) -> int:
        """How many pictures from 1 on are there, without a gap."""
        count = 0
        while self.path(count + 1).exists():
            count += 1
        return count

    def path(self, number: int) -> Path:
        """Where a picture is kept."""
        return self.folder / f"{number:0{DIGITS}d}.png"

    def keep(self, number: int, image: Tensor, recipe: Recipe | None = None) -> None:
        """Write a picture (1, 3, h, w), and how it was made. Raises FilmError where the disk refuses."""
        try:
            self.folder.mkdir(exist_ok=True)
            save(self.path(number), image, recipe=recipe, depth=self._depth)
        except OSError as error:
            raise FilmError(f"cannot write into {str(self.folder)!r}: {error.strerror or error}") from error
        except ImageError as error:
            raise FilmError(f"{error}; what is finished stays in {str(self.folder)!r}") from error

    def kept(self, number: int) -> Tensor:
        """A picture that was kept. Raises FilmError where it is damaged."""
        try:
            return load(self.path(number))
        except ImageError as error:
            raise FilmError(f"{error}; remove it, and it is made again") from error

    def forget_after(self, number: int) -> None:
        """Remove the pictures behind `number`: they are to be made again."""
        for path in self.folder.glob("[0-9]*.png"):
            if path.stem.isdecimal() and int(path.stem) > number:
                path.unlink()

    def remove(self) -> None:
        """All of it: what it was for is there. Whose it is goes last, so that this may be done again."""
        with suppress(OSError):
            for path in self.folder.iterdir():
                if path.is_dir():
                    shutil.rmtree(path, ignore_errors=True)
                elif path.name != JOB:
                    path.unlink()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _is_fresh(self) -> bool:
        """Whether nothing was finished: what was killed while it wrote has left a file of another name."""
        files = (path.name for path in self.folder.rglob("*") if not path.is_dir())
        return all(name == JOB or (name.startswith(".") and name.endswith(".part")) for name in files)

    def _is_of(self, told: str) -> bool:
        try:
            return (self.folder / JOB).read_text() == told
        except (FileNotFoundError, NotADirectoryError, UnicodeDecodeError):
            return False
