"""P1: no space, a sync or rename that fails, at any call: nothing lost, nothing partial, and it goes on."""

from __future__ import annotations

import asyncio
import errno
import time
from pathlib import Path

import aftermath
import disk_shim
import history
import pytest
from daemon_process import DaemonProcess
from dice import dice, times

from tunesmith.daemon.api.view import JobView
from tunesmith.recipes.errors import TunesmithError

FAULTS = (("write", errno.ENOSPC), ("sync", errno.EIO), ("rename", errno.EIO))
CALLS_OF_WORKER = {"write": 60, "sync": 50, "rename": 12}  # about so many does the job below make
CALLS_OF_DAEMON = {"write": 60, "sync": 40, "rename": 10}
TYPED = ("disk_full", "disk_error", "disk", "worker_died", "worker_start", "interrupted")
WORK = "steps=6 step=0 save=2"


async def to_the_end(daemon: DaemonProcess, job: int) -> JobView:
    """Whatever ended an attempt said so in a typed way, and the next goes on."""
    for _ in range(5):
        view = await daemon.until(job, "finished", "failed", "interrupted", seconds=60)
        if view.state == "finished":
            return view
        assert view.error is not None and view.error.code in TYPED and view.error.hint, view.error
        await daemon.client.resume(job)
    raise AssertionError(f"job {job} did not get to its end")


@pytest.mark.slow
async def test_a_worker_whose_disk_fails_once_leaves_nothing_partial_and_goes_on(tmp_path: Path, shim: Path) -> None:
    environment = disk_shim.environment(shim, tmp_path / "home", only="toy_chain")
    daemon = DaemonProcess(tmp_path / "home", TUNESMITH_WORKER_MODULE="toy_chain", **environment)
    await daemon.start()
    rolls, found, failed = dice("P1 worker"), list[str](), 0
    for roll in range(times(30)):
        kind, number = FAULTS[roll % len(FAULTS)]
        call = rolls.randrange(1, CALLS_OF_WORKER[kind])
        job = (await daemon.submit(f"{WORK} fault={kind},{call},{number}")).id
        view = await daemon.until(job, "finished", "failed", "interrupted", seconds=60)
        failed += view.state != "finished"
        found += history.on_disk(daemon.home, history.jobs_of(daemon.home.database))
        view = await to_the_end(daemon, job)
        found += aftermath.wrong_result(daemon.home, view.id, view.name)
    assert found + await aftermath.broken(daemon) == []
    assert failed > times(30) / 3, "most faults struck"


async def up(daemon: DaemonProcess) -> bool:
    """Whether it answers; one that could not start has said why, and what to do."""
    daemon.process = daemon.spawn()
    until = time.monotonic() + 60
    while not await daemon.client.healthy():
        if daemon.process.poll() is not None:
            said = daemon.process.communicate()[1]
            assert daemon.process.returncode == 1 and "hint: " in said and "Traceback" not in said, said
            return False
        assert time.monotonic() < until
        await asyncio.sleep(0.01)
    return True


@pytest.mark.parametrize(("kind", "number"), FAULTS[:2])
async def test_a_daemon_whose_disk_fails_while_it_starts_says_what_to_do(
    tmp_path: Path, shim: Path, kind: str, number: int
) -> None:
    ended = 0
    for call in range(1, 7):
        home = tmp_path / f"home-{call}"
        fault = f"{kind} {call} {number}"
        daemon = DaemonProcess(home, **disk_shim.environment(shim, home, only="-m tunesmith.daemon", fault=fault))
        if not await up(daemon):
            ended += 1
            del daemon.environment["DISK_SHIM_FAULT"]
            assert await up(daemon), fault
        await daemon.tidy()
    assert ended, "some fault struck before it answered"


async def accepted(daemon: DaemonProcess, key: str) -> JobView:
    """Submitted until it is accepted; each refusal is a typed one."""
    for _ in range(4):
        try:
            return await daemon.submit("steps=2 step=0", key=key)
        except TunesmithError as error:
            assert error.code in TYPED and error.hint, (error.code, error)
    return await daemon.submit("steps=2 step=0", key=key)


@pytest.mark.slow
async def test_a_daemon_whose_disk_fails_once_loses_nothing_and_goes_on(tmp_path: Path, shim: Path) -> None:
    rolls = dice("P1 daemon")
    for roll in range(times(30)):
        kind, number = FAULTS[roll % len(FAULTS)]
        fault = f"{kind} {rolls.randrange(1, CALLS_OF_DAEMON[kind])} {number}"
        home = tmp_path / f"home-{roll}"
        daemon = DaemonProcess(
            home, TUNESMITH_WORKER_MODULE="toy_chain",
            **disk_shim.environment(shim, home, only="-m tunesmith.daemon", fault=fault),
        )  # fmt: skip
        if not await up(daemon):
            del daemon.environment["DISK_SHIM_FAULT"]
            assert await up(daemon), fault
        first = await accepted(daemon, "once")
        view = await to_the_end(daemon, first.id)
        found = aftermath.wrong_result(daemon.home, view.id, view.name)
        assert (await daemon.submit("steps=2 step=0", key="once")).id == first.id
        promised = [history.Acknowledged("once", first.id), history.Replied(view.id, view.last_event, view.state)]
        assert found + await aftermath.broken(daemon, promised) == [], fault
