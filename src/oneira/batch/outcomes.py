"""What may come of an item."""

from dataclasses import dataclass

from oneira.errors import OneiraError


@dataclass(frozen=True)
class SourceFile:
    """The picture that was read: its bytes, when they were written (nanoseconds), and their SHA-256."""

    size: int
    mtime: int
    sha256: str | None


@dataclass(frozen=True)
class Made:
    """The picture is there: how many `bytes` it has, and what a person may want to know, one line each."""

    source: SourceFile
    bytes: int
    seconds: float
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Refused:
    """This picture cannot be read, made or written: it would fail again."""

    problem: str


@dataclass(frozen=True)
class Faulted:
    """Something went wrong that may not happen the next time: a worker that died, too little memory."""

    problem: str


@dataclass(frozen=True)
class Halted:
    """No picture of the job can be made: the disk is full, there are no weights, no such layer."""

    error: OneiraError


Outcome = Made | Refused | Faulted | Halted
