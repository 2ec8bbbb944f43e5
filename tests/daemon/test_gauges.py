"""Gauges: the newest look at the machine, on streams while a job runs, and nowhere else."""

from __future__ import annotations

import asyncio
import sqlite3
import time
from collections.abc import AsyncIterator
from pathlib import Path

import nvml_double
import pytest
from daemon_process import DaemonProcess
from nvml_double import scenes

from tunesmith.daemon.api import events as e
from tunesmith.daemon.api.events import Numbered
from tunesmith.daemon.api.view import JobView, fold


@pytest.fixture
async def daemon(tmp_path: Path) -> AsyncIterator[DaemonProcess]:
    process = DaemonProcess(tmp_path / "home", TUNESMITH_GAUGE_EVERY_S="0.05")
    await process.start()
    yield process
    await process.tidy()


async def until_gauged(daemon: DaemonProcess, job_id: int, worker_bytes: int = 0, **wanted: object) -> e.Gauged:
    """The first look with what is wanted in it, and a worker that takes at least so much."""

    def suits(gauges: e.Gauged) -> bool:
        return gauges.worker_bytes >= worker_bytes and all(
            getattr(gauges, key) == value for key, value in wanted.items()
        )

    deadline = time.monotonic() + 10
    while True:
        gauges = (await daemon.client.job(job_id)).gauges
        if gauges is not None and suits(gauges):
            return gauges
        assert time.monotonic() < deadline, gauges
        await asyncio.sleep(0.02)


async def test_a_running_job_shows_how_the_machine_does(daemon: DaemonProcess) -> None:
    await daemon.submit("steps=1000 step=0.02")
    gauges = await until_gauged(daemon, 1, worker_bytes=5_000_000)  # Python, once it has started
    assert 0 <= gauges.cpu_share <= 1 and 0 < gauges.memory_used_bytes < gauges.memory_bytes
    assert gauges.worker_bytes < gauges.memory_used_bytes
    await daemon.client.cancel(1)


async def test_they_come_on_the_stream_without_a_number_of_their_own(daemon: DaemonProcess) -> None:
    await daemon.submit("steps=60 step=0.02")
    streamed = [numbered async for numbered in daemon.client.events(1)]
    looks = [numbered for numbered in streamed if isinstance(numbered.event, e.Gauged)]
    history = [numbered for numbered in streamed if not isinstance(numbered.event, e.Gauged)]
    assert len(looks) >= 3 and len({look.event.time for look in looks}) == len(looks)
    assert [numbered.number for numbered in history] == list(range(1, len(history) + 1))


async def test_a_watcher_sees_them_and_their_end(daemon: DaemonProcess) -> None:
    await daemon.submit("steps=30 step=0.02")
    seen = [view.gauges async for view in daemon.client.watch(1)]
    assert len({gauges.time for gauges in seen if gauges is not None}) >= 2
    assert (await daemon.client.job(1)).gauges is None  # it has ended: there is no now


async def test_they_fill_neither_database_nor_journal(daemon: DaemonProcess) -> None:
    await daemon.submit("steps=60 step=0.02")
    view = await daemon.until(1, "finished")
    daemon.end()
    with sqlite3.connect(daemon.home.database) as connection:
        bodies = [body for (body,) in connection.execute("SELECT body FROM events WHERE job = 1")]
    connection.close()
    assert len(bodies) == view.last_event and not any(b'"gauged"' in body for body in bodies)
    assert b'"gauged"' not in (daemon.home.job(1) / "journal-1.jsonl").read_bytes()


def test_a_gauge_changes_a_view_whatever_its_number_and_only_while_it_lives() -> None:
    look = e.Gauged(time=1.0, cpu_share=0.5, memory_used_bytes=1, memory_bytes=2)
    view = JobView(1, "run", last_event=7)
    assert fold(view, Numbered(3, look)) == JobView(1, "run", last_event=7, gauges=look)
    ended = JobView(1, "run", state="finished", last_event=7)
    assert fold(ended, Numbered(7, look)) == ended


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return nvml_double.compiled(tmp_path_factory.mktemp("nvml"))


GPU_SCENE = scenes.SYSTEM + scenes.RTX_4090 + "busy 87\n"
FULL_SCENE = GPU_SCENE.replace("free 25250000000", "free 100000000")


@pytest.fixture
async def with_gpu(tmp_path: Path, library: Path) -> AsyncIterator[DaemonProcess]:
    """A daemon on a machine with an RTX 4090, through the real NVML binding; room says what that leaves free."""
    scene = tmp_path / "scene"
    scene.write_text(GPU_SCENE)
    torch = nvml_double.with_torch(tmp_path / "torch", "12.8")
    seen = nvml_double.environment(library, scene, torch)
    process = DaemonProcess(tmp_path / "home", **{**seen, "TUNESMITH_GAUGE_EVERY_S": "0.05"})
    process.room(real=True, host_free_bytes=64 * 10**9, disk_free_bytes=900 * 10**9)
    await process.start()
    yield process
    await process.tidy()


async def test_a_gpu_shows_how_busy_full_and_warm_it_is(with_gpu: DaemonProcess) -> None:
    await with_gpu.submit("steps=1000 step=0.02")
    gauges = await until_gauged(with_gpu, 1)
    assert (gauges.device_share, gauges.temperature_c, gauges.power_watts) == (0.87, 38, 21.0)
    assert gauges.device_bytes == 25_757_220_864 and gauges.device_used_bytes == 25_757_220_864 - 25_250_000_000
    await with_gpu.client.cancel(1)


async def test_a_gpu_whose_memory_another_process_holds_is_waited_for(with_gpu: DaemonProcess, tmp_path: Path) -> None:
    (tmp_path / "scene").write_text(FULL_SCENE + "process 4242 25100000000\n")
    await with_gpu.submit("steps=1")
    deadline = time.monotonic() + 10
    while (view := await with_gpu.client.job(1)).waiting is None:
        assert time.monotonic() < deadline, view
        await asyncio.sleep(0.02)
    assert (view.state, view.waiting.what, view.waiting.free) == ("queued", "device", 100_000_000)
    assert view.waiting.needed > 5 * 10**8  # its context alone
    (tmp_path / "scene").write_text(GPU_SCENE)
    await with_gpu.until(1, "finished")
