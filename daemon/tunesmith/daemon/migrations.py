"""The database's schema, step by step; forward only, after a backup, and a newer one is left untouched."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from tunesmith.recipes.errors import DaemonError

# One entry a version; never edit one that was released. `view` is the folded view, kept once a job has ended.
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
)


def apply(connection: sqlite3.Connection, path: Path) -> None:
    """Bring the database at `path` to the newest schema. Raises DaemonError when it is newer than this program."""
    version = int(connection.execute("PRAGMA user_version").fetchone()[0])
    if version > len(STEPS):
        raise DaemonError(
            f"{path} was written by a newer Tunesmith (schema {version}, this one knows {len(STEPS)})",
            "Update Tunesmith, or set TUNESMITH_HOME to another folder.",
        )
    if 0 < version < len(STEPS):
        backup = sqlite3.connect(path.with_name(f"{path.name}.v{version}"))
        connection.backup(backup)
        backup.close()
    for number, step in enumerate(STEPS[version:], start=version + 1):
        connection.executescript(f"BEGIN IMMEDIATE;{step};PRAGMA user_version = {number};COMMIT;")
