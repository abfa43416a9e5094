"""What a job knows of its items, in its output folder: kept through whatever ends the job."""

import os
import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from oneira.batch.manifest_file import NAME, locked, prepare, require_ours, sqlite_told
from oneira.batch.outcomes import Made
from oneira.errands import Errand
from oneira.errors import BatchError, ImageError
from oneira.files import remove_halves
from oneira.images.notices import shown
from oneira.images.opening import sha256_of

# What has gone wrong before comes last: the others are done by then.
CLAIM = """
UPDATE item SET state = 'running', tries = tries + 1, error = NULL
WHERE number = (SELECT number FROM item WHERE wanted = 1 AND state = 'waiting' ORDER BY tries, number LIMIT 1)
RETURNING number, source, target
"""
ENLIST = """
INSERT INTO item (target, source, recipe, state, wanted) VALUES (?, ?, ?, 'waiting', 1)
ON CONFLICT (target) DO UPDATE SET source = excluded.source, recipe = excluded.recipe, sha256 = NULL, wanted = 1,
state = 'waiting', tries = 0, faults = 0, error = NULL, seconds = NULL, bytes = NULL
"""
WANT = "UPDATE item SET wanted = 1 WHERE target = ?"
DONE = """
UPDATE item SET state = 'done', seconds = ?, bytes = ?, size = ?, mtime = ?, sha256 = ?, error = NULL WHERE number = ?
"""
FAILED = "UPDATE item SET state = 'failed', error = ?, size = ?, mtime = ? WHERE number = ?"
FAULTED = """
UPDATE item SET state = CASE WHEN faults + 1 < ? THEN 'waiting' ELSE 'failed' END, faults = faults + 1, error = ?,
size = ?, mtime = ? WHERE number = ? RETURNING state
"""
RELEASED = "UPDATE item SET state = 'waiting', tries = tries - 1 WHERE number = ?"


class State(StrEnum):
    """Of an item; `running` is left of items whose job was killed, and then means the same as `waiting`."""

    WAITING = "waiting"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"


@dataclass(frozen=True)
class Item:
    """A picture to be made."""

    number: int
    errand: Errand


@dataclass(frozen=True)
class Entry:
    """What is known of an item; `target` is below the output folder."""

    source: Path
    target: Path
    state: State
    tries: int
    error: str | None
    seconds: float | None


@dataclass(frozen=True)
class Enlisted:
    """What a command finds: items in all, those there already, failed before, and to be made anew for a change."""

    total: int
    there: int
    failed: int
    anew: int

    @property
    def waiting(self) -> int:
        """How many are to be made."""
        return self.total - self.there - self.failed


@dataclass(frozen=True)
class _Row:
    size: int | None
    mtime: int | None
    sha256: str | None
    recipe: str
    state: State
    bytes: int | None


