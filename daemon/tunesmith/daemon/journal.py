"""Reads a worker's journal: complete lines from a byte offset on, each either an event or a Notice about a bad line.

Its first line, written by the daemon before the worker begins, says format and version; older ones have none.
"""

from __future__ import annotations

from pathlib import Path

import msgspec

from tunesmith.daemon import versions
from tunesmith.daemon.api import events as e
from tunesmith.daemon.api import wording
from tunesmith.daemon.states import WORKER_EVENTS
from tunesmith.recipes.spec import EVERY_STAGE
from tunesmith.recipes.words import say

CHUNK_BYTES = 1 << 20  # one read: thousands of steps, and the longest line taken for an event


FORMAT = "tunesmith-journal"
FORMAT_VERSION = 1


class Head(msgspec.Struct, frozen=True, tag="journal", tag_field="type"):
    """The first line."""

    format: str = FORMAT
    version: int = FORMAT_VERSION


class Piece(msgspec.Struct, frozen=True):
    """Events of one read and the offset of the first byte not yet used."""

    events: tuple[e.Event, ...]
    offset: int


def path(folder: Path, attempt: int) -> Path:
    return folder / f"journal-{attempt}.jsonl"


def attempts(folder: Path) -> list[int]:
    """Those that have a journal in the job's folder, oldest first."""
    found = (file.stem.removeprefix("journal-") for file in folder.glob("journal-*.jsonl"))
    return sorted(int(number) for number in found if number.isdecimal())


def begin(path: Path) -> None:
    """Write the first line, for a worker to go on from. Raises OSError."""
    path.write_bytes(msgspec.json.encode(Head()) + b"\n")


def read(path: Path, offset: int) -> Piece:
    """A line still being written (no line end yet) is left for the next read; a missing file has no lines.

    Raises JobError (code newer_version) when a newer Tunesmith wrote it, OSError when it cannot be read.
    """
    try:
        with path.open("rb") as file:
            file.seek(offset)
            data = file.read(CHUNK_BYTES)
    except FileNotFoundError:
        return Piece((), offset)
    end = data.rfind(b"\n") + 1
    if not end and len(data) == CHUNK_BYTES:
        return Piece((_unreadable(offset, say("line_too_long", "longer than 1 MB")),), offset + len(data))
    found: list[e.Event] = []
    at = offset
    for line in data[:end].splitlines(keepends=True):
        text = line.strip()
        if text and not (at == 0 and _is_head(path, text)):
            found.append(_event(text, at))
        at += len(line)
    return Piece(tuple(found), offset + end)


def _is_head(path: Path, line: bytes) -> bool:
    try:
        head = msgspec.json.decode(line, type=Head)
    except (msgspec.DecodeError, RecursionError):
        return False
    versions.refuse_newer(path, head.version, FORMAT_VERSION)
    return True


def _event(line: bytes, at: int) -> e.Event:
    try:
        event = e.decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        return _unreadable(at, str(error))
    if not isinstance(event, WORKER_EVENTS):
        return _unreadable(at, say("not_a_workers", "not for a worker to say"))
    if isinstance(event, e.StageStarted | e.StageProgress | e.StageFinished) and event.stage not in EVERY_STAGE:
        return _unreadable(at, say("no_such_stage", "no stage is called {name}", name=repr(event.stage)))
    return event


def _unreadable(at: int, why: str) -> e.Notice:
    english = "A line of the journal at byte {at} was left out: {why}."
    return wording.notice("warning", say("bad_line", english, at=at, why=why))
