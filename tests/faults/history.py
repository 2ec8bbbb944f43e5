"""Compares what clients were promised with what database and disk hold: the invariants of a crash, as sentences.

Clients write down what they saw, one record a line; everything here is a function of those records and of what was
read of the home. An empty list of violations means that all of it holds.
"""

from __future__ import annotations

import collections
import itertools
import json
import sqlite3
from collections.abc import Iterable, Sequence
from pathlib import Path

import msgspec

from tunesmith.daemon import publish
from tunesmith.daemon.api.home import Home
from tunesmith.recipes.errors import MachineError

# What may follow where a job rests: another attempt always begins with an event that says so.
MAY_FOLLOW = {
    "finished": (), "failed": ("queued",), "cancelled": ("queued",), "paused": ("queued", "cancelled"),
    "interrupted": ("queued", "cancelled"),
}  # fmt: skip
WITH_PROCESS = ("running", "pausing", "cancelling")
STAGED = ".staged-"
WHOLE_FILES = ("spec.json", "submitted.json", "worker-*.json")


class _Record(msgspec.Struct, frozen=True, tag_field="record"):
    pass


class Acknowledged(_Record, frozen=True, tag="acknowledged"):
    """A submit under `key` was answered with this job."""

    key: str
    job: int


class Saw(_Record, frozen=True, tag="saw"):
    """An event came on `stream`, a name kept over reconnections; `kind` gap: those up to `number` are left out."""

    stream: str
    job: int
    number: int
    kind: str


class Replied(_Record, frozen=True, tag="replied"):
    """A reply said that the job was in `state` after event `number`."""

    job: int
    number: int
    state: str


class Removed(_Record, frozen=True, tag="removed"):
    """A client asked that the job be removed: from then on it may be gone, and is not promised any more."""

    job: int


class Odd(_Record, frozen=True, tag="odd"):
    """Something that no client should meet: a reply without a typed error, say."""

    text: str


Record = Acknowledged | Saw | Replied | Removed | Odd
_decoder: msgspec.json.Decoder[Record] = msgspec.json.Decoder(Record)


def decoded(lines: bytes) -> list[Record]:
    """Every whole line; the last may be torn, its writer was killed."""
    return [_decoder.decode(line) for line in lines[: lines.rfind(b"\n") + 1].splitlines()]


def encoded(record: Record) -> bytes:
    return msgspec.json.encode(record)


class Job(msgspec.Struct, frozen=True):
    """A row, and its events as (number, kind, attempt of a start)."""

    id: int
    key: str
    state: str
    events: tuple[tuple[int, str, int | None], ...] = ()


def jobs_of(database: Path) -> list[Job]:
    """What is in the database: nothing before it has its tables. Raises sqlite3.DatabaseError when it is damaged."""
    undone = database.with_name(f"{database.name}-journal").exists()  # reading undoes what a power cut left half done
    connection = sqlite3.connect(f"file:{database}?mode={'rw' if undone else 'ro'}", uri=True, timeout=10)
    try:
        if not connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'events'").fetchone():
            return []
        events: dict[int, list[tuple[int, str, int | None]]] = collections.defaultdict(list)
        for job, number, body in connection.execute("SELECT job, number, body FROM events ORDER BY job, number"):
            said = json.loads(body)
            events[job].append((number, said["type"], said.get("attempt") if said["type"] == "started" else None))
        rows = connection.execute("SELECT id, key, state FROM jobs ORDER BY id").fetchall()
        return [Job(job, key, state, tuple(events[job])) for job, key, state in rows]
    finally:
        connection.close()


def violations(records: Iterable[Record], jobs: Sequence[Job]) -> list[str]:
    """I1, I2 and I10 of what was promised and what is there; beside them whatever was odd."""
    records = list(records)
    there = {job.id for job in jobs}
    gone = {record.job for record in records if isinstance(record, Removed)} - there
    records = [record for record in records if isinstance(record, Odd) or record.job not in gone]
    found = [f"odd: {record.text}" for record in records if isinstance(record, Odd)]
    found += _acknowledged([record for record in records if isinstance(record, Acknowledged)], jobs)
    for job in jobs:
        found += _history(job)
    found += _streams([record for record in records if isinstance(record, Saw)], jobs)
    found += _replies([record for record in records if isinstance(record, Replied)], jobs)
    return found


def _acknowledged(records: Sequence[Acknowledged], jobs: Sequence[Job]) -> list[str]:
    key_of = {job.id: job.key for job in jobs}
    first: dict[str, int] = {}
    found = []
    for record in records:
        known = first.setdefault(record.key, record.job)
        if known != record.job:
            found.append(f"I1: key {record.key} was acknowledged as job {known} and as job {record.job}")
        if record.job not in key_of:
            found.append(f"I1: job {record.job} was acknowledged and is not in the database")
        elif key_of[record.job] != record.key:
            found.append(f"I1: job {record.job} was acknowledged under {record.key} and has key {key_of[record.job]}")
    return found


