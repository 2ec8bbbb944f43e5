"""kill -9 of daemon and worker, at any moment: nothing acknowledged is lost and nothing runs twice."""

from __future__ import annotations

import asyncio
import random
import signal

import msgspec
import psutil
import pytest
from daemon_process import DaemonProcess

from tunesmith.daemon.api import events as e


async def test_a_run_outlives_its_daemon_and_is_adopted(daemon: DaemonProcess) -> None:
    await daemon.submit("steps=100 step=0.02")
    before = await daemon.until_step(1, 5)
    daemon.end(signal.SIGKILL)
    assert len(daemon.workers()) == 1
    await asyncio.sleep(0.3)
    await daemon.start()
    view = await daemon.until(1, "finished")
    assert [step for step, _ in view.losses] == list(range(1, 101))
    assert view.attempt == 1 and before.pid is not None
    history = [numbered async for numbered in daemon.client.events(1)]
    assert [numbered.number for numbered in history] == list(range(1, len(history) + 1))
    assert sum(isinstance(numbered.event, e.Adopted) for numbered in history) == 1


async def test_a_run_that_ended_while_no_daemon_was_there_is_finished(daemon: DaemonProcess) -> None:
    await daemon.submit("steps=20 step=0.02")
    await daemon.until_step(1, 2)
    daemon.end(signal.SIGKILL)
    assert psutil.wait_procs(daemon.workers(), timeout=5)[1] == []
    await daemon.start()
    view = await daemon.until(1, "finished")
    assert view.step is not None and view.step.step == 20


async def test_a_run_that_died_while_no_daemon_was_there_goes_on_by_itself(daemon: DaemonProcess) -> None:
    await daemon.submit("steps=40 step=0.02 save=2")
    await daemon.submit("steps=1")
    await daemon.until_step(1, 3)
    daemon.end(signal.SIGKILL)
    daemon.workers()[0].kill()
    await daemon.start()
    view = await daemon.until(1, "finished")
    assert view.attempt == 2 and view.resumed is not None and view.resumed.step >= 2
    assert [step for step, _ in view.losses] == list(range(1, 41))
    assert "no daemon was there" in view.notices[0].text
    await daemon.until(2, "finished")  # what waited still runs


async def test_an_adopted_run_can_be_cancelled(daemon: DaemonProcess) -> None:
    await daemon.submit("steps=1000 step=0.02 deaf child")
    await daemon.until_step(1, 2)
    daemon.end(signal.SIGKILL)
    await daemon.start()
    await daemon.client.cancel(1)
    await daemon.until(1, "cancelled", seconds=5)
    child = int((daemon.home.job(1) / "child.txt").read_text())
    assert daemon.workers() == [] and (
        not psutil.pid_exists(child) or psutil.Process(child).status() == psutil.STATUS_ZOMBIE
    )


async def test_a_killed_worker_is_a_death_with_a_hint(daemon: DaemonProcess) -> None:
    await daemon.submit("steps=1000 step=0.02")
    view = await daemon.until_step(1, 3)
    assert view.pid is not None
    psutil.Process(view.pid).kill()
    view = await daemon.until(1, "failed", seconds=2)
    assert view.error is not None and view.error.code == "worker_died"
    assert "SIGKILL" in view.error.message and "tunesmith jobs logs 1" in view.error.hint
    assert "tunesmith resume 1" in view.error.hint
    assert view.stage("train").state == "failed" and daemon.workers() == []


async def test_half_a_line_at_the_end_is_not_an_event(daemon: DaemonProcess) -> None:
    await daemon.submit("steps=10 die=4 torn")
    view = await daemon.until(1, "failed")
    assert view.step is not None and view.step.step == 3 and view.notices == ()


async def test_a_line_that_is_no_event_becomes_a_notice(daemon: DaemonProcess) -> None:
    await daemon.submit("steps=200 step=0.01")
    await daemon.until_step(1, 2)
    with (daemon.home.job(1) / "journal-1.jsonl").open("ab") as journal:
        journal.write(b'nonsense\n{"type":"adopted","time":1,"pid":1}\n{"type":"stage_started","time":1,"stage":"x"}\n')
    view = await daemon.until(1, "finished")
    assert len(view.notices) == 3 and all("left out" in notice.text for notice in view.notices)


async def test_nobody_elses_process_is_hit_when_a_pid_was_used_again(daemon: DaemonProcess) -> None:
    await daemon.submit("steps=1000 step=0.02")
    await daemon.until_step(1, 2)
    daemon.end(signal.SIGKILL)
    daemon.workers()[0].kill()
    await asyncio.sleep(2)  # no system gives the same number to two processes started at the same moment
    stranger = await asyncio.create_subprocess_exec("sleep", "100", start_new_session=True)
    record = daemon.home.job(1) / "worker-1.json"
    kept = record.read_text()
    pid = msgspec.json.decode(kept)["pid"]
    record.write_text(kept.replace(str(pid), str(stranger.pid)))
    await daemon.start()
    await daemon.until_attempt(1, 2)
    assert stranger.returncode is None and psutil.pid_exists(stranger.pid)
    stranger.kill()
    await stranger.wait()


@pytest.mark.slow
async def test_every_acknowledged_job_survives_daemons_killed_at_random(daemon: DaemonProcess) -> None:
    dice = random.Random(7)
    promised: dict[str, int] = {}
    for round_number in range(12):
        for number in range(2):
            key = f"{round_number}-{number}"
            promised[key] = (await daemon.submit("steps=3", key=key)).id
        await asyncio.sleep(dice.random() * 0.4)
        daemon.end(signal.SIGKILL)
        assert len({process.pid for process in daemon.workers()}) <= 1
        await daemon.start()
    for key, job_id in promised.items():
        view = await daemon.until(job_id, "finished", "failed", "interrupted", seconds=60)
        assert view.state == "finished", view.error
        assert (await daemon.submit("steps=3", key=key)).id == job_id
        numbers = [numbered.number async for numbered in daemon.client.events(job_id)]
        assert numbers == list(range(1, view.last_event + 1))
