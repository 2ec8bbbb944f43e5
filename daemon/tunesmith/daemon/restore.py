"""A job made anew from its folder, when the database lost its row: its recipe, and what its journals say it did."""

from __future__ import annotations

import time
from pathlib import Path

import msgspec

from tunesmith.daemon import job_folder, journal, recovery, states, submitted
from tunesmith.daemon.api import events as e
from tunesmith.daemon.api.home import Home
from tunesmith.daemon.api.view import AT_WORK, QUEUED, JobView, fold
from tunesmith.recipes.errors import TunesmithError
from tunesmith.recipes.spec import JobSpec, stages_of


class Lost(msgspec.Struct, frozen=True):
    """What belongs into the rows of a job; `offset` is how much of its newest attempt's journal `events` hold."""

    key: str
    name: str
    events: tuple[e.Event, ...]
    attempt: int
    offset: int


class _History:
    """Events as the guarded state machine takes them."""

    def __init__(self, job_id: int, name: str, queued: e.Queued) -> None:
        self.view = JobView(job_id, name)
        self.events: list[e.Event] = []
        self._take(queued)

    def say(self, event: e.Event) -> None:
        event = states.meant(self.view.state, self.view.id, event)
        if states.may_follow(self.view.state, event):
            self._take(event)

    def _take(self, event: e.Event) -> None:
        self.events.append(event)
        self.view = fold(self.view, e.Numbered(len(self.events), event))


def read(home: Home, job_id: int) -> Lost | None:
    """None for a folder without a recipe that can be read: it is left as it is."""
    folder = home.job(job_id)
    try:
        spec = msgspec.json.decode((folder / "spec.json").read_bytes(), type=JobSpec)
        said = submitted.read(folder)
    except (OSError, msgspec.DecodeError, TunesmithError):
        return None
    created = (folder / "spec.json").stat().st_mtime
    of, beside = job_folder.begins_with(home, spec), job_folder.taken_beside(home, spec)
    queued = e.Queued(time=created, task=spec.task, of=of, beside=beside, stages=stages_of(spec))
    history = _History(job_id, spec.name, queued)
    attempt = offset = 0
    for attempt in journal.attempts(folder):
        if history.view.state in AT_WORK:  # its last word is missing
            history.say(_cut(job_id))
        history.say(e.Queued(time=time.time(), automatic=True))
        offset = _attempt(history, folder, attempt)
    record = recovery.load(folder / f"worker-{attempt}.json")
    lives = history.view.state in AT_WORK and record is not None and recovery.lives(record)
    if not lives and (history.view.state in AT_WORK or history.view.state == QUEUED):
        history.say(_cut(job_id))  # whether to go on is for a person to say: nobody knows what was promised of it
    return Lost(said.key or f"restored-{job_id}", spec.name, tuple(history.events), attempt, offset)


def _attempt(history: _History, folder: Path, attempt: int) -> int:
    """What this attempt did; the offset up to which its journal was read."""
    path = journal.path(folder, attempt)
    record = recovery.load(folder / f"worker-{attempt}.json")
    began = path.stat().st_mtime
    history.say(e.Started(time=began, attempt=attempt, pid=record.pid if record is not None else 0))
    offset = 0
    while (piece := journal.read(path, offset)).offset != offset:
        offset = piece.offset
        for event in piece.events:
            history.say(event)
    return offset


def _cut(job_id: int) -> e.Interrupted:
    return e.Interrupted(
        time=time.time(),
        reason="restored",
        message="The run was not in the database any more; it was listed again from its folder",
        hint=f"Go on with `tunesmith resume {job_id}`.",
    )
