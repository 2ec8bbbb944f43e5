"""S1: a worker stopped past its lease is told of and left alone; one whose epoch is over publishes nothing."""

from __future__ import annotations

import random
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import aftermath
import psutil
import pytest
from daemon_process import DaemonProcess
from dice import dice, times

from tunesmith.daemon.api.view import JobView

WORK = "steps=200 step=0.01 save=20"


@pytest.fixture
async def leased(tmp_path: Path) -> AsyncIterator[DaemonProcess]:
    process = DaemonProcess(tmp_path / "home", TUNESMITH_WORKER_MODULE="toy_chain", TUNESMITH_LEASE_S="0.4")
    await process.start()
    yield process
    for worker in process.workers():
        worker.resume()
    await process.tidy()


async def stopped(daemon: DaemonProcess, rolls: random.Random) -> tuple[JobView, psutil.Process]:
    """A job whose worker was stopped somewhere on its way, and the worker."""
    job = (await daemon.submit(f"{WORK} roll={rolls.random()}")).id
    view = await daemon.until_step(job, rolls.randrange(1, 50))
    assert view.pid is not None
    worker = psutil.Process(view.pid)
    worker.suspend()
    return view, worker


async def told(daemon: DaemonProcess, job: int) -> None:
    """Until the daemon says that the worker has stalled; then it still has it."""
    async for numbered in daemon.client.events(job):
        if type(numbered.event).__name__ == "Stalled":
            break
    assert (await daemon.client.job(job)).state == "running"


def published(folder: Path) -> list[Path]:
    return sorted([*folder.glob("checkpoints/step-*"), *folder.glob("artifacts/[!.]*")])


async def test_a_stopped_worker_is_told_of_and_goes_on_where_it_was(leased: DaemonProcess) -> None:
    rolls, found = dice("S1"), list[str]()
    for roll in range(times(5)):
        view, worker = await stopped(leased, rolls)
        await told(leased, view.id)
        if roll % 2:
            leased.end(signal.SIGKILL)
            await leased.start()
        worker.resume()
        view = await leased.until(view.id, "finished")
        assert view.attempt == 1
        found += aftermath.wrong_result(leased.home, view.id, view.name)
    assert found + await aftermath.broken(leased, worked_once=True) == []


async def test_a_stopped_worker_can_be_cancelled(leased: DaemonProcess) -> None:
    rolls = dice("S1 cancelled")
    for _ in range(times(2)):
        view, _ = await stopped(leased, rolls)
        await told(leased, view.id)
        await leased.client.cancel(view.id)
        await leased.until(view.id, "cancelled")
    assert await aftermath.broken(leased) == []


async def test_a_worker_whose_epoch_is_over_publishes_nothing(leased: DaemonProcess) -> None:
    rolls, found = dice("S1 epochs"), list[str]()
    for _ in range(times(3)):
        view, worker = await stopped(leased, rolls)
        folder = leased.home.job(view.id)
        before = published(folder)
        (folder / "epoch").write_text(f"{view.attempt + 1}\n")  # as a daemon does that begins another attempt
        worker.resume()
        view = await leased.until(view.id, "failed")
        assert view.error is not None and view.error.code == "superseded"
        assert published(folder) == before
        await leased.client.resume(view.id)
        view = await leased.until(view.id, "finished")
        found += aftermath.wrong_result(leased.home, view.id, view.name)
    assert found + await aftermath.broken(leased) == []
