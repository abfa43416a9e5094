"""The file of a manifest: SQLite, in the output folder, locked by the one job that may be at work there."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from oneira.errors import BatchError
from oneira.images.notices import shown

NAME = ".oneira-batch.sqlite"
LOCK = ".oneira-batch.lock"
KIND = 0x4F4E4942  # the application id of SQLite's header: ONIB
VERSION = 1
SCHEMA = """
CREATE TABLE item (
    number INTEGER PRIMARY KEY,
    target BLOB NOT NULL UNIQUE,       -- below the folder; bytes, as file systems have names
    source BLOB NOT NULL,              -- as it was given
    size INTEGER,                      -- of the source when it was read
    mtime INTEGER,
    sha256 TEXT,
    recipe TEXT NOT NULL,              -- digest of all else that decides the picture
    state TEXT NOT NULL,
    wanted INTEGER NOT NULL,           -- whether the last command was about it
    tries INTEGER NOT NULL DEFAULT 0,  -- how often it was handed out
    faults INTEGER NOT NULL DEFAULT 0, -- how often it took its worker along
    error TEXT,
    seconds REAL,
    bytes INTEGER                      -- of the target
);
CREATE INDEX next_item ON item (wanted, state, tries, number);
"""


def locked(folder: Path) -> sqlite3.Connection:
    """A lock that ends with the process, however it ends."""
    lock = sqlite3.connect(folder / LOCK, isolation_level=None, timeout=0)
    try:
        lock.execute("BEGIN EXCLUSIVE")
    except sqlite3.OperationalError as error:
        lock.close()
        if error.sqlite_errorname != "SQLITE_BUSY":
            raise
        raise BatchError(f"another batch is at work in {shown(folder)}: wait for it, or name another folder") from None
    return lock


def prepare(connection: sqlite3.Connection, path: Path) -> None:
    """Have the tables, and see that they are ours."""
    if not connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]:
        told = f"PRAGMA application_id = {KIND}; PRAGMA user_version = {VERSION};"
        connection.executescript(f"BEGIN IMMEDIATE; {told} {SCHEMA} COMMIT;")
    require_ours(connection, path)
    # What is committed outlives the process; of a machine that loses power, the last items may be made again.
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = NORMAL")


def require_ours(connection: sqlite3.Connection, path: Path) -> None:
    """BatchError where the file is another program's, of another version, or damaged."""
    kind = connection.execute("PRAGMA application_id").fetchone()[0]
    version = connection.execute("PRAGMA user_version").fetchone()[0]
    if kind != KIND:
        raise BatchError(f"{shown(path)} is no manifest of a batch: move it away, or name another folder")
    if version != VERSION:
        raise BatchError(
            f"{shown(path)} is of version {version}, and version {VERSION} is read here: move it away, or name another "
            "folder"
        )
    if connection.execute("PRAGMA quick_check(1)").fetchone()[0] != "ok":
        raise _damaged(path)


def _damaged(path: Path) -> BatchError:
    return BatchError(f"{shown(path)} is damaged, or no manifest of a batch: move it away, and pictures are made again")


@contextmanager
def sqlite_told(path: Path) -> Iterator[None]:
    """Within, BatchError in place of SQLite's own."""
    try:
        yield
    except sqlite3.DatabaseError as error:
        if getattr(error, "sqlite_errorname", "").startswith(("SQLITE_NOTADB", "SQLITE_CORRUPT")):
            raise _damaged(path) from error
        raise BatchError(f"cannot use {shown(path)}: {error}; what is done is kept") from error
