"""The queue: one training job at a time, lowest place first, when it fits; after a restart, first what still runs."""

from __future__ import annotations

import asyncio
import contextlib
import logging

from tunesmith.daemon.admission import Admission
from tunesmith.daemon.api.view import QUEUED
from tunesmith.daemon.restart import Restart
from tunesmith.daemon.store import Store
from tunesmith.daemon.supervisor import Supervisor
from tunesmith.recipes.errors import DaemonError, JobError, MachineError

RETRY_S = 5.0
log = logging.getLogger("tunesmith.scheduler")


class Scheduler:
    def __init__(
        self, store: Store, supervisor: Supervisor, admission: Admission, restart: Restart, retry_s: float
    ) -> None:
        self._store = store
        self._supervisor = supervisor
        self._admission = admission
        self._restart = restart
        self._retry_s = retry_s
        self._wake = asyncio.Event()

    def wake(self) -> None:
        """Something about the queue has changed."""
        self._wake.set()

    async def run(self) -> None:
        """For ever. Two jobs are followed at once only if two workers outlived the last daemon."""
        async with asyncio.TaskGroup() as group:
            for one in await self._restart.settle():
                group.create_task(self._supervisor.follow(one.job_id, one.attempt, one.record, None))
        while True:
            self._wake.clear()
            waiting = self._store.queue()
            if not waiting:
                await self._wake.wait()
                continue
            first = waiting[0].id
            try:
                weighed = await self._admission.weigh(first)
                if weighed.start:
                    if self._is_next(first):  # else it was moved or stopped while it was weighed
                        await self._supervisor.run(first, weighed.events)
                elif self._is_next(first):  # those behind it wait too
                    await self._pause(self._retry_s)
            except (MachineError, DaemonError, JobError, OSError) as error:
                # Before its worker was let go, or it would be running: a full disk, say. It stays in the queue.
                log.error("job %d cannot start yet: %s", first, error)
                await self._pause(RETRY_S)

    def _is_next(self, job_id: int) -> bool:
        waiting = self._store.queue()
        return bool(waiting) and waiting[0].id == job_id and waiting[0].state == QUEUED

    async def _pause(self, seconds: float) -> None:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._wake.wait(), seconds)
