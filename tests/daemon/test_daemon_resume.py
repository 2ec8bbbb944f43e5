"""Failed and cancelled jobs go on in another attempt, through a real daemon and its socket."""

from __future__ import annotations

import asyncio
import random

import psutil
import pytest
from daemon_process import DaemonProcess

from tunesmith.daemon.api import events as e
from tunesmith.recipes.errors import TunesmithError


def numbered_steps(steps: int) -> list[int]:
    return list(range(1, steps + 1))


async def test_a_job_that_died_goes_on_from_what_it_saved(daemon: DaemonProcess) -> None:
    await daemon.submit("steps=12 save=5 die=8")
    failed = await daemon.until(1, "failed")
    assert failed.checkpoint is not None and failed.checkpoint.step == 5
    again = await daemon.client.resume(1)
    assert again.state in ("queued", "running") and again.error is None and again.checkpoint == failed.checkpoint
    view = await daemon.until(1, "finished")
    assert view.attempt == 2 and view.resumed is not None and view.resumed.step == 5
    assert [step for step, _ in view.losses] == numbered_steps(12)
    events = [numbered async for numbered in daemon.client.events(1)]
    assert [numbered.number for numbered in events] == numbered_steps(len(events))
    assert [type(numbered.event) for numbered in events if isinstance(numbered.event, e.TERMINAL)] == [
        e.Failed, e.Finished,
    ]  # fmt: skip


async def test_without_a_checkpoint_a_resumed_job_begins_anew(daemon: DaemonProcess) -> None:
    await daemon.submit("steps=12 die=8")
    await daemon.until(1, "failed")
    await daemon.client.resume(1)
    view = await daemon.until(1, "finished")
    assert view.resumed is None and [step for step, _ in view.losses] == numbered_steps(12)


async def test_resuming_twice_is_as_good_as_once(daemon: DaemonProcess) -> None:
    await daemon.submit("steps=100 step=0.01 refuse")
    await daemon.until(1, "failed")
    views = await asyncio.gather(*(daemon.client.resume(1) for _ in range(8)))
    assert {view.id for view in views} == {1}
    await daemon.until_step(1, 2)
    assert (await daemon.client.resume(1)).state == "running"
    view = await daemon.until(1, "finished")
    events = [numbered.event async for numbered in daemon.client.events(1)]
    assert view.attempt == 2 and sum(isinstance(event, e.Queued) for event in events) == 2


async def test_a_cancelled_job_can_be_resumed_whether_it_ran_or_waited(daemon: DaemonProcess) -> None:
    await daemon.submit("steps=40 step=0.02 save=2")
    await daemon.submit("steps=1")
    await daemon.client.cancel(2)
    await daemon.until_step(1, 4)
    await daemon.client.cancel(1)
    await daemon.until(1, "cancelled")
    await daemon.client.resume(1)
    await daemon.client.resume(2)
    assert [step for step, _ in (await daemon.until(1, "finished")).losses] == numbered_steps(40)
    await daemon.until(2, "finished")


async def test_a_finished_job_is_not_resumed(daemon: DaemonProcess) -> None:
    await daemon.submit("steps=1")
    await daemon.until(1, "finished")
    with pytest.raises(TunesmithError, match="has finished") as refused:
        await daemon.client.resume(1)
    assert refused.value.code == "ended_already"
    with pytest.raises(TunesmithError) as unknown:
        await daemon.client.resume(9)
    assert unknown.value.code == "unknown_job"


async def test_a_job_queued_again_outlives_its_daemon(daemon: DaemonProcess) -> None:
    await daemon.submit("steps=30 step=0.02 save=1 die=10")
    await daemon.until(1, "failed")
    await daemon.client.resume(1)
    daemon.end(9)
    await daemon.start()
    view = await daemon.until(1, "finished", "failed")
    if view.state == "failed":  # its worker had not been let go yet
        await daemon.client.resume(1)
        view = await daemon.until(1, "finished")
    assert [step for step, _ in view.losses] == numbered_steps(30)


@pytest.mark.slow
async def test_workers_killed_at_random_are_resumed_to_the_end(daemon: DaemonProcess) -> None:
    dice = random.Random(3)
    for job in range(1, 6):
        await daemon.submit("steps=60 step=0.005 save=3")
        for _ in range(4):
            view = await daemon.until_step(job, 1)
            await asyncio.sleep(dice.random() * 0.2)
            if view.pid is not None:
                try:
                    psutil.Process(view.pid).kill()
                except psutil.NoSuchProcess:
                    break
            view = await daemon.until(job, "failed", "finished")
            if view.state == "finished":
                break
            await daemon.client.resume(job)
        view = await daemon.until(job, "finished")
        assert [step for step, _ in view.losses] == numbered_steps(60)
