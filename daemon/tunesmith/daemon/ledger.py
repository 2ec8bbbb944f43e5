"""Brings what a worker wrote into the store, with what the daemon adds: a second chance, or how it ended.

The outcome of an attempt comes from the last word in its journal; only where there is none from how the process ended.
"""

from __future__ import annotations

import asyncio
import logging
import shutil
import signal
import time
from pathlib import Path

import msgspec

from tunesmith.daemon import ballast, crash_points, interruption, journal, out_of_memory
from tunesmith.daemon.admission import Look
from tunesmith.daemon.api import events as e
from tunesmith.daemon.api.view import AT_WORK, CANCELLING, PAUSING, RUNNING
from tunesmith.daemon.interruption import running_stage
from tunesmith.daemon.recovery import WorkerRecord, boot
from tunesmith.daemon.store import Store
from tunesmith.recipes.errors import DaemonError, JobError, MachineError

RETRY_S = 1.0
DISK_FULL_BYTES = ballast.SIZE_BYTES  # that may have been freed a moment ago
log = logging.getLogger("tunesmith.ledger")


class Ledger:
    def __init__(self, store: Store, machine: Look) -> None:
        self._store = store
        self._machine = machine

    async def drain(self, job_id: int, attempt: int) -> bool:
        """Store what is new in the journal; False when there was nothing, or nobody listens to this attempt any more.

        Waits out what ails the disk.
        """
        while True:
            offset = self._store.offset(job_id, attempt)
            if offset is None:
                return False
            path = journal.path(self._store.home.job(job_id), attempt)
            try:
                piece = await asyncio.to_thread(journal.read, path, offset)
                break
            except JobError as error:
                failed = e.Failed(time=time.time(), code=error.code, message=error.message, hint=error.hint)
                return bool(await self.append(job_id, failed, epoch=attempt))
            except OSError as error:
                log.error("job %d: its journal cannot be read yet: %s", job_id, error)
                await asyncio.sleep(RETRY_S)
        if piece.offset == offset:
            return False
        await self.write(job_id, attempt, piece.events, piece.offset)
        crash_points.reach("supervisor.drained")
        return True

    async def drain_all(self, job_id: int, attempt: int) -> None:
        while await self.drain(job_id, attempt):
            pass

    async def write(self, job_id: int, attempt: int, events: tuple[e.Event, ...], offset: int | None = None) -> None:
        """Store `events`; of a run that memory ran out of its second chance too, in the same commit."""
        answered = events
        if any(isinstance(event, e.Failed) and event.code == out_of_memory.CODE for event in events):
            home, view = self._store.home, self._store.get(job_id)
            try:
                answered = await asyncio.to_thread(out_of_memory.answered, home, view, events, self._machine)
            except Exception:  # a model folder that the arithmetic trips over: what the worker said is kept
                log.exception("job %d: nothing can be said about its memory", job_id)
        again = any(isinstance(event, e.Queued) for event in answered)
        if again and await self.append(job_id, *answered, offset=offset, only_in=RUNNING, epoch=attempt):
            return
        # again: cancelled meanwhile
        await self.append(job_id, *(events if again else answered), offset=offset, epoch=attempt)

    async def append(
        self,
        job_id: int,
        *events: e.Event,
        offset: int | None = None,
        only_in: str | None = None,
        epoch: int | None = None,
    ) -> list[e.Event]:
        """The journal keeps the truth meanwhile, so a full or failing disk only makes this late."""
        while True:
            try:
                return await self._store.append(job_id, events, offset, only_in, epoch)
            except (MachineError, DaemonError) as error:
                log.error("job %d: events not stored yet: %s", job_id, error)
                await asyncio.sleep(RETRY_S)

    async def conclude(self, job_id: int, attempt: int, record: WorkerRecord, returncode: int | None) -> None:
        """The worker is gone and its journal stored. `returncode` None: of one that another daemon started."""
        while self._at_work(job_id, attempt):
            if await self._as_asked(job_id):
                continue
            how = _how_it_ended(returncode) if returncode is not None else "ended"
            failed = e.Failed(
                time=time.time(),
                code="worker_died",
                message=f"The worker process {how} without a last word",
                hint=f"Look at `tunesmith jobs logs {job_id}`, then go on with `tunesmith resume {job_id}`.",
                stage=running_stage(self._store.get(job_id)),
            )
            if not await self._out_of_memory(job_id, attempt, failed, record, returncode):
                failed = _for_lack_of_disk(failed, self._store.home.root)
                await self.append(job_id, failed, only_in=RUNNING)
        crash_points.reach("supervisor.concluded")

    async def interrupted(self, job_id: int, attempt: int, record: WorkerRecord | None) -> None:
        """A worker that ended while no daemon was there: store its last words; without them the run goes on."""
        await self.drain_all(job_id, attempt)
        while self._at_work(job_id, attempt):
            if await self._as_asked(job_id):
                continue
            view = self._store.get(job_id)
            reason = _reason(record)
            if record is not None and reason == "worker_gone":
                hint = f"Go on with `tunesmith resume {job_id}`."
                failed = e.Failed(time=time.time(), code="", message="", hint=hint, stage=running_stage(view))
                if await self._out_of_memory(job_id, attempt, failed, record, None):
                    continue
            await self.append(job_id, *interruption.answer(view, reason), only_in=RUNNING)
            crash_points.reach("supervisor.interrupted")

    def _at_work(self, job_id: int, attempt: int) -> bool:
        view = self._store.get(job_id)
        return view.state in AT_WORK and view.attempt == attempt

    async def _as_asked(self, job_id: int) -> bool:
        """Whether the worker ended because a person wanted it to."""
        state = self._store.get(job_id).state
        if state == CANCELLING:
            await self.append(job_id, e.Cancelled(time=time.time()), only_in=CANCELLING)
        elif state == PAUSING:
            await self.append(job_id, e.Paused(time=time.time()), only_in=PAUSING)
        return state != RUNNING

    async def _out_of_memory(
        self, job_id: int, attempt: int, failed: e.Failed, record: WorkerRecord, returncode: int | None
    ) -> bool:
        """Whether a worker without a last word was ended for memory, which has an answer of its own."""
        kills = self._machine.memory_kills()
        if not out_of_memory.killed(record, returncode, failed.stage, kills):
            return False
        text = "The system ended the worker process: there was not enough memory"
        await self.write(job_id, attempt, (msgspec.structs.replace(failed, code=out_of_memory.CODE, message=text),))
        return True


def _for_lack_of_disk(failed: e.Failed, root: Path) -> e.Failed:
    """A worker on a full disk cannot even say so: its journal lies there."""
    if shutil.disk_usage(root).free >= DISK_FULL_BYTES:
        return failed
    hint = f"Free some space; {failed.hint[0].lower()}{failed.hint[1:]}"
    return msgspec.structs.replace(failed, code="disk_full", message=f"{failed.message}: the disk is full", hint=hint)


def _reason(record: WorkerRecord | None) -> str:
    if record is None:
        return "never_began"
    return "worker_gone" if record.boot == boot() else "reboot"


def _how_it_ended(returncode: int) -> str:
    if returncode >= 0:
        return f"ended with exit code {returncode}"
    name = signal.Signals(-returncode).name
    return "was killed (SIGKILL; out of memory?)" if name == "SIGKILL" else f"was ended by {name}"