def _history(job: Job) -> list[str]:
    found = []
    numbers = [number for number, _, _ in job.events]
    if numbers != list(range(1, len(numbers) + 1)):
        found.append(f"I10: the events of job {job.id} are numbered {numbers}")
    for (_, before, _), (number, after, _) in itertools.pairwise(job.events):
        if before in MAY_FOLLOW and after not in MAY_FOLLOW[before]:
            found.append(f"I2: event {number} of job {job.id} is {after}, after {before}")
    attempts = [attempt for _, kind, attempt in job.events if kind == "started" and attempt is not None]
    if any(later <= earlier for earlier, later in itertools.pairwise(attempts)):
        found.append(f"I2: the attempts of job {job.id} are {attempts}")
    last = job.events[-1][1] if job.events else "nothing"
    if (job.state in MAY_FOLLOW or last in MAY_FOLLOW) and job.state != last:
        found.append(f"I2: job {job.id} is {job.state} and its last event is {last}")
    return found


def _streams(records: Sequence[Saw], jobs: Sequence[Job]) -> list[str]:
    kinds = {(job.id, number): kind for job in jobs for number, kind, _ in job.events}
    last: dict[tuple[str, int], int] = collections.defaultdict(int)
    found = []
    for record in records:
        before, last[record.stream, record.job] = last[record.stream, record.job], record.number
        if record.kind == "gap":
            continue
        if record.number != before + 1:
            found.append(f"I10: on {record.stream} event {record.number} of job {record.job} came after {before}")
        kept = kinds.get((record.job, record.number))
        if kept != record.kind:
            found.append(f"I1: event {record.number} of job {record.job} was seen as {record.kind} and is {kept}")
    return found


def _replies(records: Sequence[Replied], jobs: Sequence[Job]) -> list[str]:
    kinds = {(job.id, number): kind for job in jobs for number, kind, _ in job.events}
    found = []
    for record in records:
        kept = kinds.get((record.job, record.number))
        if kept is None:
            found.append(f"I1: a reply told of event {record.number} of job {record.job}, which is not kept")
        elif (record.state in MAY_FOLLOW or kept in MAY_FOLLOW) and record.state != kept:
            found.append(f"I2: job {record.job} was told as {record.state} at event {record.number}, which is {kept}")
    return found


def on_disk(home: Home, jobs: Sequence[Job]) -> list[str]:
    """I1, I2 and I5 of the jobs' folders: recipes are there, what has a final name is whole, nobody worked twice."""
    found = []
    for job in jobs:
        folder = home.job(job.id)
        if not folder.exists():  # before the daemon that died next could name it
            folder = folder.with_name(f".new-{job.id}")
        if not (folder / "spec.json").is_file():
            found.append(f"I1: job {job.id} has no recipe")
        found += [f"I2: job {job.id} had two living workers: {path.name}" for path in folder.glob("double-*")]
        found += _partial(folder)
    return found


def _partial(folder: Path) -> list[str]:
    found = []
    for path in itertools.chain.from_iterable(folder.glob(pattern) for pattern in WHOLE_FILES):
        try:
            msgspec.json.decode(path.read_bytes())
        except msgspec.DecodeError as error:
            found.append(f"I5: {path} is partial: {error}")
    for place in sorted(folder.glob("checkpoints/step-*")):
        found += _unverified(lambda place=place: publish.verify_folder(place), place)  # type: ignore[misc]
    for path in sorted(folder.glob("artifacts/*")):
        if path.name != publish.MANIFEST and STAGED not in path.name:
            check = publish.verify_folder if path.is_dir() else publish.verify_file
            found += _unverified(lambda path=path, check=check: check(path), path)  # type: ignore[misc]
    return found


def _unverified(check: object, path: Path) -> list[str]:
    assert callable(check)
    try:
        check()
    except MachineError as error:
        return [f"I5: {path} is visible and not whole: {error.message}"]
    return []


def completed_twice(home: Home, jobs: Sequence[Job]) -> list[str]:
    """I2 where no worker was killed: each did its work at most once to the end."""
    found = []
    for job in jobs:
        path = home.job(job.id) / "completions.txt"
        lines = path.read_text().split() if path.exists() else []
        if len(lines) > 1:
            found.append(f"I2: job {job.id} was completed {len(lines)} times")
        if job.state == "finished" and len(lines) != 1:
            found.append(f"I2: job {job.id} has finished and was completed {len(lines)} times")
    return found


def without_process(states: Iterable[tuple[int, str, int | None]], living: set[int]) -> list[str]:
    """I3 of (job, state, pid of its worker) some seconds after a start."""
    return [
        f"I3: job {job} is {state} and its process {pid} is gone"
        for job, state, pid in states
        if state in WITH_PROCESS and pid not in living
    ]


def left_behind(home: Home) -> list[str]:
    """I7 of files: what was staged or bound and whose owner is gone."""
    left = [*home.root.rglob(f"*{STAGED}*"), *home.root.glob("jobs/.new-*")]
    found = [f"I7: {path} was left staged" for path in sorted(left)]
    if home.socket.exists():
        found.append(f"I7: the socket {home.socket} was left")
    return found
