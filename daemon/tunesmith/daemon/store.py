"""The jobs and their events in SQLite; one connection, in one thread, and no reply before its commit."""

from __future__ import annotations

import asyncio
import logging
import shutil
import sqlite3
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TypeVar

import msgspec

from tunesmith.daemon import migrations, states, submitted
from tunesmith.daemon.api import events as e
from tunesmith.daemon.api.home import Home, private_folder
from tunesmith.daemon.api.view import QUEUED, JobView, fold
from tunesmith.daemon.publish import write_whole
from tunesmith.daemon.submitted import Submitted
from tunesmith.recipes.errors import DaemonError, JobError, MachineError
from tunesmith.recipes.spec import JobSpec, to_yaml

QUEUE_LIMIT = 200  # jobs waiting: days of work already; more is a runaway script
RECENT = 500  # events of a living job kept at hand for those who follow it, about 100 kB
log = logging.getLogger("tunesmith.store")
Result = TypeVar("Result")


class Store:
    """Views of living jobs are kept whole in memory, those of ended ones without their curves."""

    def __init__(self, home: Home) -> None:
        self.home = home
        self._loop = asyncio.get_running_loop()
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="store")
        self._views: dict[int, JobView] = {}
        self._keys: dict[str, int] = {}
        self._offsets: dict[int, int] = {}
        self._recent: dict[int, list[tuple[int, bytes]]] = {}
        self._grown: dict[int, asyncio.Event] = {}

    @classmethod
    async def open(cls, home: Home) -> Store:
        """Raises DaemonError when the database is damaged or newer than this program."""
        store = cls(home)
        try:
            await store._run(store._open)
        except sqlite3.DatabaseError as error:
            raise DaemonError(
                f"The database {home.database} cannot be opened: {error}",
                "Move it aside (the jobs' folders stay), then start again.",
            ) from error
        return store

    async def close(self) -> None:
        await self._run(self._connection.close)
        self._thread.shutdown()

    # What is known

    def jobs(self) -> list[JobView]:
        """Newest first, without loss curves (a list of a thousand runs would be tens of megabytes)."""
        return [_short(self._views[job_id]) for job_id in sorted(self._views, reverse=True)]

    def living(self) -> list[JobView]:
        """Those not ended, oldest first."""
        return [self._views[job_id] for job_id in sorted(self._views) if not self._views[job_id].ended_already]

    def get(self, job_id: int) -> JobView:
        """Without the curves once the job has ended. Raises JobError (code unknown_job)."""
        if job_id not in self._views:
            raise JobError(f"There is no job {job_id}", "See them with `tunesmith jobs list`.", "unknown_job")
        return self._views[job_id]

    def known(self, key: str) -> int | None:
        """The job that was submitted under `key`."""
        return self._keys.get(key)

    async def view(self, job_id: int) -> JobView:
        """The whole view. Raises JobError (code unknown_job)."""
        view = self.get(job_id)
        return await self._run(self._read_view, job_id) if view.ended_already else view

    async def events(self, job_id: int, after: int, limit: int = 500) -> list[tuple[int, bytes]]:
        """Numbers and JSON of the events above `after`, in order."""
        recent = self._recent.get(job_id)
        if recent and recent[0][0] <= after + 1:  # a thousand followers do not each ask the disk
            return recent[after + 1 - recent[0][0] :][:limit]
        return await self._run(
            lambda: self._connection.execute(
                "SELECT number, body FROM events WHERE job = ? AND number > ? ORDER BY number LIMIT ?",
                (job_id, after, limit),
            ).fetchall()
        )

    async def wait_beyond(self, job_id: int, number: int, seconds: float) -> bool:
        """Whether the job's last number got above `number` within `seconds`."""
        try:
            async with asyncio.timeout(seconds):
                while self.get(job_id).last_event <= number:
                    await self._grown.setdefault(job_id, asyncio.Event()).wait()
        except TimeoutError:
            return False
        return True

    def offset(self, job_id: int) -> int:
        """How many bytes of the journal of the present attempt are in the database."""
        return self._offsets.get(job_id, 0)

    # What changes it

    async def add(self, key: str, spec: JobSpec, said: Submitted) -> tuple[JobView, bool]:
        """The new job, its folder written, and True; or the job that has `key` already, and False."""
        return await self._run(self._add, key, spec, said)

    async def append(
        self, job_id: int, events: Iterable[e.Event], offset: int | None = None, only_in: str | None = None
    ) -> list[e.Event]:
        """Number and commit `events` together with the journal's offset; gives those that were written.

        Dropped are those that may not follow, and all of them in another state than `only_in`.
        """
        return await self._run(self._append, job_id, tuple(events), offset, only_in)

    async def requeue(self, job_id: int) -> None:
        """Put a failed or cancelled job into the queue again. Raises JobError (code queue_full)."""
        await self._run(self._requeue, job_id)

    async def force(self, job_id: int) -> None:
        """From now on the job starts whatever its forecast says. Raises OSError."""
        folder = self.home.job(job_id)
        said = msgspec.structs.replace(submitted.read(folder), force=True)
        await self._run(submitted.write, folder, said)

    async def reserve_attempt(self, job_id: int) -> int:
        """The number of the next attempt, never given twice."""
        return await self._run(self._reserve, job_id)

    # In the store's thread

    async def _run(self, function: Callable[..., Result], *arguments: object) -> Result:
        return await self._loop.run_in_executor(self._thread, lambda: function(*arguments))

    def _open(self) -> None:
        self._connection = sqlite3.connect(self.home.database, isolation_level=None)
        # FULL: with NORMAL a power cut takes acknowledged jobs along.
        for pragma in ("journal_mode = WAL", "synchronous = FULL", "foreign_keys = ON", "busy_timeout = 2000"):
            self._connection.execute(f"PRAGMA {pragma}")
        migrations.apply(self._connection, self.home.database)
        for job_id, key, offset in self._connection.execute("SELECT id, key, journal_offset FROM jobs").fetchall():
            self._keys[key] = job_id
            self._offsets[job_id] = offset
            view = self._read_view(job_id)
            self._views[job_id] = _short(view) if view.ended_already else view

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        """Commit at the end, or nothing at all. Raises MachineError when the disk is full."""
        try:
            self._connection.execute("BEGIN IMMEDIATE")
            yield
            self._connection.execute("COMMIT")
        except BaseException as error:
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
            full = isinstance(error, sqlite3.OperationalError) and "full" in str(error)
            if full or (isinstance(error, OSError) and error.errno == 28):
                raise MachineError(
                    f"The disk of {self.home.root} is full", "Free some space, then try again.", "disk_full"
                ) from error
            raise

    def _one(self, query: str, *values: object) -> int:
        return int(self._connection.execute(query, values).fetchone()[0])

    def _read_view(self, job_id: int) -> JobView:
        name, kept = self._connection.execute("SELECT name, view FROM jobs WHERE id = ?", (job_id,)).fetchone()
        if kept is not None:
            try:
                return msgspec.json.decode(kept, type=JobView)
            except msgspec.ValidationError:
                log.info("job %d: its kept view is of another version; folding its events again", job_id)
        view = JobView(job_id, name, folder=str(self.home.job(job_id)))
        query = "SELECT number, body FROM events WHERE job = ? ORDER BY number"
        for number, body in self._connection.execute(query, (job_id,)):
            view = fold(view, e.Numbered(number, e.decode(body)))
        return view

    def _add(self, key: str, spec: JobSpec, said: Submitted) -> tuple[JobView, bool]:
        if key in self._keys:
            return self._views[self._keys[key]], False
        self._refuse_full_queue()
        queued = e.Queued(time=time.time())
        job_id = self._next_id()
        folder = private_folder(self.home.job(job_id))
        try:
            with self._transaction():
                write_whole(folder / "spec.json", msgspec.json.format(msgspec.json.encode(spec)))
                write_whole(folder / "recipe.yaml", to_yaml(spec).encode())
                submitted.write(folder, said)
                self._connection.execute(
                    "INSERT INTO jobs (id, key, name, state, created) VALUES (?, ?, ?, ?, ?)",
                    (job_id, key, spec.name, QUEUED, queued.time),
                )
                self._connection.execute("INSERT INTO events VALUES (?, 1, ?)", (job_id, e.encode(queued)))
        except BaseException:
            shutil.rmtree(folder, ignore_errors=True)  # made a moment ago, by us
            raise
        view = fold(JobView(job_id, spec.name, folder=str(folder)), e.Numbered(1, queued))
        self._keys[key] = job_id
        self._publish(view)
        return view, True

    def _requeue(self, job_id: int) -> None:
        ended = self._views[job_id]
        if not states.may_follow(ended.state, queued := e.Queued(time=time.time())):
            return
        self._refuse_full_queue()
        self._views[job_id] = self._read_view(job_id)  # whole: a living job's curves are in memory
        try:
            self._append(job_id, (queued,), None, None)
        except BaseException:
            self._views[job_id] = ended
            raise

    def _refuse_full_queue(self) -> None:
        if sum(view.state == QUEUED for view in self._views.values()) >= QUEUE_LIMIT:
            raise JobError(f"{QUEUE_LIMIT} jobs are waiting already", "Wait, or cancel some.", "queue_full")

    def _next_id(self) -> int:
        """Above every folder too: an older database's artifacts are never written over."""
        folders = [int(path.name) for path in self.home.job(0).parent.glob("*") if path.name.isdecimal()]
        return max(self._one("SELECT COALESCE(MAX(id), 0) FROM jobs"), *folders, 0) + 1

    def _append(
        self, job_id: int, events: tuple[e.Event, ...], offset: int | None, only_in: str | None
    ) -> list[e.Event]:
        view = self.get(job_id)
        if only_in is not None and view.state != only_in:
            return []
        kept: list[e.Numbered] = []
        for event in events:
            if not states.may_follow(view.state, event):
                log.warning("job %d: %s dropped, it is %s", job_id, type(event).__name__, view.state)
                continue
            kept.append(e.Numbered(view.last_event + 1, event))
            view = fold(view, kept[-1])
        if not kept and offset is None:
            return []
        with self._transaction():
            self._connection.executemany(
                "INSERT INTO events VALUES (?, ?, ?)", [(job_id, one.number, e.encode(one.event)) for one in kept]
            )
            self._connection.execute(
                "UPDATE jobs SET state = ?, journal_offset = COALESCE(?, journal_offset), view = ? WHERE id = ?",
                (view.state, offset, msgspec.json.encode(view) if view.ended_already else None, job_id),
            )
        if offset is not None:
            self._offsets[job_id] = offset
        if kept:
            rows = [(one.number, e.encode(one.event)) for one in kept]
            self._recent[job_id] = [*self._recent.get(job_id, ()), *rows][-RECENT:]
            self._publish(view)
        return [one.event for one in kept]

    def _reserve(self, job_id: int) -> int:
        with self._transaction():
            self._connection.execute(
                "UPDATE jobs SET attempt = attempt + 1, journal_offset = 0 WHERE id = ?", (job_id,)
            )
        self._offsets[job_id] = 0
        return self._one("SELECT attempt FROM jobs WHERE id = ?", job_id)

    def _publish(self, view: JobView) -> None:
        self._views[view.id] = _short(view) if view.ended_already else view
        if view.ended_already:
            self._recent.pop(view.id, None)
        # From this thread and not after an await: a caller that went away must not leave others asleep.
        self._loop.call_soon_threadsafe(self._wake, view.id)

    def _wake(self, job_id: int) -> None:
        if waiting := self._grown.pop(job_id, None):
            waiting.set()


def _short(view: JobView) -> JobView:
    return msgspec.structs.replace(view, losses=(), learning_rates=())
