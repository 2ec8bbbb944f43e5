"""Jobs from submit to their end, through a real daemon and its socket."""

from __future__ import annotations

import asyncio
import itertools
import time

import msgspec
import psutil
from daemon_process import DaemonProcess

from tunesmith.daemon.api import events as e
from tunesmith.recipes.spec import JobSpec, load


async def test_a_job_runs_to_its_end_and_shows_what_it_did(daemon: DaemonProcess) -> None:
    submitted = await daemon.submit("steps=5")
    assert (submitted.id, submitted.state, submitted.last_event) == (1, "queued", 1)
    view = await daemon.until(1, "finished")
    assert view.step is not None and view.step.step == 5
    assert [step for step, _ in view.losses] == [1, 2, 3, 4, 5]
    assert view.stage("train").state == "done"
    assert "toy worker" in (await daemon.client.log(1)).text
    assert await daemon.client.jobs() == [msgspec.structs.replace(view, losses=(), learning_rates=())]


async def test_the_folder_holds_a_recipe_that_says_the_same(daemon: DaemonProcess) -> None:
    await daemon.submit("steps=1")
    folder = daemon.home.job(1)
    spec = msgspec.json.decode((folder / "spec.json").read_bytes(), type=JobSpec)
    assert load(folder / "recipe.yaml") == spec
    assert spec.tuner["rank"] > 0  # the knobs are filled in


async def test_the_same_key_is_the_same_job(daemon: DaemonProcess) -> None:
    first = await daemon.submit("steps=1", key="once")
    again = await asyncio.gather(*(daemon.submit("steps=1", key="once") for _ in range(8)))
    assert {view.id for view in again} == {first.id}
    assert len(await daemon.client.jobs()) == 1


async def test_one_job_trains_at_a_time_oldest_first(daemon: DaemonProcess) -> None:
    for _ in range(3):
        await daemon.submit("steps=20")
    views = [await daemon.until(number, "finished") for number in (1, 2, 3)]
    for before, after in itertools.pairwise(views):
        assert before.ended is not None and after.started is not None
        assert before.ended <= after.started


async def test_events_are_numbered_without_gap_for_any_reader(daemon: DaemonProcess) -> None:
    await daemon.submit("steps=200 step=0.002")
    streamed = [numbered async for numbered in daemon.client.events(1)]
    whole = [numbered for numbered in streamed if not isinstance(numbered.event, e.Gauged)]
    assert [numbered.number for numbered in whole] == list(range(1, len(whole) + 1))
    assert isinstance(whole[-1].event, e.Finished)
    assert sum(isinstance(numbered.event, e.TrainStep) for numbered in whole) == 200
    late = [numbered async for numbered in daemon.client.events(1, after=150)]
    assert late == whole[150:]
    assert [numbered async for numbered in daemon.client.events(1, after=len(whole))] == []


async def test_a_typed_refusal_is_not_a_death(daemon: DaemonProcess) -> None:
    await daemon.submit("refuse")
    view = await daemon.until(1, "failed")
    assert view.error is not None and view.error.code == "data" and view.error.hint
    assert view.stage("train").state == "failed"


async def test_a_waiting_job_is_cancelled_at_once(daemon: DaemonProcess) -> None:
    await daemon.submit("steps=1000 step=0.05")
    await daemon.submit("steps=1")
    assert (await daemon.client.cancel(2)).state == "cancelled"
    assert not (daemon.home.job(2) / "worker-1.json").exists()


async def test_a_running_job_is_cancelled_by_its_worker(daemon: DaemonProcess) -> None:
    await daemon.submit("steps=1000 step=0.02")
    await daemon.until_step(1, 2)
    assert (await daemon.client.cancel(1)).state == "cancelling"
    assert (await daemon.client.cancel(1)).state in ("cancelling", "cancelled")
    view = await daemon.until(1, "cancelled", seconds=2)
    events = [numbered.event async for numbered in daemon.client.events(1)]
    assert sum(isinstance(event, e.CancelRequested) for event in events) == 1
    assert view.ended is not None and isinstance(events[-1], e.Cancelled)


async def test_a_worker_that_does_not_listen_is_killed_with_its_children(daemon: DaemonProcess) -> None:
    await daemon.submit("steps=1000 step=0.02 deaf child")
    await daemon.until_step(1, 2)
    child = psutil.Process(int((daemon.home.job(1) / "child.txt").read_text()))
    await daemon.client.cancel(1)
    await daemon.until(1, "cancelled", seconds=5)
    assert not child.is_running() or child.status() == psutil.STATUS_ZOMBIE
    assert daemon.workers() == []


async def test_the_next_job_waits_until_a_lingering_worker_is_gone(daemon: DaemonProcess) -> None:
    await daemon.submit("steps=1 linger")
    await daemon.submit("steps=1")
    await daemon.until(2, "finished")
    assert (await daemon.client.job(1)).state == "finished"
    assert daemon.workers() == []


async def test_health_answers_fast_while_a_job_writes_a_thousand_steps_a_second(daemon: DaemonProcess) -> None:
    await daemon.submit("steps=1500 step=0.001")
    await daemon.until_step(1, 1)
    slowest = 0.0
    for _ in range(30):
        began = time.monotonic()
        assert await daemon.client.healthy()
        slowest = max(slowest, time.monotonic() - began)
        await asyncio.sleep(0.02)
    assert slowest < 0.25
    await daemon.client.cancel(1)
