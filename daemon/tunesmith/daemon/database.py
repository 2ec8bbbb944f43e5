"""The database file: looked at before a byte of it changes, its troubles told in sentences, moved only when asked."""

from __future__ import annotations

import os
import sqlite3
import time
from contextlib import closing
from pathlib import Path

from tunesmith.daemon import migrations
from tunesmith.daemon.api import disk_errors
from tunesmith.recipes.errors import DaemonError, MachineError, TunesmithError

# FULL: with NORMAL a power cut takes acknowledged jobs along.
PRAGMAS = ("journal_mode = WAL", "synchronous = FULL", "foreign_keys = ON", "busy_timeout = 2000")
COMPANIONS = ("", "-wal", "-shm", "-journal")
CODES_OF_DAMAGE = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_FORMAT)


def opened(path: Path) -> sqlite3.Connection:
    """The one connection that writes. Raises DaemonError when the file is damaged, newer or another program's;
    MachineError when the disk is full or fails.
    """
    try:
        if path.exists() and path.stat().st_size:
            _examine(path)
        else:
            set_aside(path, COMPANIONS[1:])  # of a database that is gone: they would be taken for the new one's
        connection = sqlite3.connect(path, isolation_level=None)
        for pragma in PRAGMAS:
            connection.execute(f"PRAGMA {pragma}")
        migrations.apply(connection, path)
    except (sqlite3.Error, OSError) as error:
        raise typed(error, path) from error
    return connection


def _examine(path: Path) -> None:
    """Read-only: what is refused has been left as it was, its write-ahead log too.

    But for a power cut before the write-ahead log was on: what SQLite was in the middle of is undone by reading.
    """
    mode = "rw" if path.with_name(f"{path.name}-journal").exists() else "ro"
    with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode={mode}", uri=True)) as connection:
        migrations.refuse_unknown(connection, path)
        wrong = connection.execute("PRAGMA quick_check(1)").fetchone()[0]
    if wrong != "ok":
        raise damaged(path, wrong)


def set_aside(path: Path, companions: tuple[str, ...] = COMPANIONS) -> list[Path]:
    """Rename the database and what belongs to it; where they lie now. Nothing is removed. Raises OSError."""
    moved = []
    moment = time.strftime("%Y%m%d-%H%M%S")
    for end in companions:
        file = path.with_name(path.name + end)
        if file.exists():
            aside = path.with_name(f"{path.name}.aside-{moment}{end}")
            os.rename(file, aside)
            moved.append(aside)
    return moved


def typed(error: Exception, path: Path) -> Exception:
    """`error` as a person should read it; itself where it is a mistake of ours."""
    if isinstance(error, TunesmithError):
        return error
    if isinstance(error, OSError):
        return disk_errors.refused(error, path)
    if not isinstance(error, sqlite3.DatabaseError) or not hasattr(error, "sqlite_errorcode"):
        return error
    code = error.sqlite_errorcode & 0xFF  # without what extended codes add
    if code in CODES_OF_DAMAGE:
        return damaged(path, str(error))
    if code == sqlite3.SQLITE_FULL:
        return disk_errors.full(path.parent)
    if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        return MachineError(f"Another program holds {path}", "End whatever opened the database.", "database_busy")
    if code in (sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY):
        hint = f"Look at the disk of {path.parent} and at the rights of its files; all goes on once it works again."
        return MachineError(f"The database {path} cannot be written: {error}", hint, "disk_error")
    return error


def damaged(path: Path, what: str) -> DaemonError:
    backup = migrations.newest_backup(path)
    kept = f" A copy from before the last update is {backup}." if backup is not None else ""
    return DaemonError(
        f"The database {path} is damaged: {what}",
        "`tunesmith jobs recover --rebuild` puts it aside and lists the runs again from their folders; nothing is "
        f"removed.{kept}",
        "database_damaged",
    )
