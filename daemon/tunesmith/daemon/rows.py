"""The rows of a job in the database: read, inserted, removed; whoever calls has the connection and the transaction."""

from __future__ import annotations

import logging
import sqlite3
import time
from collections.abc import Sequence

import msgspec

from tunesmith.daemon import database
from tunesmith.daemon.api import events as e
from tunesmith.daemon.api.home import Home
from tunesmith.daemon.api.view import JobView, fold

log = logging.getLogger("tunesmith.store")


def known(connection: sqlite3.Connection) -> list[tuple[int, str, int, int]]:
    """Number, key, attempt and journal offset of every job."""
    return connection.execute("SELECT id, key, attempt, journal_offset FROM jobs").fetchall()


def removed(connection: sqlite3.Connection) -> dict[int, str]:
    """Keys by number of the jobs that were removed."""
    return dict(connection.execute("SELECT id, key FROM removed").fetchall())


def highest(connection: sqlite3.Connection) -> int:
    """The highest number that was ever given."""
    query = "SELECT MAX(id) FROM (SELECT MAX(id) AS id FROM jobs UNION ALL SELECT MAX(id) AS id FROM removed)"
    return int(connection.execute(query).fetchone()[0] or 0)


def view(connection: sqlite3.Connection, home: Home, job_id: int) -> JobView:
    """The kept one of a job that rests, else the fold over all its events. Raises DaemonError for a damaged event."""
    name, kept = connection.execute("SELECT name, view FROM jobs WHERE id = ?", (job_id,)).fetchone()
    if kept is not None:
        try:
            return msgspec.json.decode(kept, type=JobView)
        except msgspec.DecodeError:
            log.info("job %d: its kept view is of another version or damaged; folding its events again", job_id)
    found = JobView(job_id, name, folder=str(home.job(job_id)))
    query = "SELECT number, body FROM events WHERE job = ? ORDER BY number"
    for number, body in connection.execute(query, (job_id,)):
        try:
            event = e.decode(body)
        except msgspec.DecodeError as error:
            what = f"event {number} of job {job_id} cannot be read: {error}"
            raise database.damaged(home.database, what) from error
        found = fold(found, e.Numbered(number, event))
    return found


def events(connection: sqlite3.Connection, job_id: int, after: int, limit: int) -> list[tuple[int, bytes]]:
    """Numbers and JSON of at most `limit` events above `after`, in order."""
    query = "SELECT number, body FROM events WHERE job = ? AND number > ? ORDER BY number LIMIT ?"
    return connection.execute(query, (job_id, after, limit)).fetchall()


def insert(
    connection: sqlite3.Connection, home: Home, job_id: int, key: str, name: str, happened: Sequence[e.Event]
) -> JobView:
    """A job with its first events."""
    found = JobView(job_id, name, folder=str(home.job(job_id)))
    numbered = [e.Numbered(number, event) for number, event in enumerate(happened, 1)]
    for one in numbered:
        found = fold(found, one)
    connection.execute(
        "INSERT INTO jobs (id, key, name, state, created) VALUES (?, ?, ?, ?, ?)",
        (job_id, key, name, found.state, found.created),
    )
    add(connection, job_id, numbered)
    return found


def add(connection: sqlite3.Connection, job_id: int, numbered: Sequence[e.Numbered]) -> None:
    """More events."""
    connection.executemany(
        "INSERT INTO events VALUES (?, ?, ?)", [(job_id, one.number, e.encode(one.event)) for one in numbered]
    )


def update(connection: sqlite3.Connection, view: JobView, offset: int | None) -> None:
    """State, the view of one that rests, and the journal's offset where it is known."""
    connection.execute(
        "UPDATE jobs SET state = ?, journal_offset = COALESCE(?, journal_offset), view = ? WHERE id = ?",
        (view.state, offset, msgspec.json.encode(view) if view.ended_already else None, view.id),
    )


def set_attempt(connection: sqlite3.Connection, job_id: int, attempt: int, offset: int) -> None:
    connection.execute("UPDATE jobs SET attempt = ?, journal_offset = ? WHERE id = ?", (attempt, offset, job_id))


def delete(connection: sqlite3.Connection, job_id: int) -> None:
    connection.execute("DELETE FROM events WHERE job = ?", (job_id,))
    connection.execute("DELETE FROM jobs WHERE id = ?", (job_id,))


def remember_removed(connection: sqlite3.Connection, job_id: int, key: str, name: str) -> None:
    connection.execute("INSERT INTO removed VALUES (?, ?, ?, ?)", (job_id, key, name, time.time()))
