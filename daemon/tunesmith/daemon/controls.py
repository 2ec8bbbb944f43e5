"""What a person may ask of a job: to go on, to pause, to stop and keep, to be cancelled, to come first, to be removed.

Each does what it says or raises JobError, and asking twice is as good as once.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from tunesmith.daemon.api import events as e
from tunesmith.daemon.api.view import CANCELLED, CANCELLING, FINISHED, INTERRUPTED, PAUSED, PAUSING, QUEUED, RUNNING
from tunesmith.daemon.store import Store
from tunesmith.recipes.errors import JobError


class Controls:
    """`wake` tells the queue that it has changed."""

    def __init__(self, store: Store, wake: Callable[[], None]) -> None:
        self._store = store
        self._wake = wake

    async def resume(self, job_id: int, force: bool = False) -> None:
        """Queue a job that rests for another attempt; one that waits or runs is left be.

        With `force` it starts whatever the forecast says, one that waits already too, now and in later attempts.
        """
        state = self._store.get(job_id).state
        if state == FINISHED:
            hint = f"There is nothing left to do; `tunesmith jobs retry {job_id}` runs it again from the start."
            raise JobError(f"Job {job_id} has finished", hint, "ended_already")
        if state in (CANCELLING, PAUSING):
            what = "cancelled" if state == CANCELLING else "paused"
            raise JobError(f"Job {job_id} is still being {what}", "Try again when it has ended.", state)
        if force:
            await self._store.force(job_id)
        await self._store.requeue(job_id)
        self._wake()

    async def pause(self, job_id: int) -> None:
        """At once while it waits; a running one saves a checkpoint and leaves."""
        now = time.time()
        if await self._store.append(job_id, [e.Paused(time=now)], only_in=QUEUED):
            self._wake()  # the next one need not wait for the one that waited
            return
        if await self._store.append(job_id, [e.PauseRequested(time=now)], only_in=RUNNING):
            return
        state = self._store.get(job_id).state
        if state in (QUEUED, RUNNING):  # it changed between the two looks
            await self.pause(job_id)
            return
        if state not in (PAUSING, PAUSED):
            raise JobError(f"Job {job_id} is {state}", "Only one that waits or runs can be paused.", "ended_already")

    async def finish(self, job_id: int) -> None:
        """Stop and keep: training ends after this step, or the first one after its checkpoint; the rest goes on."""
        view = self._store.get(job_id)
        if view.finishing and not view.ended_already:
            return
        told = [e.FinishRequested(time=time.time())]
        if await self._store.append(job_id, told, only_in=RUNNING):
            return
        if view.state == QUEUED and view.checkpoint is not None:
            if await self._store.append(job_id, told, only_in=QUEUED):
                return
            view = self._store.get(job_id)
        if view.state == FINISHED:
            return
        hint = "Let it run until it has learned something, then stop and keep that."
        if view.ended_already and view.checkpoint is not None:
            hint = f"Go on with `tunesmith resume {job_id}`, then stop and keep."
        raise JobError(f"Job {job_id} is {view.state}: it has nothing to keep now", hint, "nothing_to_keep")

    async def cancel(self, job_id: int) -> None:
        """At once while it waits or rests unfinished, through its worker while it runs."""
        now = time.time()
        for state in (QUEUED, PAUSED, INTERRUPTED):
            if await self._store.append(job_id, [e.Cancelled(time=now)], only_in=state):
                self._wake()
                return
        for state in (RUNNING, PAUSING):
            if await self._store.append(job_id, [e.CancelRequested(time=now)], only_in=state):
                return
        state = self._store.get(job_id).state
        if state in (QUEUED, PAUSED, INTERRUPTED, RUNNING, PAUSING):  # it changed between two of these looks
            await self.cancel(job_id)
            return
        if state not in (CANCELLING, CANCELLED):
            raise JobError(f"Job {job_id} has {state} already", "There is nothing left to cancel.", "ended_already")

    async def move(self, job_id: int, before: int | None) -> None:
        """Let a job that waits start before another that waits, or first of all."""
        await self._store.move(job_id, before)
        self._wake()

    async def remove(self, job_id: int) -> None:
        """A job that rests, with all its files; its number and key are not used again."""
        await self._store.remove(job_id)
