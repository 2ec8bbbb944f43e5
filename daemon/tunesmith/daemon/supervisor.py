"""Starts a worker process for a job, follows its journal to the end, and ends it when it must."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from tunesmith.daemon import cgroup, crash_points, journal, out_of_memory, recovery, worker_log
from tunesmith.daemon.admission import Look
from tunesmith.daemon.api import events as e
from tunesmith.daemon.api.view import CANCELLING, PAUSING, QUEUED, RUNNING, JobView
from tunesmith.daemon.lease import Lease
from tunesmith.daemon.ledger import Ledger
from tunesmith.daemon.limits import Limits, take_off
from tunesmith.daemon.publish import write_whole
from tunesmith.daemon.recovery import WorkerRecord, kill_group, lives, record_of
from tunesmith.daemon.settings import Settings
from tunesmith.daemon.store import Store

POLL_S = 0.1  # a person sees a step at once; looking costs one stat
COMMIT_EVERY_S = 0.2  # FULL commits cost several milliseconds of disk each; training wants that disk
TELL_EVERY_S = 1.0  # a worker that is still loading its libraries does not hear yet that it is to stop and keep
# Waits for a line before it becomes the worker: a daemon that dies before it has written down whom it started
# leaves no worker behind (the pipe closes, `read` fails). USR1 would end a worker that does not listen yet.
# No core files: one would be as large as the memory of a training.
GATE = "trap '' USR1; ulimit -c 0; read -r go || exit 0; exec \"$@\" </dev/null"
EPOCH = "epoch"  # a file in the job's folder with the number of its newest attempt
log = logging.getLogger("tunesmith.supervisor")


class Supervisor:
    """Workers are started from the thread of the event loop, which lives as long as the daemon."""

    def __init__(self, store: Store, settings: Settings, machine: Look) -> None:
        self._store = store
        self._settings = settings
        self._machine = machine
        self._limits = Limits(settings.worker_nice, cgroup.handed_to_us())
        self.ledger = Ledger(store, machine)

    async def run(self, job_id: int, events: Sequence[e.Event] = ()) -> None:
        """Start a worker for a queued job, write `events` of its start, and return when it is over."""
        folder = self._store.home.job(job_id)
        if not folder.is_dir():
            await self._store.append(job_id, [_failed("folder_missing", f"The folder of the run is gone: {folder}")])
            return
        attempt = await self._store.reserve_attempt(job_id)
        crash_points.reach("supervisor.reserved")
        await self._outlive(recovery.records(folder, attempt))
        write_whole(folder / EPOCH, f"{attempt}\n".encode())  # workers of older attempts publish nothing from here on
        out_of_memory.write_spec(self._store.home, self._store.get(job_id))
        journal.begin(journal.path(folder, attempt))
        try:
            process = self._spawn(folder, attempt)
        except OSError as error:
            await self._store.append(job_id, [_failed("worker_start", f"No worker process could be started: {error}")])
            return
        crash_points.reach("supervisor.spawned")
        assert process.stdin is not None
        with process.stdin as gate:
            group = self._limits.put_on(process.pid, f"{job_id}-{attempt}")
            record = record_of(process.pid, self._machine.memory_kills(), str(folder), group)
            write_whole(folder / f"worker-{attempt}.json", record.encode())
            crash_points.reach("supervisor.recorded")
            started = e.Started(time=time.time(), attempt=attempt, pid=process.pid)
            # Else it was cancelled or paused while we were at it.
            if await self._store.append(job_id, [started, *events], only_in=QUEUED):
                crash_points.reach("supervisor.started")
                with contextlib.suppress(BrokenPipeError):  # died already: follow() says so
                    gate.write(b"go\n")
                    gate.flush()
        crash_points.reach("supervisor.let_go")
        log.info("job %d: worker %d, attempt %d", job_id, process.pid, attempt)
        await self.follow(job_id, attempt, record, process)

    def _spawn(self, folder: Path, attempt: int) -> subprocess.Popen[bytes]:
        """In a session and process group of its own, at the gate. Raises OSError."""
        command = [sys.executable, "-m", self._settings.worker_module, str(folder), str(attempt)]
        with (folder / f"worker-{attempt}.log").open("ab") as output:
            return subprocess.Popen(
                ["/bin/sh", "-c", GATE, "worker", *command],
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=subprocess.STDOUT,
                cwd=folder,
                env=os.environ | {recovery.MARK: str(folder)},
                start_new_session=True,
            )

    async def follow(
        self, job_id: int, attempt: int, record: WorkerRecord, process: subprocess.Popen[bytes] | None
    ) -> None:
        """Until the worker is gone, its journal stored and its outcome written. `process` None: adopted."""
        ending = _Ending(record, self._settings)
        lease = Lease(record, self._settings.lease_s)
        committed = 0.0
        said = self._store.home.job(job_id) / f"worker-{attempt}.log"
        while lives(record):
            if worker_log.too_large(said):
                await asyncio.to_thread(worker_log.trim, said)
            if time.monotonic() - committed >= COMMIT_EVERY_S and await self.ledger.drain(job_id, attempt):
                committed = time.monotonic()
            view = self._store.get(job_id)
            ending.see(view, attempt)
            if told := lease.look(self._store.offset(job_id, attempt) or 0):
                await self.ledger.append(job_id, *told, epoch=attempt)
            await asyncio.sleep(POLL_S)
        ending.over()
        kill_group(record)  # converters and loaders it left behind
        if process is not None:
            process.wait()
        await self.ledger.drain_all(job_id, attempt)
        worker_log.trim(said)  # what it printed at the very end
        await self.ledger.conclude(job_id, attempt, record, None if process is None else process.returncode)
        await take_off(record.cgroup)

    async def end(self, record: WorkerRecord) -> None:
        """A worker whose job nobody follows any more: a grace to go by itself, then KILL to everything it started."""
        await self._outlive([record])
        kill_group(record)

    async def _outlive(self, records: Sequence[WorkerRecord]) -> None:
        """Until the workers of attempts before are gone: a daemon that died may have queued their job again."""
        until = time.monotonic() + self._settings.cancel_grace_s
        while any(lives(record) for record in records):
            if time.monotonic() > until:
                for record in records:
                    kill_group(record)
            await asyncio.sleep(POLL_S)


class _Ending:
    """Tells a worker what is asked of its job: to stop and keep, or to end; and ends it when it takes too long."""

    def __init__(self, record: WorkerRecord, settings: Settings) -> None:
        self._record = record
        self._settings = settings
        self._state = RUNNING
        self._task: asyncio.Task[None] | None = None
        self._told = float("-inf")

    def see(self, view: JobView, attempt: int) -> None:
        state = view.state if view.attempt == attempt else QUEUED
        if state == RUNNING:
            if view.finishing and time.monotonic() - self._told >= TELL_EVERY_S:
                self._told = time.monotonic()
                recovery.tell(self._record, signal.SIGUSR1)
        elif state != self._state:
            self.over()
            politely = state in (CANCELLING, PAUSING)
            grace = self._settings.pause_grace_s if state == PAUSING else self._settings.cancel_grace_s
            self._task = asyncio.create_task(self._end(politely, grace))
        self._state = state

    def over(self) -> None:
        if self._task is not None:
            self._task.cancel()

    async def _end(self, politely: bool, grace_s: float) -> None:
        """TERM (when it has not said its last word), a grace, then KILL to everything it started."""
        if politely:
            recovery.tell(self._record, signal.SIGTERM)
            recovery.tell_group(self._record, signal.SIGCONT)  # one that was stopped hears of it only then
        await asyncio.sleep(grace_s)
        if lives(self._record):
            log.warning("worker %d did not end in %g s; killed", self._record.pid, grace_s)
            kill_group(self._record)


def _failed(code: str, message: str) -> e.Failed:
    hint = "Look at free memory, free disk and the limit on processes, then run it again."
    return e.Failed(time=time.time(), code=code, message=message, hint=hint)
