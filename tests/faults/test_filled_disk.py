"""D1: the disk of jobs, database, log or everything fills up, then has room again: all goes on without a restart.

Writes are refused by the shim, as by a full disk, so that one place alone can be full and no mount is needed;
test_full_disk.py has a real one where mounting is allowed.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import aftermath
import disk_shim
import pytest
from daemon_process import DaemonProcess

from tunesmith.recipes.errors import TunesmithError

PLACES = {"jobs": "jobs/", "database": "jobs.sqlite3", "log": "daemon.log", "everything": ""}
TYPED = ("disk_full", "disk_error", "disk", "worker_died", "worker_start", "interrupted")
LONG = "steps=150 step=0.01 save=20"


@pytest.fixture(params=PLACES)
async def small(request: pytest.FixtureRequest, tmp_path: Path, shim: Path) -> AsyncIterator[tuple[DaemonProcess, str]]:
    """A started daemon, and which place is full while the file `full` exists beside its home."""
    home = tmp_path / "home"
    environment = disk_shim.environment(shim, home, fault="write while 28", flag=tmp_path / "full")
    environment["DISK_SHIM_UNDER"] += f"/{PLACES[request.param]}"
    process = DaemonProcess(home, TUNESMITH_WORKER_MODULE="toy_chain", **environment)
    await process.start()
    yield process, request.param
    (tmp_path / "full").unlink(missing_ok=True)
    await process.tidy()


async def refused(daemon: DaemonProcess, place: str, key: str) -> None:
    """A full disk is said as that; a log that cannot be written is nobody's concern."""
    try:
        await daemon.submit("steps=2 step=0", key=key)
    except TunesmithError as error:
        assert error.code == "disk_full" and error.hint, (error.code, error)
    else:
        assert place == "log"
    assert await daemon.client.healthy()


async def well(daemon: DaemonProcess) -> list[str]:
    """There is room again: what was refused is accepted, and every job comes to its end."""
    await daemon.submit("steps=2 step=0", key="once")
    found = []
    for view in await daemon.client.jobs():
        for _ in range(4):
            view = await daemon.until(view.id, "finished", "failed", "interrupted", seconds=60)
            if view.state == "finished":
                break
            assert view.error is not None and view.error.code in TYPED and view.error.hint, view.error
            await daemon.client.resume(view.id)
        found += aftermath.wrong_result(daemon.home, view.id, view.name)
    return found


async def test_a_disk_that_is_full_while_a_job_is_submitted(small: tuple[DaemonProcess, str], tmp_path: Path) -> None:
    daemon, place = small
    (tmp_path / "full").touch()
    for _ in range(3):
        await refused(daemon, place, "once")
    (tmp_path / "full").unlink()
    assert await well(daemon) + await aftermath.broken(daemon) == []


async def test_a_disk_that_fills_up_while_a_job_runs(small: tuple[DaemonProcess, str], tmp_path: Path) -> None:
    daemon, place = small
    job = (await daemon.submit(LONG)).id
    await daemon.until_step(job, 5)
    (tmp_path / "full").touch()
    for _ in range(5):
        assert await daemon.client.healthy()
        await asyncio.sleep(0.1)
    await refused(daemon, place, "once")
    (tmp_path / "full").unlink()
    assert await well(daemon) + await aftermath.broken(daemon) == []
