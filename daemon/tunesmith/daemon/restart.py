"""What a daemon does, when it starts, about what the one before it left: adopt, queue again, end, clean, report.

Every job that was at work is adopted, queued again or interrupted before a new worker starts.
"""

from __future__ import annotations

import asyncio
import functools
import logging
import os
import time
from collections.abc import Callable
from pathlib import Path

import msgspec
import psutil

from tunesmith.daemon import crash_points, interruption, job_folder, recovery, versions
from tunesmith.daemon.api import events as e
from tunesmith.daemon.api import report
from tunesmith.daemon.api.home import Home
from tunesmith.daemon.api.report import Finding, Report, Start
from tunesmith.daemon.api.view import AT_WORK, CANCELLED, FAILED, FINISHED, INTERRUPTED, PAUSED, QUEUED, JobView
from tunesmith.daemon.publish import STAGED_BY, remove, remove_staged, write_whole
from tunesmith.daemon.recovery import WorkerRecord
from tunesmith.daemon.store import Store
from tunesmith.daemon.supervisor import Supervisor
from tunesmith.recipes.errors import JobError, TunesmithError
from tunesmith.recipes.words import say

log = logging.getLogger("tunesmith.restart")
ENDED = {
    FINISHED: "finished while no daemon was there",
    FAILED: "failed while no daemon was there",
    CANCELLED: "was being cancelled, and is",
    PAUSED: "was being paused, and is",
}


class Adopted(msgspec.Struct, frozen=True):
    """A worker that lives: to be followed to its end."""

    job_id: int
    attempt: int
    record: WorkerRecord


class Restart:
    def __init__(self, store: Store, supervisor: Supervisor) -> None:
        self._store = store
        self._supervisor = supervisor
        self._findings: list[Finding] = list(store.findings)
        self._before = read_report(store.home)
        self._began = time.time()

    async def settle(self) -> list[Adopted]:
        """The workers that live. Every other job that was at work is settled when this returns."""
        views = self._store.jobs()
        looked = await asyncio.gather(*(self._look(view) for view in views if view.state in AT_WORK))
        for view in views:
            if view.state == INTERRUPTED and view.interrupted == "terminated":
                await self._after_shutdown(view)
            if view.state not in AT_WORK:
                await self._end_stray(view)
        adopted = [one for one in looked if one is not None]
        self._findings += await asyncio.to_thread(leftovers, self._store.home, {one.job_id for one in adopted})
        await asyncio.to_thread(self._write)
        return adopted

    def report(self) -> Report:
        """With this start first."""
        earlier = self._before.starts
        boot = recovery.boot()
        rebooted = bool(earlier) and earlier[0].boot != boot
        this = Start(self._began, os.getpid(), boot, rebooted, tuple(self._findings))
        return Report((this, *(start for start in earlier if start.findings))[: report.KEPT])

    async def _look(self, view: JobView) -> Adopted | None:
        path = self._store.home.job(view.id) / f"worker-{view.attempt}.json"
        try:
            record = recovery.load(path)
        except JobError as error:  # of a newer Tunesmith: whether it lives cannot be said
            self._find("left", f"Job {view.id} cannot be taken over: {error.message}", view.id)
            failed = e.Failed(time=time.time(), code=error.code, message=error.message, hint=error.hint)
            await self._supervisor.ledger.append(view.id, failed)
            return None
        if record is not None and recovery.lives(record):
            log.info("job %d: adopted worker %d", view.id, record.pid)
            await self._supervisor.ledger.append(view.id, e.Adopted(time=time.time(), pid=record.pid))
            self._find("adopted", f"Job {view.id} goes on in its worker process {record.pid}", view.id)
            return Adopted(view.id, view.attempt, record)
        log.info("job %d: its worker is gone", view.id)
        if record is not None:
            recovery.kill_group(record)
        await self._supervisor.ledger.interrupted(view.id, view.attempt, record)
        self._tell(self._store.get(view.id))
        return None

    def _tell(self, now: JobView) -> None:
        crash_points.reach("scheduler.requeued")
        if now.state == QUEUED:
            because = now.notices[-1].text if now.notices else ""
            self._find("requeued", f"Job {now.id} waits to go on. {because}", now.id)
        elif now.state == INTERRUPTED and now.error is not None:
            self._find("interrupted", f"Job {now.id}: {now.error.message}. {now.error.hint}", now.id)
        else:
            self._find("ended", f"Job {now.id} {ENDED.get(now.state, now.state)}", now.id)

    async def _after_shutdown(self, view: JobView) -> None:
        """A machine that shuts down tells workers to end like anybody may: after a start of it they go on."""
        record = recovery.load(self._store.home.job(view.id) / f"worker-{view.attempt}.json")
        if record is None or record.boot == recovery.boot() or view.interruptions > interruption.MOST:
            return
        because = say("told_to_end", "The run was told to end before the machine was restarted")
        await self._supervisor.ledger.append(view.id, *interruption.again(view, because), only_in=INTERRUPTED)
        self._tell(self._store.get(view.id))

    async def _end_stray(self, view: JobView) -> None:
        """Of a job that is over, or waits: nobody follows what its last worker still does."""
        try:
            record = recovery.load(self._store.home.job(view.id) / f"worker-{view.attempt}.json")
        except TunesmithError as error:
            log.error("job %d: %s", view.id, error)
            return
        if view.state != QUEUED and record is not None and recovery.lives(record):
            await self._supervisor.end(record)
            self._find(
                "stopped", f"The worker process {record.pid} of job {view.id} had not ended; it has now", view.id
            )

    def _find(self, kind: str, text: str, job: int) -> None:
        self._findings.append(Finding(kind, text, job))

    def _write(self) -> None:
        try:
            write_whole(self._store.home.recovery, msgspec.json.format(msgspec.json.encode(self.report())))
        except (OSError, TunesmithError) as error:
            log.error("what was found at this start could not be written down: %s", error)


def read_report(home: Home) -> Report:
    """What the starts before found; nothing where the file is missing or damaged, or a newer Tunesmith's."""
    try:
        found = msgspec.json.decode(home.recovery.read_bytes(), type=Report)
        versions.refuse_newer(home.recovery, found.version, report.FORMAT_VERSION)
    except (OSError, msgspec.DecodeError, TunesmithError) as error:
        log.info("no report of an earlier start: %s", error)
        return Report()
    return found


def leftovers(home: Home, at_work: set[int]) -> list[Finding]:
    """Removes what dead processes left half written; of jobs `at_work` nothing, and nothing that a process stages."""
    found = []
    for pattern in (".*", "cache/.*"):
        for path in home.root.glob(pattern):
            by = STAGED_BY.search(path.name)
            if by is not None and (int(by[1]) == os.getpid() or not psutil.pid_exists(int(by[1]))):
                found += _removed(path, functools.partial(remove, path))
    for number in job_folder.numbers(home):
        if number not in at_work:
            for folder in (home.job(number), home.job(number) / "artifacts", home.job(number) / "checkpoints"):
                if folder.is_dir() and any(STAGED_BY.search(path.name) for path in folder.glob(".*")):
                    found += _removed(folder, functools.partial(remove_staged, folder))
    return found


def _removed(path: Path, act: Callable[[], None]) -> list[Finding]:
    try:
        act()
    except OSError as error:
        return [Finding("left", f"{path} could not be cleaned: {error}", path=str(path))]
    return [Finding("cleaned", f"A process was writing here when it ended: {path}", path=str(path))]
