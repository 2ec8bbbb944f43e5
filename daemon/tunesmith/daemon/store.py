"""The jobs and their events in SQLite; one connection, in one thread, and no reply before its commit."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import sqlite3
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TypeVar

import msgspec

from tunesmith.daemon import crash_points, database, job_folder, order, reconcile, rows, states, submitted
from tunesmith.daemon.api import events as e
from tunesmith.daemon.api.home import Home, private_folder
from tunesmith.daemon.api.report import Finding
from tunesmith.daemon.api.view import AT_WORK, QUEUED, RUNNING, JobView, fold
from tunesmith.daemon.ballast import Ballast
from tunesmith.daemon.changed_lines import ChangedLines
from tunesmith.daemon.submitted import Submitted
from tunesmith.recipes.errors import JobError
from tunesmith.recipes.spec import EXPORT, MERGE, TRAIN, JobSpec, stages_of

QUEUE_LIMIT = 200  # jobs waiting: days of work already; more is a runaway script
RECENT = 500  # events of a living job kept at hand for those who follow it, about 100 kB
log = logging.getLogger("tunesmith.store")
Result = TypeVar("Result")


class Store:
    """Views of living jobs are kept whole in memory, those of resting ones without their curves.

    Every method raises MachineError when the disk is full or fails and DaemonError when the database is damaged.
    """

    def __init__(self, home: Home) -> None:
        self.home = home
        self.findings: list[Finding] = []
        self._loop = asyncio.get_running_loop()
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="store")
        self._views: dict[int, JobView] = {}
        self.lines = ChangedLines()
        self._keys: dict[str, int] = {}
        self._attempts: dict[int, int] = {}
        self._offsets: dict[int, int] = {}
        self._removed: dict[int, str] = {}
        self._recent: dict[int, list[tuple[int, bytes]]] = {}
        self._ballast = Ballast(home.ballast)
        self._grown: dict[int, asyncio.Event] = {}

    @classmethod
    async def open(cls, home: Home) -> Store:
        """With `findings` of what a daemon before left half done. Raises DaemonError, MachineError."""
        store = cls(home)
        try:
            await store._run(store._open)
        except sqlite3.Error as error:  # a table that is missing, for one
            found = database.typed(error, home.database)
            raise (database.damaged(home.database, str(error)) if found is error else found) from error
        return store

    async def close(self) -> None:
        await self._run(self._connection.close)
        self._thread.shutdown()

    # What is known

    def jobs(self) -> list[JobView]:
        """Newest first, without loss curves (a list of a thousand runs would be tens of megabytes)."""
        return [_short(self._views[job_id]) for job_id in sorted(self._views, reverse=True)]

    def living(self) -> list[JobView]:
        """Those that wait or are at work, oldest first."""
        return [self._views[job_id] for job_id in sorted(self._views) if not self._views[job_id].ended_already]

    def user_of(self, job_id: int) -> int | None:
        """A living job that takes artifacts of `job_id`; None where there is none."""
        return next((view.id for view in self.living() if job_id in (view.of, *view.beside)), None)

    def related(self, job_id: int) -> list[int]:
        """The job itself, the one whose artifacts it exports or evaluates, and the newest that did so with its own."""
        view = self.get(job_id)
        behind = [] if view.task in (TRAIN, MERGE) or view.of is None else [view.of]
        later = [one.id for one in self.jobs() if one.of == job_id and one.task == EXPORT and one.artifacts]
        return [job_id, *behind, *later]

    def queue(self) -> list[JobView]:
        """Those that wait, the next one first."""
        return order.queue(self._views.values())

    def get(self, job_id: int) -> JobView:
        """Without the curves once the job rests. Raises JobError (code unknown_job)."""
        if job_id not in self._views:
            what = f"Job {job_id} was removed" if job_id in self._removed else f"There is no job {job_id}"
            raise JobError(what, "See them with `tunesmith jobs list`.", "unknown_job")
        return self._views[job_id]

    def known(self, key: str) -> int | None:
        """The job that was submitted under `key`. Raises JobError (code removed) when that was removed since."""
        if key in self._removed.values():
            raise JobError("The job of this submit was removed", "Submit it under another key.", "removed")
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
        return await self._run(lambda: rows.events(self._connection, job_id, after, limit))

    async def wait_beyond(self, job_id: int, number: int, seconds: float) -> bool:
        """Whether the job's last number got above `number` within `seconds`."""
        try:
            async with asyncio.timeout(seconds):
                while self.get(job_id).last_event <= number:
                    await self._grown.setdefault(job_id, asyncio.Event()).wait()
        except TimeoutError:
            return False
        return True

    def offset(self, job_id: int, epoch: int) -> int | None:
        """How many bytes of the journal of attempt `epoch` are in the database; None once a newer one was begun."""
        return self._offsets.get(job_id, 0) if self._attempts.get(job_id) == epoch else None

    # What changes it

    async def add(self, key: str, spec: JobSpec, said: Submitted) -> tuple[JobView, bool]:
        """The new job, its folder written, and True; or the job that has `key` already, and False."""
        return await self._run(self._add, key, spec, said)

    async def append(
        self,
        job_id: int,
        events: Iterable[e.Event],
        offset: int | None = None,
        only_in: str | None = None,
        epoch: int | None = None,
    ) -> list[e.Event]:
        """Number and commit `events` together with the journal's offset; gives those that were written.

        Dropped are those that may not follow, all of them in another state than `only_in`, and the words of a worker
        whose attempt, `epoch`, was followed by a newer one or has ended.
        """
        return await self._run(self._append, job_id, tuple(events), offset, only_in, epoch)

    async def requeue(self, job_id: int) -> None:
        """Put a job that rests into the queue again. Raises JobError (code queue_full)."""
        await self._run(self._requeue, job_id)

    async def move(self, job_id: int, before: int | None) -> None:
        """Let the queued job start before `before`, or first. Raises JobError (code not_queued)."""
        await self._run(self._move, job_id, before)

    async def remove(self, job_id: int) -> None:
        """All of a job that rests: its rows at once, then its folder. Raises JobError (code still_living)."""
        await self._run(self._remove, job_id)
        # Not in the store's thread: a folder of a hundred gigabytes takes seconds. The next daemon does what is left.
        await asyncio.to_thread(_discard, self.home, job_id)

    async def force(self, job_id: int) -> None:
        """From now on the job starts whatever its forecast says."""
        folder = self.home.job(job_id)
        said = msgspec.structs.replace(submitted.read(folder), force=True)
        await self._run(submitted.write, folder, said)

    async def reserve_attempt(self, job_id: int) -> int:
        """The number of the next attempt, its epoch, never given twice. From now on older ones change nothing."""
        return await self._run(self._reserve, job_id)

    # In the store's thread

    async def _run(self, function: Callable[..., Result], *arguments: object) -> Result:
        try:
            return await self._loop.run_in_executor(self._thread, lambda: function(*arguments))
        except (sqlite3.Error, OSError) as error:
            raise database.typed(error, self.home.database) from error

    def _open(self) -> None:
        private_folder(self.home.job(0).parent)
        self._connection = database.opened(self.home.database)
        self._ballast.keep()
        self._removed = rows.removed(self._connection)
        for job_id, key, attempt, offset in rows.known(self._connection):
            self._keys[key], self._attempts[job_id], self._offsets[job_id] = job_id, attempt, offset
        self.findings, lost = reconcile.folders(self.home, set(self._attempts), set(self._removed))
        for job_id, found in lost.items():
            with self._transaction():
                rows.insert(self._connection, self.home, job_id, found.key, found.name, found.events)
                rows.set_attempt(self._connection, job_id, found.attempt, found.offset)
            self._keys[found.key], self._attempts[job_id] = job_id, found.attempt
            self._offsets[job_id] = found.offset
        for job_id in self._attempts:
            view = self._read_view(job_id)
            self._views[job_id] = _short(view) if view.ended_already else view
            self.lines.put(view)

    def _read_view(self, job_id: int) -> JobView:
        return rows.view(self._connection, self.home, job_id)

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        """Commit at the end, or nothing at all. Raises MachineError when the disk is full or fails."""
        try:
            self._connection.execute("BEGIN IMMEDIATE")
            yield
            crash_points.reach("store.before_commit")
            self._connection.execute("COMMIT")
            crash_points.reach("store.after_commit")
        except BaseException as error:
            if self._connection.in_transaction:
                with contextlib.suppress(sqlite3.Error):  # a disk that failed may have ended it already
                    self._connection.execute("ROLLBACK")
            if isinstance(error, sqlite3.Error | OSError):
                raise database.typed(error, self.home.database) from error
            raise

    def _add(self, key: str, spec: JobSpec, said: Submitted) -> tuple[JobView, bool]:
        known = self.known(key)
        if known is not None:
            return self._views[known], False
        self._refuse_full_queue()
        job_id = self._next_id()
        of, beside = job_folder.begins_with(self.home, spec), job_folder.taken_beside(self.home, spec)
        queued = e.Queued(time=time.time(), task=spec.task, of=of, beside=beside, stages=stages_of(spec))
        try:
            folder = job_folder.make(self.home, job_id, spec, msgspec.structs.replace(said, key=key))
            crash_points.reach("submit.folder_made")
            with self._transaction():
                view = rows.insert(self._connection, self.home, job_id, key, spec.name, [queued])
        except BaseException:
            _discard_staged(self.home, job_id)
            raise
        self._settle(job_id)
        self._keys[key], self._attempts[job_id], self._offsets[job_id] = job_id, 0, 0
        log.info("job %d accepted: %s", job_id, folder)
        self._publish(view)
        return view, True

    def _settle(self, job_id: int) -> None:
        """Give the accepted job's folder its name, or take the acceptance back. Raises OSError."""
        try:
            job_folder.settle(self.home, job_id)
        except OSError:
            with self._transaction():
                rows.delete(self._connection, job_id)
            _discard_staged(self.home, job_id)
            raise
        crash_points.reach("submit.folder_named")

    def _requeue(self, job_id: int) -> None:
        ended = self.get(job_id)
        if not states.may_follow(ended.state, queued := e.Queued(time=time.time())):
            return
        self._refuse_full_queue()
        self._views[job_id] = self._read_view(job_id)  # whole: a living job's curves are in memory
        try:
            self._append(job_id, (queued,), None, None, None)
        except BaseException:
            self._views[job_id] = ended
            raise

    def _move(self, job_id: int, before: int | None) -> None:
        for number in (job_id, before):
            if number is not None and self.get(number).state != QUEUED:
                raise JobError(f"Job {number} does not wait in the queue", "Only those that wait move.", "not_queued")
        if before == job_id:
            return
        for number, place in order.moved(self.queue(), job_id, before).items():
            self._append(number, (e.Moved(time=time.time(), place=place),), None, QUEUED, None)

    def _remove(self, job_id: int) -> None:
        if job_id in self._removed:
            return
        view = self.get(job_id)
        if not view.ended_already:
            hint = f"Stop it first: `tunesmith jobs cancel {job_id}`."
            raise JobError(f"Job {job_id} is {view.state}", hint, "still_living")
        if (user := self.user_of(job_id)) is not None:
            hint = f"Let it end, or stop it first: `tunesmith jobs cancel {user}`."
            raise JobError(f"Job {user} is {self.get(user).state} and uses what job {job_id} made", hint, "in_use")
        job_folder.mark(self.home, job_id)
        crash_points.reach("remove.marked")
        key = next(key for key, known in self._keys.items() if known == job_id)
        try:
            with self._transaction():
                rows.remember_removed(self._connection, job_id, key, view.name)
                rows.delete(self._connection, job_id)
        except BaseException:
            job_folder.unmark(self.home, job_id)
            raise
        crash_points.reach("remove.rows_gone")
        self._removed[job_id] = key
        del self._views[job_id], self._keys[key]
        self.lines.remove(job_id)
        for kept in (self._attempts, self._offsets, self._recent):
            kept.pop(job_id, None)
        self._loop.call_soon_threadsafe(self._wake, job_id)

    def _refuse_full_queue(self) -> None:
        if sum(view.state == QUEUED for view in self._views.values()) >= QUEUE_LIMIT:
            raise JobError(f"{QUEUE_LIMIT} jobs are waiting already", "Wait, or cancel some.", "queue_full")

    def _next_id(self) -> int:
        """Above every folder too: an older database's artifacts are never written over."""
        return max(rows.highest(self._connection), *job_folder.numbers(self.home), 0) + 1

    def _append(
        self, job_id: int, events: tuple[e.Event, ...], offset: int | None, only_in: str | None, epoch: int | None
    ) -> list[e.Event]:
        view = self.get(job_id)
        if only_in is not None and view.state != only_in:
            return []
        if epoch is not None and epoch != self._attempts[job_id]:
            log.warning("job %d: attempt %d is over, a newer one was begun: nothing of it is taken", job_id, epoch)
            return []
        if epoch is not None and view.state not in AT_WORK:
            log.info("job %d: attempt %d has ended; what its worker still says is left out", job_id, epoch)
            events = ()
        kept: list[e.Numbered] = []
        for said in events:
            event = states.meant(view.state, job_id, said) if epoch is not None else said
            if not states.may_follow(view.state, event):
                log.warning("job %d: %s dropped, it is %s", job_id, type(event).__name__, view.state)
                continue
            kept.append(e.Numbered(view.last_event + 1, event))
            view = fold(view, kept[-1])
        if not kept and offset is None:
            return []
        # A full disk holds back what a run does, but not how it ended.
        ends = view.state != self._views[job_id].state and view.state not in (QUEUED, RUNNING)
        self._ballast.with_room(lambda: self._write(job_id, kept, view, offset), ends)
        if offset is not None:
            self._offsets[job_id] = offset
        if kept:
            encoded = [(one.number, e.encode(one.event)) for one in kept]
            self._recent[job_id] = [*self._recent.get(job_id, ()), *encoded][-RECENT:]
            self._publish(view)
        return [one.event for one in kept]

    def _write(self, job_id: int, kept: list[e.Numbered], view: JobView, offset: int | None) -> None:
        with self._transaction():
            rows.add(self._connection, job_id, kept)
            rows.update(self._connection, view, offset)

    def _reserve(self, job_id: int) -> int:
        self.get(job_id)
        with self._transaction():
            rows.set_attempt(self._connection, job_id, self._attempts[job_id] + 1, 0)
        self._offsets[job_id] = 0
        self._attempts[job_id] += 1
        return self._attempts[job_id]

    def _publish(self, view: JobView) -> None:
        self._views[view.id] = _short(view) if view.ended_already else view
        self.lines.put(view)
        if view.ended_already:
            self._recent.pop(view.id, None)
        # From this thread and not after an await: a caller that went away must not leave others asleep.
        self._loop.call_soon_threadsafe(self._wake, view.id)

    def _wake(self, job_id: int) -> None:
        if waiting := self._grown.pop(job_id, None):
            waiting.set()


def _short(view: JobView) -> JobView:
    return msgspec.structs.replace(view, losses=(), learning_rates=())


def _discard(home: Home, job_id: int) -> None:
    try:
        job_folder.discard(home.job(job_id))
    except OSError as error:
        log.error("job %d: not all of its folder could be removed yet: %s", job_id, error)


def _discard_staged(home: Home, job_id: int) -> None:
    try:
        job_folder.discard(job_folder.staged(home, job_id))  # made a moment ago, by us
    except OSError as error:
        log.error("job %d was not accepted, and its folder could not be removed: %s", job_id, error)
