"""K3: kill -9 of workers at random, at every named place and at every call to the disk; resumed to the right result."""

from __future__ import annotations

import asyncio
import contextlib
from pathlib import Path

import aftermath
import disk_shim
import history
import psutil
import pytest
from daemon_process import DaemonProcess
from dice import dice, times

from tunesmith.daemon.api.view import JobView

KILLS = 200
KILLS_A_JOB = 25
CALLS = 30  # of the CALLS_MADE that the job below makes about
CALLS_MADE = 80
WRITES = 14  # all that a job of one step makes, and one more
WORK = "steps=6 step=0 save=2"
ENDED = ("finished", "failed", "interrupted", "cancelled")
TOY_POINTS = (
    "toy.before_event", "toy.after_event:3", "toy.checkpoint_written", "toy.checkpoint_written:2",
    "toy.artifact_written", "publish.hashed", "publish.hashed:3", "publish.manifest_written",
    "publish.manifest_written:3", "publish.renamed", "publish.renamed:3",
)  # fmt: skip


async def to_the_end(daemon: DaemonProcess, job: int, damaged: bool = False) -> JobView:
    """Resumed by hand where the daemon does not do so by itself; whole on disk each time that it rests."""
    for _ in range(10):
        view = await daemon.until(job, *ENDED, seconds=60)
        assert damaged or history.on_disk(daemon.home, history.jobs_of(daemon.home.database)) == []
        if view.state == "finished":
            return view
        await daemon.client.resume(job)
    raise AssertionError(f"job {job} did not get to its end")


@pytest.mark.slow
@pytest.mark.timeout(1200)
async def test_workers_killed_at_random_come_to_the_right_result(chained: DaemonProcess) -> None:
    rolls, left = dice("K3"), times(KILLS)
    await chained.start()
    found: list[str] = []
    while left > 0:
        job = (await chained.submit(f"steps=150 step=0.003 save=15 left={left}")).id
        kills = min(KILLS_A_JOB, left)
        while kills > 0 and (await chained.client.job(job)).state != "finished":
            await asyncio.sleep(rolls.random() * 0.5)
            view = await chained.client.job(job)
            if view.pid is not None:
                with contextlib.suppress(psutil.NoSuchProcess):
                    psutil.Process(view.pid).kill()
                kills, left = kills - 1, left - 1
            elif view.state in ENDED and view.state != "finished":
                found += history.on_disk(chained.home, history.jobs_of(chained.home.database))
                await chained.client.resume(job)
        view = await to_the_end(chained, job)
        found += aftermath.wrong_result(chained.home, view.id, view.name)
    assert found + await aftermath.broken(chained) == []


async def test_a_worker_killed_at_any_named_place_comes_to_the_right_result(chained: DaemonProcess) -> None:
    await chained.start()
    found: list[str] = []
    for point in TOY_POINTS:
        job = (await chained.submit(f"{WORK} crash={point}")).id
        view = await to_the_end(chained, job)
        assert view.attempt > 1, f"{point} was not reached"
        found += aftermath.wrong_result(chained.home, view.id, view.name)
    assert found + await aftermath.broken(chained) == []


async def test_a_flipped_bit_in_a_checkpoint_is_found_and_the_one_before_is_used(chained: DaemonProcess) -> None:
    await chained.start()
    job = (await chained.submit(f"{WORK} crash=toy.artifact_written")).id
    await chained.until(job, *ENDED)
    newest = chained.home.job(job) / "checkpoints" / "step-6" / "state.json"
    state = newest.read_bytes()
    newest.write_bytes(state[:-3] + bytes([state[-3] ^ 1]) + state[-2:])  # in the chain's value: still a state
    view = await to_the_end(chained, job, damaged=True)
    assert view.resumed is not None and view.resumed.step == 4
    found = aftermath.wrong_result(chained.home, view.id, view.name)
    assert found + await aftermath.broken(chained) == []


@pytest.mark.slow
async def test_a_worker_killed_at_any_call_to_the_disk_comes_to_the_right_result(tmp_path: Path, shim: Path) -> None:
    environment = disk_shim.environment(shim, tmp_path / "home", only="toy_chain")
    daemon = DaemonProcess(tmp_path / "home", TUNESMITH_WORKER_MODULE="toy_chain", **environment)
    await daemon.start()
    found: list[str] = []
    attempts = 0
    rolls = dice("K3 calls")
    numbers = sorted(rolls.sample(range(1, CALLS_MADE + 1), min(times(CALLS), CALLS_MADE)))
    for number in numbers:
        job = (await daemon.submit(f"{WORK} fault=any,{number},{rolls.choice(('kill', 'tear'))}")).id
        view = await to_the_end(daemon, job)
        attempts += view.attempt
        found += aftermath.wrong_result(daemon.home, view.id, view.name)
    assert found + await aftermath.broken(daemon) == []
    assert attempts > len(numbers) * 1.5, "most calls were reached"


@pytest.mark.slow
async def test_a_worker_killed_at_any_write_leaves_no_artifact_without_its_record(tmp_path: Path, shim: Path) -> None:
    environment = disk_shim.environment(shim, tmp_path / "home", only="toy_chain")
    daemon = DaemonProcess(tmp_path / "home", TUNESMITH_WORKER_MODULE="toy_chain", **environment)
    await daemon.start()
    attempts = []
    for number in range(1, WRITES + 1):
        job = (await daemon.submit(f"steps=1 step=0 fault=write,{number},kill")).id
        attempts.append((await to_the_end(daemon, job)).attempt)
    assert attempts[:10] == [2] * 10, "each of the first writes was reached"
    assert await aftermath.broken(daemon) == []
