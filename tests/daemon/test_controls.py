"""What a person asks of a job: pause, resume, stop and keep, retry, move, cancel, remove; twice is as good as once."""

from __future__ import annotations

import pytest
from daemon_process import DaemonProcess

from tunesmith.daemon.api import events as e
from tunesmith.recipes.errors import TunesmithError

LONG = "steps=2000 step=0.02 save=1"


async def history(daemon: DaemonProcess, job_id: int) -> list[e.Event]:
    return [numbered.event async for numbered in daemon.client.events(job_id)]


async def refusal(asked: object) -> str:
    with pytest.raises(TunesmithError) as refused:
        await asked  # type: ignore[misc]
    assert refused.value.hint
    return refused.value.code


async def test_a_paused_run_makes_room_and_goes_on_exactly_where_it_was(daemon: DaemonProcess) -> None:
    await daemon.submit("steps=60 step=0.02 save=1")
    await daemon.submit("steps=1")
    await daemon.until_step(1, 3)
    assert (await daemon.client.pause(1)).state in ("pausing", "paused")
    assert (await daemon.client.pause(1)).state in ("pausing", "paused")
    paused = await daemon.until(1, "paused")
    await daemon.until(2, "finished")
    assert paused.pid is None and paused.checkpoint is not None and daemon.workers() == []
    await daemon.client.resume(1)
    view = await daemon.until(1, "finished")
    assert view.resumed is not None and view.resumed.step >= paused.checkpoint.step
    assert [step for step, _ in view.losses] == list(range(1, 61))
    said = [type(event) for event in await history(daemon, 1)]
    assert said.count(e.PauseRequested) == said.count(e.Paused) == 1 and e.Cancelled not in said


async def test_a_waiting_run_is_paused_at_once_and_keeps_its_place(daemon: DaemonProcess) -> None:
    await daemon.submit(LONG)
    for _ in range(2):
        await daemon.submit("steps=1")
    assert (await daemon.client.pause(2)).state == "paused"
    await daemon.client.cancel(1)
    await daemon.until(3, "finished")
    assert (await daemon.client.job(2)).state == "paused"
    await daemon.client.resume(2)
    await daemon.until(2, "finished")


async def test_a_worker_that_does_not_listen_is_paused_all_the_same(daemon: DaemonProcess) -> None:
    await daemon.submit(f"{LONG} deaf")
    await daemon.until_step(1, 2)
    await daemon.client.pause(1)
    assert await refusal(daemon.client.resume(1)) == "pausing"
    await daemon.until(1, "paused", seconds=10)
    assert daemon.workers() == []


async def test_a_run_that_is_being_paused_or_is_can_be_cancelled(daemon: DaemonProcess) -> None:
    await daemon.submit(f"{LONG} deaf")
    await daemon.until_step(1, 2)
    await daemon.client.pause(1)
    assert (await daemon.client.cancel(1)).state == "cancelling"
    await daemon.until(1, "cancelled", seconds=10)
    await daemon.submit("steps=1", force=False)
    await daemon.until(2, "finished")
    await daemon.submit(LONG)
    await daemon.until_step(3, 1)
    await daemon.submit("steps=1")
    await daemon.client.pause(4)
    assert (await daemon.client.cancel(4)).state == "cancelled"
    assert await refusal(daemon.client.pause(4)) == "ended_already"


async def test_a_pause_that_was_asked_for_outlives_the_daemon(daemon: DaemonProcess) -> None:
    await daemon.submit(f"{LONG} deaf")
    await daemon.until_step(1, 2)
    await daemon.client.pause(1)
    daemon.end(9)
    await daemon.start()
    await daemon.until(1, "paused", seconds=10)


async def test_stop_and_keep_finishes_with_what_was_learned(daemon: DaemonProcess) -> None:
    await daemon.submit(LONG)
    await daemon.until_step(1, 3)
    assert (await daemon.client.finish(1)).finishing
    await daemon.client.finish(1)
    view = await daemon.until(1, "finished")
    assert view.step is not None and 3 <= view.step.step < 2000
    assert (await daemon.client.finish(1)).state == "finished"
    assert sum(isinstance(event, e.FinishRequested) for event in await history(daemon, 1)) == 1


async def test_there_must_be_something_to_keep(daemon: DaemonProcess) -> None:
    await daemon.submit(LONG)
    await daemon.submit("steps=1")
    assert await refusal(daemon.client.finish(2)) == "nothing_to_keep"


async def test_stop_and_keep_is_remembered_when_the_daemon_and_the_worker_die(daemon: DaemonProcess) -> None:
    await daemon.submit(f"{LONG} keepless=1")
    await daemon.until_step(1, 3)
    worker = daemon.workers()[0]
    worker.suspend()  # so that it cannot obey
    await daemon.client.finish(1)
    daemon.end(9)
    worker.kill()
    await daemon.start()
    view = await daemon.until(1, "finished")
    assert view.attempt == 2 and view.step is not None and view.step.step < 2000


async def test_a_retry_is_a_new_run_of_the_same_recipe(daemon: DaemonProcess) -> None:
    await daemon.submit("steps=3 refuse")
    old = await daemon.until(1, "failed")
    again = await daemon.client.retry(1, "again")
    assert again.id == 2 and again.name == old.name
    assert (await daemon.client.retry(1, "again")).id == 2
    assert await daemon.until(2, "failed") and (await daemon.client.job(1)) == old
    await daemon.submit(LONG)
    assert await refusal(daemon.client.retry(3, "third")) == "still_living"


async def test_runs_that_wait_are_moved(daemon: DaemonProcess) -> None:
    await daemon.submit(LONG)
    for _ in range(4):
        await daemon.submit("steps=1")
    await daemon.until_step(1, 1)
    await daemon.client.move(5)  # to the front
    await daemon.client.move(2, before=4)
    await daemon.client.move(2, before=4)
    assert await refusal(daemon.client.move(1)) == "not_queued"
    assert await refusal(daemon.client.move(2, before=99)) == "unknown_job"
    daemon.end(9)  # the order is on the disk
    await daemon.start()
    await daemon.client.cancel(1)
    views = [await daemon.until(number, "finished") for number in (5, 3, 2, 4)]
    started = [view.started or 0.0 for view in views]
    assert started == sorted(started)


async def test_a_run_that_has_ended_is_removed_whole_and_for_good(daemon: DaemonProcess) -> None:
    await daemon.submit("steps=1", key="once")
    await daemon.until(1, "finished")
    await daemon.client.remove(1)
    await daemon.client.remove(1)
    assert not daemon.home.job(1).exists() and await daemon.client.jobs() == []
    assert await refusal(daemon.client.job(1)) == "unknown_job"
    assert await refusal(daemon.submit("steps=1", key="once")) == "removed"
    daemon.end(9)
    await daemon.start()
    assert await refusal(daemon.submit("steps=1", key="once")) == "removed"
    assert (await daemon.submit(LONG)).id == 2  # its number is not used again
    assert await refusal(daemon.client.remove(2)) == "still_living"
    assert await refusal(daemon.client.remove(9)) == "unknown_job"
