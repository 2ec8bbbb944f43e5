"""Starts a worker process for a job, follows its journal to the end, and ends it when it must."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import msgspec

from tunesmith.daemon import journal, out_of_memory
from tunesmith.daemon.admission import Look
from tunesmith.daemon.api import events as e
from tunesmith.daemon.api.view import CANCELLING, QUEUED, RUNNING
from tunesmith.daemon.publish import write_whole
from tunesmith.daemon.recovery import WorkerRecord, boot, kill_group, lives, load, record_of
from tunesmith.daemon.settings import Settings
from tunesmith.daemon.store import Store
from tunesmith.recipes.errors import MachineError

POLL_S = 0.1  # a person sees a step at once; looking costs one stat
COMMIT_EVERY_S = 0.2  # FULL commits cost several milliseconds of disk each; training wants that disk
RETRY_S = 1.0
# Waits for a line before it becomes the worker: a daemon that dies before it has written down whom it started
# leaves no worker behind (the pipe closes, `read` fails).
GATE = 'read -r go || exit 0; exec "$@" </dev/null'
log = logging.getLogger("tunesmith.supervisor")


class Supervisor:
    def __init__(self, store: Store, settings: Settings, machine: Look) -> None:
        self._store = store
        self._settings = settings
        self._machine = machine

    async def run(self, job_id: int, events: Sequence[e.Event] = ()) -> None:
        """Start a worker for a queued job, write `events` of its start, and return when it is over."""
        attempt = await self._store.reserve_attempt(job_id)
        folder = self._store.home.job(job_id)
        await self._outlive(load(folder / f"worker-{attempt - 1}.json"))
        out_of_memory.write_spec(self._store.home, self._store.get(job_id))
        command = [sys.executable, "-m", self._settings.worker_module, str(folder), str(attempt)]
        try:
            with (folder / f"worker-{attempt}.log").open("ab") as output:
                process = subprocess.Popen(
                    ["/bin/sh", "-c", GATE, "worker", *command],
                    stdin=subprocess.PIPE,
                    stdout=output,
                    stderr=subprocess.STDOUT,
                    cwd=folder,
                    start_new_session=True,
                )
        except OSError as error:
            failed = e.Failed(
                time=time.time(),
                code="worker_start",
                message=f"No worker process could be started: {error}",
                hint="Look at free memory, free disk and the limit on processes, then run it again.",
            )
            await self._store.append(job_id, [failed])
            return
        assert process.stdin is not None
        with process.stdin as gate:
            record = record_of(process.pid, self._machine.memory_kills())
            write_whole(folder / f"worker-{attempt}.json", record.encode())
            started = e.Started(time=time.time(), attempt=attempt, pid=process.pid)
            # Else it was cancelled while we were at it.
            if await self._store.append(job_id, [started, *events], only_in=QUEUED):
                with contextlib.suppress(BrokenPipeError):  # died already: follow() says so
                    gate.write(b"go\n")
                    gate.flush()
        log.info("job %d: worker %d, attempt %d", job_id, process.pid, attempt)
        await self.follow(job_id, attempt, record, process)

    async def follow(
        self, job_id: int, attempt: int, record: WorkerRecord, process: subprocess.Popen[bytes] | None
    ) -> None:
        """Until the worker is gone, its journal stored and a terminal event written. `process` None: adopted."""
        folder = self._store.home.job(job_id)
        path = folder / f"journal-{attempt}.jsonl"
        ending: asyncio.Task[None] | None = None
        committed = 0.0
        while lives(record):
            if time.monotonic() - committed >= COMMIT_EVERY_S and await self._drain(job_id, path):
                committed = time.monotonic()
            state = self._store.get(job_id).state
            if ending is None and state != RUNNING:
                ending = asyncio.create_task(self._end(record, politely=state == CANCELLING))
            await asyncio.sleep(POLL_S)
        if ending is not None:
            ending.cancel()
        kill_group(record)  # converters and loaders it left behind
        if process is not None:
            process.wait()
        while await self._drain(job_id, path):
            pass
        await self._conclude(job_id, attempt, record, process)

    async def _end(self, record: WorkerRecord, politely: bool) -> None:
        """TERM (when it has not said its last word), a grace, then KILL to everything it started."""
        if politely and lives(record):
            os.kill(record.pid, signal.SIGTERM)
            with contextlib.suppress(ProcessLookupError):
                os.killpg(record.group, signal.SIGCONT)
        await asyncio.sleep(self._settings.cancel_grace_s)
        if lives(record):
            log.warning("worker %d did not end in %g s; killed", record.pid, self._settings.cancel_grace_s)
            with contextlib.suppress(ProcessLookupError):
                os.killpg(record.group, signal.SIGKILL)

    async def _outlive(self, record: WorkerRecord | None) -> None:
        """Until the worker of the attempt before is gone: a daemon that died may have queued its job again."""
        until = time.monotonic() + self._settings.cancel_grace_s
        while record is not None and lives(record):
            if time.monotonic() > until:
                kill_group(record)
            await asyncio.sleep(POLL_S)

    async def _drain(self, job_id: int, path: Path) -> bool:
        """Store what is new in the journal; False when there was nothing. Waits out what ails the disk."""
        offset = self._store.offset(job_id)
        while True:
            try:
                piece = journal.read(path, offset)
                break
            except OSError as error:
                log.error("job %d: its journal cannot be read yet: %s", job_id, error)
                await asyncio.sleep(RETRY_S)
        if piece.offset == offset:
            return False
        await self._write(job_id, piece.events, piece.offset)
        return True

    async def _write(self, job_id: int, events: tuple[e.Event, ...], offset: int | None = None) -> None:
        """Store `events`; of a run that memory ran out of its second chance too, in the same commit."""
        answered = events
        if any(isinstance(event, e.Failed) and event.code == out_of_memory.CODE for event in events):
            home, view = self._store.home, self._store.get(job_id)
            try:
                answered = await asyncio.to_thread(out_of_memory.answered, home, view, events, self._machine)
            except Exception:  # a model folder that the arithmetic trips over: what the worker said is kept
                log.exception("job %d: nothing can be said about its memory", job_id)
        again = any(isinstance(event, e.Queued) for event in answered)
        if again and await self._append(job_id, *answered, offset=offset, only_in=RUNNING):
            return
        await self._append(job_id, *(events if again else answered), offset=offset)  # again: cancelled meanwhile

    async def _conclude(
        self, job_id: int, attempt: int, record: WorkerRecord, process: subprocess.Popen[bytes] | None
    ) -> None:
        state = self._store.get(job_id).state
        if state == CANCELLING:
            await self._append(job_id, e.Cancelled(time=time.time()))
        elif state == RUNNING:
            how = _how_it_ended(process.returncode) if process is not None else "ended"
            failed = e.Failed(
                time=time.time(),
                code="worker_died",
                message=f"The worker process {how} without a last word",
                hint=f"Look at `tunesmith jobs logs {job_id}`, then go on with `tunesmith resume {job_id}`.",
                stage=_running_stage(self._store, job_id),
            )
            await self._fail(job_id, failed, record, None if process is None else process.returncode)
        elif state == QUEUED:
            log.info("job %d: attempt %d never began, or is followed by another", job_id, attempt)

    async def _fail(self, job_id: int, failed: e.Failed, record: WorkerRecord | None, returncode: int | None) -> None:
        """Of a worker without a last word: memory may have run out, which has an answer of its own."""
        kills = self._machine.memory_kills()
        if record is not None and out_of_memory.killed(record, returncode, failed.stage, kills):
            text = "The system ended the worker process: there was not enough memory"
            failed = msgspec.structs.replace(failed, code=out_of_memory.CODE, message=text)
        await self._write(job_id, (failed,))

    async def _append(
        self, job_id: int, *events: e.Event, offset: int | None = None, only_in: str | None = None
    ) -> list[e.Event]:
        """The journal keeps the truth meanwhile, so a full or failing disk only makes this late."""
        while True:
            try:
                return await self._store.append(job_id, events, offset, only_in)
            except (MachineError, sqlite3.OperationalError) as error:
                log.error("job %d: events not stored yet: %s", job_id, error)
                await asyncio.sleep(RETRY_S)

    async def interrupted(self, job_id: int, attempt: int, record: WorkerRecord | None) -> None:
        """A worker that ended while no daemon was there: store its last words, or say that it had none."""
        path = self._store.home.job(job_id) / f"journal-{attempt}.jsonl"
        while await self._drain(job_id, path):
            pass
        if self._store.get(job_id).state == RUNNING:
            failed = e.Failed(
                time=time.time(),
                code="interrupted",
                message="The run was interrupted: its worker process ended while the daemon was away",
                hint=f"Go on with `tunesmith resume {job_id}`.",
                stage=_running_stage(self._store, job_id),
            )
            same_boot = record is not None and record.boot == boot()  # the system counts from its start on
            await self._fail(job_id, failed, record if same_boot else None, None)
        if self._store.get(job_id).state == CANCELLING:
            await self._append(job_id, e.Cancelled(time=time.time()))


def _running_stage(store: Store, job_id: int) -> str:
    return next((stage.name for stage in store.get(job_id).stages if stage.state == "running"), "")


def _how_it_ended(returncode: int) -> str:
    if returncode >= 0:
        return f"ended with exit code {returncode}"
    name = signal.Signals(-returncode).name
    return "was killed (SIGKILL; out of memory?)" if name == "SIGKILL" else f"was ended by {name}"