class Manifest:
    """SQLite, in the output folder. Only the process that hands items out writes to it; all may read.

    Every method raises BatchError, in one line, for a manifest that is damaged, of another version or cannot be
    written. Nothing in it is worth more than the pictures: without it, they are only made again.
    """

    def __init__(self, folder: Path, connection: sqlite3.Connection, lock: sqlite3.Connection | None) -> None:
        self._folder = folder
        self._connection = connection
        self._lock = lock

    @classmethod
    def at_work(cls, folder: Path) -> Self:
        """That of `folder`, which is there, for the one job that may be at work in it."""
        path = folder / NAME
        with sqlite_told(path):
            lock = locked(folder)
            try:
                connection = sqlite3.connect(path, isolation_level=None)
                prepare(connection, path)
            except BaseException:
                lock.close()
                raise
        return cls(folder, connection, lock)

    @classmethod
    def to_read(cls, folder: Path) -> Self:
        """That of `folder`, in which a job may be at work. Raises BatchError where there is none."""
        path = folder / NAME
        if not path.is_file():
            raise BatchError(f"there is no batch in {shown(folder)}: it holds no {NAME}")
        # Readers of SQLite's journal write beside it; where nobody may, nobody is at work either.
        mode = "mode=ro" if os.access(folder, os.W_OK) else "immutable=1"
        with sqlite_told(path):
            connection = sqlite3.connect(f"{path.absolute().as_uri()}?{mode}", uri=True, isolation_level=None)
            require_ours(connection, path)
        return cls(folder, connection, None)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        with suppress(sqlite3.Error):
            self._connection.close()
        if self._lock is not None:
            self._lock.close()

    def enlist(self, errands: Iterable[Errand], recipe: str, *, retry_failed: bool) -> Enlisted:
        """Have a row for each errand, and find out which are to be made: all others are as they should be.

        `recipe`: the digest of all that decides the pictures but the pictures themselves.
        """
        errands = list(errands)
        with self._change() as connection:
            self._recover(connection)
            known = self._rows(connection)
            connection.execute("UPDATE item SET wanted = 0")
            there = failed = anew = 0
            for errand in errands:
                target = self._key(errand.target)
                row = known.get(target)
                changed = row is None or self._changed(row, errand, recipe)
                if row is None or changed or (row.state is State.FAILED and retry_failed):
                    anew += row is not None and row.state is State.DONE
                    connection.execute(ENLIST, (target, os.fsencode(errand.source), recipe))
                else:
                    there += row.state is State.DONE
                    failed += row.state is State.FAILED
                    connection.execute(WANT, (target,))
        return Enlisted(len(errands), there, failed, anew)

    def claim(self) -> Item | None:
        """The next item that is to be made, which is running from here on; None where none waits."""
        with sqlite_told(self._path):
            found = self._connection.execute(CLAIM).fetchall()
        for number, source, target in found:
            return Item(number, Errand(Path(os.fsdecode(source)), self._folder / os.fsdecode(target)))
        return None

    def done(self, item: Item, made: Made) -> None:
        """It is there."""
        source = made.source
        self._set(DONE, made.seconds, made.bytes, source.size, source.mtime, source.sha256, item.number)

    def failed(self, item: Item, problem: str) -> None:
        """It cannot be made: it would fail again."""
        self._set(FAILED, problem, *_seen(item), item.number)

    def faulted(self, item: Item, problem: str, limit: int) -> bool:
        """It took its worker along: whether it is tried again, which it is until that happened `limit` times."""
        found = self._set(FAULTED, limit, problem, *_seen(item), item.number)
        return State(found[0][0]) is State.WAITING

    def released(self, item: Item) -> None:
        """It was not made, through no fault of its own."""
        self._set(RELEASED, item.number)

    def tally(self) -> Mapping[State, int]:
        """How many of the items of the last command are in which state."""
        with sqlite_told(self._path):
            counts = dict(self._connection.execute("SELECT state, count(*) FROM item WHERE wanted = 1 GROUP BY state"))
        return {state: counts.get(state.value, 0) for state in State}

    def entries(self, state: State | None = None, limit: int = -1) -> list[Entry]:
        """Those of the last command, in its order, or the first of them that are in a `state`."""
        with sqlite_told(self._path):
            rows = self._connection.execute(
                "SELECT source, target, state, tries, error, seconds FROM item "
                "WHERE wanted = 1 AND (?1 IS NULL OR state = ?1) ORDER BY number LIMIT ?2",
                (None if state is None else state.value, limit),
            ).fetchall()
        return [
            Entry(Path(os.fsdecode(source)), Path(os.fsdecode(target)), State(told), tries, error, seconds)
            for source, target, told, tries, error, seconds in rows
        ]

    @property
    def _path(self) -> Path:
        return self._folder / NAME

    def _key(self, target: Path) -> bytes:
        return os.fsencode(target.relative_to(self._folder))

    def _set(self, statement: str, *values: object) -> list[tuple[Any, ...]]:
        with sqlite_told(self._path):
            return self._connection.execute(statement, values).fetchall()

    def _recover(self, connection: sqlite3.Connection) -> None:
        """Take back what a job that was killed had handed out."""
        for (target,) in connection.execute("SELECT target FROM item WHERE state = 'running'").fetchall():
            remove_halves(self._folder / os.fsdecode(target))
        connection.execute("UPDATE item SET state = 'waiting' WHERE state = 'running'")

    def _rows(self, connection: sqlite3.Connection) -> dict[bytes, _Row]:
        rows = connection.execute("SELECT target, size, mtime, sha256, recipe, state, bytes FROM item")
        return {
            target: _Row(size, mtime, sha256, recipe, State(state), length)
            for target, size, mtime, sha256, recipe, state, length in rows
        }

    def _changed(self, row: _Row, errand: Errand, recipe: str) -> bool:
        """Whether what was made, or failed, is not what would be now; bytes are read only where they may differ."""
        if row.recipe != recipe:
            return True
        if row.state is State.WAITING:
            return False
        try:
            status = errand.source.stat()
            same = (status.st_size, status.st_mtime_ns) == (row.size, row.mtime)
            if row.state is State.FAILED:
                return not same
            if errand.target.stat().st_size != row.bytes:
                return True
            return not same and sha256_of(errand.source) != row.sha256
        except FileNotFoundError:
            return row.state is State.DONE
        except (OSError, ImageError):
            return True

    @contextmanager
    def _change(self) -> Iterator[sqlite3.Connection]:
        """All of what is done within, or nothing."""
        with sqlite_told(self._path):
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield self._connection
                self._connection.execute("COMMIT")
            except BaseException:
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")
                raise


def _seen(item: Item) -> tuple[int | None, int | None]:
    """What the source looks like now, so that a failed item is tried again once that has changed."""
    try:
        status = item.errand.source.stat()
    except OSError:
        return None, None
    return status.st_size, status.st_mtime_ns
