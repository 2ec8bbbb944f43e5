"""K1: kill -9 of the daemon at every named place, idle, running, queued or after its worker was killed with it."""

from __future__ import annotations

import asyncio
import contextlib
import re
import signal
import time
from collections.abc import AsyncIterator
from pathlib import Path

import aftermath
import history
import pytest
from daemon_process import DaemonProcess

from tunesmith.daemon import crash_points
from tunesmith.recipes.errors import TunesmithError

ROOT = Path(__file__).parents[2]
LONG = "steps=2000 step=0.01 save=10"
SHORT = "steps=3 step=0 save=2"
SITUATIONS = ("idle", "running", "queued", "killed")  # killed: the worker was killed together with the daemon before
ALWAYS = SITUATIONS

# Every `reach` of the sources: the situations in which the daemon comes by, or the test file of another process.
POINTS: dict[str, tuple[str, ...] | str] = {
    "store.before_commit": ALWAYS,
    "store.after_commit": ALWAYS,
    "submit.folder_made": ALWAYS,
    "submit.folder_named": ALWAYS,
    "supervisor.reserved": ALWAYS,
    "supervisor.spawned": ALWAYS,
    "supervisor.recorded": ALWAYS,
    "supervisor.started": ALWAYS,
    "supervisor.let_go": ALWAYS,
    "supervisor.drained": ALWAYS,
    "supervisor.concluded": ("idle", "running", "queued", "killed"),
    "supervisor.interrupted": ("killed",),
    "scheduler.requeued": ("killed",),
    "remove.marked": ALWAYS,
    "remove.rows_gone": ALWAYS,
    "publish.hashed": "tests/faults/test_killed_toy_workers.py",
    "publish.manifest_written": "tests/faults/test_killed_toy_workers.py",
    "publish.renamed": "tests/faults/test_killed_toy_workers.py",
    "publish.unnamed": "tests/fakes/killed_training.py",
    "publish.replaced": "tests/engine/test_replacing.py",
    "checkpoint.staged": "tests/fakes/killed_training.py",
    "checkpoint.published": "tests/fakes/killed_training.py",
    "checkpoint.pruned": "tests/fakes/killed_training.py",
    "checkpoint.file_written": "tests/fakes/killed_training.py",
    "piece.written": "tests/faults/test_hub_faults.py",
    "piece.journalled": "tests/faults/test_hub_faults.py",
    "download.verified": "tests/faults/test_hub_faults.py",
    "download.renamed": "tests/faults/test_hub_faults.py",
}  # fmt: skip


# Known to be reached by no test: what the pull does before and after is killed in test_hub_faults.py.
NOT_REACHED = {"pull.before_install"}


def sources() -> set[str]:
    """The names in the sources of the daemon and what it starts."""
    files = sorted((ROOT / "daemon" / "tunesmith").rglob("*.py"))
    return {name for file in files for name in re.findall(r"\breach\(\"([^\"]+)\"\)", file.read_text("utf-8"))}


def test_every_crash_point_is_in_the_table_and_reached_by_a_test_or_named_as_not() -> None:
    assert sources() == set(POINTS) | NOT_REACHED
    for name, where in POINTS.items():
        if isinstance(where, str):
            assert name.rpartition(".")[2] in (ROOT / where).read_text("utf-8"), f"{where} does not reach {name}"


class Tour:
    """What a client asks on its way past every place, and what it was promised before the daemon died."""

    def __init__(self, daemon: DaemonProcess) -> None:
        self.daemon = daemon
        self.promises: list[history.Record] = []

    async def submit(self, how: str, key: str) -> int:
        view = await self.daemon.submit(how, key=key)
        self.promises += [
            history.Acknowledged(key, view.id), history.Replied(view.id, view.last_event, view.state),
        ]  # fmt: skip
        return view.id

    async def until(self, job: int, *states: str) -> None:
        view = await self.daemon.until(job, *states)
        self.promises.append(history.Replied(job, view.last_event, view.state))

    async def go(self) -> None:
        """Ends early with a TunesmithError when the daemon is gone."""
        client = self.daemon.client
        for view in await client.jobs():
            if not view.ended_already:
                await client.cancel(view.id)
                await self.until(view.id, "cancelled")
        job = await self.submit(SHORT, "short")
        await self.until(job, "finished")
        paused = await self.submit(LONG, "paused")
        await self.daemon.until_step(paused, 3)
        await client.pause(paused)
        await self.until(paused, "paused")
        await client.resume(paused)
        await self.daemon.until_step(paused, 5)
        await client.finish(paused)
        await self.until(paused, "finished")
        self.promises.append(history.Removed(job))
        await client.remove(job)


async def prepared(daemon: DaemonProcess, situation: str) -> list[history.Record]:
    """The home as a killed daemon leaves it in that situation, and what it had promised."""
    if situation == "idle":
        return []
    tour = Tour(daemon)
    await daemon.start()
    await tour.submit(LONG, "long")
    if situation == "queued":
        await tour.submit(SHORT, "second")
        await tour.submit(SHORT, "third")
    await daemon.until_step(1, 12)
    daemon.end(signal.SIGKILL)
    if situation == "killed":
        for process in daemon.workers():
            process.kill()
    return tour.promises


@contextlib.asynccontextmanager
async def crashing(daemon: DaemonProcess, point: str) -> AsyncIterator[None]:
    """A daemon that dies at `point`; what was asked of it meanwhile went unanswered."""
    daemon.environment[crash_points.VARIABLE] = point
    daemon.process = daemon.spawn()
    until = time.monotonic() + 60
    while not await daemon.client.healthy() and daemon.process.poll() is None:
        assert time.monotonic() < until
        await asyncio.sleep(0.01)
    del daemon.environment[crash_points.VARIABLE]
    try:
        yield
    except TunesmithError as error:
        assert error.code == "unreachable", error
    assert daemon.process.wait(10) == -signal.SIGKILL, f"{point} was not reached"
    daemon.process.communicate()


CASES = [(point, situation) for point, where in POINTS.items() if not isinstance(where, str) for situation in where]


@pytest.mark.slow
@pytest.mark.parametrize(("point", "situation"), CASES)
async def test_a_daemon_killed_at_any_place_breaks_no_promise(
    chained: DaemonProcess, point: str, situation: str
) -> None:
    promises = await prepared(chained, situation)
    tour = Tour(chained)
    async with crashing(chained, point):
        await tour.go()
    await chained.start()
    for key in ("short", "paused"):  # a client that had no answer asks again
        try:
            tour.promises.append(history.Acknowledged(key, (await chained.submit(SHORT, key=key)).id))
        except TunesmithError as error:
            assert point == "remove.rows_gone" and "was removed" in error.message, error
    found = await aftermath.unattended(chained)
    for view in await chained.client.jobs():
        if not view.ended_already:
            with contextlib.suppress(TunesmithError):  # it ends just now
                await chained.client.cancel(view.id)
            await chained.until(view.id, "cancelled", "finished")
    assert found + await aftermath.broken(chained, promises + tour.promises, worked_once=True) == []
