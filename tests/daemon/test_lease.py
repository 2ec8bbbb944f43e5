"""A worker without a sign of life is told of, not ended; when it comes back that is told too."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator

import pytest
from daemon_process import DaemonProcess

from tunesmith.daemon import lease
from tunesmith.daemon.api import events as e
from tunesmith.daemon.lease import Lease
from tunesmith.daemon.recovery import WorkerRecord, record_of


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def sleeper() -> Iterator[WorkerRecord]:
    process = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(1000)"], start_new_session=True)
    yield record_of(process.pid)
    process.kill()
    process.wait()


@pytest.fixture
def signs(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """What the processor time of the worker is said to be."""
    said = [0.0]
    monkeypatch.setattr(lease, "processor_seconds", lambda pid: said[0])
    return said


def test_one_that_writes_or_computes_keeps_its_lease(sleeper: WorkerRecord, signs: list[float]) -> None:
    clock = Clock()
    held = Lease(sleeper, 60, clock)
    for minute in range(1, 10):
        clock.now += 50
        if minute % 2:
            signs[0] += 1
        assert held.look(0 if minute % 2 else minute) == ()


def test_a_silent_one_is_told_of_once_and_again_when_it_is_back(sleeper: WorkerRecord, signs: list[float]) -> None:
    clock = Clock()
    held = Lease(sleeper, 60, clock)
    clock.now += 7
    assert held.look(5) == ()  # a first sign
    clock.now += 61
    stalled, notice = held.look(5)
    assert isinstance(stalled, e.Stalled) and stalled.silent_s >= 60 and not stalled.stopped
    assert isinstance(notice, e.Notice) and "left alone" in notice.text
    clock.now += 1000
    assert held.look(5) == ()
    clock.now += 10
    woke, _ = held.look(9)
    assert isinstance(woke, e.Woke)
    clock.now += 61
    assert isinstance(held.look(9)[0], e.Stalled)


def test_one_that_a_signal_holds_is_told_apart(sleeper: WorkerRecord) -> None:
    assert not lease.is_stopped(sleeper.pid)
    subprocess.run(["kill", "-STOP", str(sleeper.pid)], check=True)
    for _ in range(1000):
        if lease.is_stopped(sleeper.pid):
            break
    clock = Clock()
    held = Lease(sleeper, 60, clock)
    clock.now += 7
    held.look(0)
    clock.now += 61
    stalled, notice = held.look(0)
    assert isinstance(stalled, e.Stalled) and stalled.stopped
    assert isinstance(notice, e.Notice) and f"kill -CONT {sleeper.pid}" in notice.text
    assert sleeper.pid and subprocess.run(["kill", "-CONT", str(sleeper.pid)]).returncode == 0


async def test_a_stopped_worker_is_shown_as_stalled_and_is_as_good_as_new_after_it(daemon: DaemonProcess) -> None:
    daemon.end()
    daemon.environment["TUNESMITH_LEASE_S"] = "0.5"
    await daemon.start()
    await daemon.submit("steps=100 step=0.02")
    await daemon.until_step(1, 3)
    worker = daemon.workers()[0]
    worker.send_signal(signal.SIGSTOP)
    async for view in daemon.client.watch(1):
        if view.stalled is not None:
            worker.send_signal(signal.SIGCONT)
    view = await daemon.client.job(1)
    assert view.state == "finished" and view.stalled is None and view.attempt == 1
    assert [step for step, _ in view.losses] == list(range(1, 101))
    assert any("signs of life again" in notice.text for notice in view.notices)


async def test_a_stopped_worker_can_be_cancelled(daemon: DaemonProcess) -> None:
    await daemon.submit("steps=1000 step=0.02")
    await daemon.until_step(1, 1)
    daemon.workers()[0].send_signal(signal.SIGSTOP)
    await daemon.client.cancel(1)
    await daemon.until(1, "cancelled", seconds=10)
    assert daemon.workers() == []
