"""The queue: one training job at a time, oldest first, when it fits; after a restart, first those that still run."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import sqlite3
import time

from tunesmith.daemon import recovery
from tunesmith.daemon.admission import Admission
from tunesmith.daemon.api import events as e
from tunesmith.daemon.api.view import CANCELLED, CANCELLING, FINISHED, QUEUED, RUNNING
from tunesmith.daemon.store import Store
from tunesmith.daemon.supervisor import Supervisor
from tunesmith.recipes.errors import JobError, MachineError

RETRY_S = 5.0
log = logging.getLogger("tunesmith.scheduler")


class Scheduler:
    def __init__(self, store: Store, supervisor: Supervisor, admission: Admission, retry_s: float) -> None:
        self._store = store
        self._supervisor = supervisor
        self._admission = admission
        self._retry_s = retry_s
        self._wake = asyncio.Event()

    def wake(self) -> None:
        self._wake.set()

    async def run(self) -> None:
        """For ever. Two jobs are followed at once only if two workers outlived the last daemon."""
        async with asyncio.TaskGroup() as group:
            for view in self._store.living():
                if view.state != QUEUED:
                    group.create_task(self._take_back(view.id, view.attempt))
        while True:
            self._wake.clear()
            queued = [view.id for view in self._store.living() if view.state == QUEUED]
            if not queued:
                await self._wake.wait()
                continue
            try:
                weighed = await self._admission.weigh(queued[0])
                if weighed.start:
                    await self._supervisor.run(queued[0], weighed.events)
                elif self._store.get(queued[0]).state == QUEUED:  # those behind it wait too: oldest first
                    with contextlib.suppress(TimeoutError):
                        await asyncio.wait_for(self._wake.wait(), self._retry_s)
            except (MachineError, OSError, sqlite3.OperationalError) as error:
                # Before its worker was let go, or it would be running: a full disk, say. It stays in the queue.
                log.error("job %d cannot start yet: %s", queued[0], error)
                await asyncio.sleep(RETRY_S)

    async def _take_back(self, job_id: int, attempt: int) -> None:
        record = recovery.load(self._store.home.job(job_id) / f"worker-{attempt}.json")
        if record is None or not recovery.lives(record):
            log.info("job %d: its worker is gone", job_id)
            if record is not None:
                recovery.kill_group(record)
            await self._supervisor.interrupted(job_id, attempt, record)
            return
        log.info("job %d: adopted worker %d", job_id, record.pid)
        await self._store.append(job_id, [e.Adopted(time=time.time(), pid=record.pid)])
        await self._supervisor.follow(job_id, attempt, record, None)

    async def resume(self, job_id: int, force: bool = False) -> None:
        """Queue a failed or cancelled job for another attempt; one that waits or runs is left be. Raises JobError.

        With `force` it starts whatever the forecast says, one that waits already too, now and in later attempts.
        """
        state = self._store.get(job_id).state
        if state == FINISHED:
            raise JobError(f"Job {job_id} has finished", "There is nothing left to do.", "ended_already")
        if state == CANCELLING:
            raise JobError(f"Job {job_id} is still being cancelled", "Try again when it has ended.", "cancelling")
        if force:
            await self._store.force(job_id)
        await self._store.requeue(job_id)
        self.wake()

    async def cancel(self, job_id: int) -> None:
        """At once while it waits, through its worker while it runs; twice is as good as once. Raises JobError."""
        now = time.time()
        if await self._store.append(job_id, [e.Cancelled(time=now)], only_in=QUEUED):
            self.wake()  # the next one need not wait for the one that waited
            return
        if await self._store.append(job_id, [e.CancelRequested(time=now)], only_in=RUNNING):
            return
        state = self._store.get(job_id).state
        if state not in (CANCELLING, CANCELLED):
            raise JobError(f"Job {job_id} has {state} already", "There is nothing left to cancel.", "ended_already")
