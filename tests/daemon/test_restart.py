"""What a daemon does about what the one before it left: runs go on by themselves, but not for ever; and it says so."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from pathlib import Path

import msgspec
import psutil
import pytest
from daemon_process import DaemonProcess

from tunesmith.daemon import interruption, restart
from tunesmith.daemon.api import events as e
from tunesmith.daemon.api.home import Home
from tunesmith.daemon.api.report import Finding
from tunesmith.daemon.recovery import WorkerRecord

LONG = "steps=2000 step=0.02"


def kinds(findings: tuple[Finding, ...]) -> set[str]:
    return {finding.kind for finding in findings}


def other_boot(daemon: DaemonProcess, job_id: int, attempt: int) -> None:
    """As if the machine had been started since."""
    path = daemon.home.job(job_id) / f"worker-{attempt}.json"
    record = msgspec.json.decode(path.read_bytes(), type=WorkerRecord)
    path.write_bytes(msgspec.structs.replace(record, boot="another").encode())


async def cut(daemon: DaemonProcess) -> None:
    """Daemon and worker end at once, as in a power cut; then the next daemon starts."""
    daemon.end(signal.SIGKILL)
    for worker in daemon.workers():
        worker.kill()
    psutil.wait_procs(daemon.workers(), timeout=5)
    await daemon.start()


async def test_after_a_reboot_a_run_goes_on_and_says_why(daemon: DaemonProcess) -> None:
    await daemon.submit("steps=60 step=0.02 save=2")
    await daemon.until_step(1, 4)
    daemon.end(signal.SIGKILL)
    for worker in daemon.workers():
        worker.kill()
    other_boot(daemon, 1, 1)
    await daemon.start()
    view = await daemon.until(1, "finished")
    assert view.attempt == 2 and "lost power" in view.notices[0].text
    history = [numbered.event async for numbered in daemon.client.events(1)]
    (was_cut,) = [event for event in history if isinstance(event, e.Interrupted)]
    assert was_cut.reason == "reboot" and was_cut.stage == "train"
    start = (await daemon.client.recovery()).starts[0]
    assert kinds(start.findings) == {"requeued"} and start.findings[0].job == 1


async def test_a_run_that_gets_nowhere_is_left_to_a_person_after_some_cuts(daemon: DaemonProcess) -> None:
    await daemon.submit(LONG)
    for number in range(interruption.MOST + 1):
        await daemon.until_attempt(1, number + 1)
        await daemon.until_step(1, 1)
        await cut(daemon)
    view = await daemon.until(1, "interrupted")
    assert view.error is not None and view.error.code == "interrupted"
    assert f"{interruption.MOST + 1} times" in view.error.hint and "tunesmith resume 1" in view.error.hint
    await daemon.client.resume(1)  # a person may begin the count anew
    assert (await daemon.until_attempt(1, interruption.MOST + 2)).interruptions == 0


async def test_a_run_that_gets_further_is_never_given_up(daemon: DaemonProcess) -> None:
    await daemon.submit(f"{LONG} save=1")
    for number in range(interruption.MOST + 2):
        view = await daemon.until_attempt(1, number + 1)
        done = view.checkpoint.step if view.checkpoint is not None else 0
        await daemon.until_step(1, done + 2)
        await cut(daemon)
    assert (await daemon.client.job(1)).state in ("queued", "running")


async def test_a_worker_that_somebody_told_to_end_is_interrupted_and_goes_on_after_a_reboot(
    daemon: DaemonProcess,
) -> None:
    await daemon.submit(f"{LONG} save=1")
    await daemon.until_step(1, 2)
    daemon.workers()[0].terminate()
    view = await daemon.until(1, "interrupted")
    assert view.interrupted == "terminated" and view.error is not None
    daemon.end(signal.SIGKILL)
    await daemon.start()
    assert (await daemon.client.job(1)).state == "interrupted"  # somebody on this machine wanted it
    daemon.end(signal.SIGKILL)
    other_boot(daemon, 1, 1)
    await daemon.start()  # the machine was shutting down
    assert (await daemon.until_attempt(1, 2)).state == "running"


async def test_a_worker_that_was_never_let_go_is_started_again(daemon: DaemonProcess) -> None:
    daemon.end()
    daemon.environment["TUNESMITH_CRASH_AT"] = "supervisor.started"
    await daemon.start()
    await daemon.submit("steps=1")
    assert daemon.process is not None
    await asyncio.to_thread(daemon.process.wait, 20)
    del daemon.environment["TUNESMITH_CRASH_AT"]
    await daemon.start()
    view = await daemon.until(1, "finished")
    assert view.attempt == 2


async def test_a_worker_whose_run_is_over_is_ended(daemon: DaemonProcess) -> None:
    await daemon.submit("steps=1 linger")
    daemon.environment["TUNESMITH_CANCEL_GRACE_S"] = "3"
    await daemon.until(1, "finished")
    daemon.end(signal.SIGKILL)
    assert len(daemon.workers()) == 1
    daemon.environment["TUNESMITH_CANCEL_GRACE_S"] = "0.2"
    await daemon.start()
    for _ in range(100):
        if not daemon.workers():
            break
        await asyncio.sleep(0.05)
    assert daemon.workers() == []


async def test_an_adopted_run_is_in_the_report_and_a_quiet_start_is_too(daemon: DaemonProcess) -> None:
    await daemon.submit(LONG)
    await daemon.until_step(1, 1)
    daemon.end(signal.SIGKILL)
    await daemon.start()
    for _ in range(100):
        report = await daemon.client.recovery()
        if report.starts[0].findings:
            break
        await asyncio.sleep(0.05)
    assert kinds(report.starts[0].findings) == {"adopted"} and not report.starts[0].rebooted
    await daemon.client.cancel(1)
    await daemon.until(1, "cancelled")
    daemon.end()
    await daemon.start()
    report = await daemon.client.recovery()
    assert report.starts[0].findings == () and kinds(report.starts[1].findings) == {"adopted"}


def test_only_what_dead_processes_left_is_cleaned(tmp_path: Path) -> None:
    home = Home(tmp_path)
    (home.job(1) / "artifacts").mkdir(parents=True)
    (home.job(2) / "artifacts").mkdir(parents=True)
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    dead = [
        tmp_path / f".recovery.json.staged-{ended.pid}",
        home.job(1) / "artifacts" / f".model.staged-{ended.pid}.gguf",
    ]
    kept = [
        tmp_path / f".recovery.json.staged-{os.getppid()}",
        tmp_path / ".mine",
        home.job(2) / "artifacts" / f".model.staged-{ended.pid}.gguf",  # its worker lives
    ]
    for path in (*dead, *kept):
        path.write_text("x")
    found = restart.leftovers(home, {2})
    assert not any(path.exists() for path in dead) and all(path.exists() for path in kept)
    assert [finding.kind for finding in found] == ["cleaned", "cleaned"]


@pytest.mark.parametrize("content", [b"", b"{", b'{"version":99,"format":"tunesmith-recovery"}'])
def test_a_report_that_cannot_be_read_is_no_report(tmp_path: Path, content: bytes) -> None:
    Home(tmp_path).recovery.write_bytes(content)
    assert restart.read_report(Home(tmp_path)).starts == ()
