"""The database's schema, step by step; forward only, after a backup, and a newer one is left untouched."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from pathlib import Path

from tunesmith.recipes.errors import DaemonError

APPLICATION = 0x54554E45  # "TUNE", in the file's header: whose database this is

# One entry a version; never edit one that was released. `view` is the folded view, kept while a job rests.
STEPS = (
    """
    CREATE TABLE jobs (
        id INTEGER PRIMARY KEY,
        key TEXT NOT NULL UNIQUE,
        name TEXT NOT NULL,
        state TEXT NOT NULL,
        created REAL NOT NULL,
        attempt INTEGER NOT NULL DEFAULT 0,
        journal_offset INTEGER NOT NULL DEFAULT 0,
        view BLOB
    ) STRICT;
    CREATE TABLE events (
        job INTEGER NOT NULL REFERENCES jobs (id),
        number INTEGER NOT NULL,
        body BLOB NOT NULL,
        PRIMARY KEY (job, number)
    ) STRICT, WITHOUT ROWID;
    """,
    # What was removed: its number is not given again, and its key makes no second job.
    f"""
    CREATE TABLE removed (
        id INTEGER PRIMARY KEY,
        key TEXT NOT NULL UNIQUE,
        name TEXT NOT NULL,
        removed REAL NOT NULL
    ) STRICT;
    PRAGMA application_id = {APPLICATION};
    """,
)


def refuse_unknown(connection: sqlite3.Connection, path: Path) -> None:
    """Raises DaemonError when the database at `path` is newer than this program, or another program's."""
    version = int(connection.execute("PRAGMA user_version").fetchone()[0])
    if version > len(STEPS):
        raise DaemonError(
            f"{path} was written by a newer Tunesmith (schema {version}, this one knows {len(STEPS)})",
            "Update Tunesmith, or set TUNESMITH_HOME to another folder.",
            "newer_version",
        )
    application = int(connection.execute("PRAGMA application_id").fetchone()[0])
    if application not in (0, APPLICATION):  # 0: of our first schema
        raise DaemonError(
            f"{path} is another program's database (application id {application:#x})",
            "Set TUNESMITH_HOME to another folder.",
            "foreign_database",
        )


def apply(connection: sqlite3.Connection, path: Path) -> None:
    """Bring the database at `path`, one that is known, to the newest schema. Raises OSError, sqlite3.Error."""
    version = int(connection.execute("PRAGMA user_version").fetchone()[0])
    if 0 < version < len(STEPS):
        _back_up(connection, path, backup_path(path, version))
    for number, step in enumerate(STEPS[version:], start=version + 1):
        connection.executescript(f"BEGIN IMMEDIATE;{step};PRAGMA user_version = {number};COMMIT;")


def backup_path(path: Path, version: int) -> Path:
    return path.with_name(f"{path.name}.v{version}")


def newest_backup(path: Path) -> Path | None:
    """What the newest migration kept of the database before it."""
    found = [backup_path(path, version) for version in range(len(STEPS), 0, -1)]
    return next((backup for backup in found if backup.exists()), None)


def _back_up(connection: sqlite3.Connection, path: Path, backup: Path) -> None:
    """Whole and on the disk before the schema changes: a power cut in between must leave one of both."""
    staged = backup.with_name(f".{backup.name}.staged-{os.getpid()}")
    staged.unlink(missing_ok=True)
    with closing(sqlite3.connect(staged)) as copy:
        connection.backup(copy)
    for synced in (staged, backup.parent):
        descriptor = os.open(synced, os.O_RDONLY)
        try:
            os.fsync(descriptor)
            if synced == staged:
                os.replace(staged, backup)
        finally:
            os.close(descriptor)
