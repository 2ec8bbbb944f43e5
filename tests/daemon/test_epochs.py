"""The words of an attempt count only while it is the newest and at work; what a worker is told it does not decide."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from daemon_process import DaemonProcess

from tunesmith.daemon.api import events as e
from tunesmith.daemon.api.home import Home, private_folder
from tunesmith.daemon.store import Store
from tunesmith.daemon.submitted import Submitted
from tunesmith.recipes.spec import JobSpec, complete

STEP = e.TrainStep(
    time=0.0, step=1, total_steps=9, epoch=1.0, loss=1.0, learning_rate=1.0, gradient_norm=1.0, tokens_per_second=1.0,
    memory_bytes=1, eta_s=1.0,
)  # fmt: skip


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    """With one job at work, in its first attempt."""
    made = await Store.open(Home(private_folder(tmp_path / "home")))
    await made.add("key", complete(JobSpec()), Submitted())
    await begin(made)
    yield made
    await made.close()


async def begin(store: Store) -> int:
    attempt = await store.reserve_attempt(1)
    await store.append(1, [e.Started(time=1.0, attempt=attempt, pid=7)])
    return attempt


async def test_an_older_attempt_changes_nothing_once_a_newer_one_was_begun(store: Store) -> None:
    await store.append(1, [e.Failed(time=2.0, code="x", message="x"), e.Queued(time=2.0)])
    assert await begin(store) == 2
    before = store.get(1)
    late = [STEP, e.Finished(time=3.0, seconds=1.0)]
    assert await store.append(1, late, offset=999, epoch=1) == []
    assert store.get(1) == before and store.offset(1, 1) is None and store.offset(1, 2) == 0
    assert await store.append(1, [STEP], offset=5, epoch=2) == [STEP]


async def test_reserving_alone_is_enough(store: Store) -> None:
    await store.append(1, [e.Failed(time=2.0, code="x", message="x"), e.Queued(time=2.0)])
    await store.reserve_attempt(1)
    assert await store.append(1, [e.Notice(time=3.0, level="info", text="late")], epoch=1) == []


async def test_a_worker_that_still_talks_while_its_job_waits_again_is_not_heard(store: Store) -> None:
    await store.append(1, [e.Failed(time=2.0, code="x", message="x"), e.Queued(time=2.0)])
    late = e.Failed(time=3.0, code="late", message="late")
    assert await store.append(1, [late], offset=50, epoch=1) == []
    assert store.get(1).state == "queued" and store.offset(1, 1) == 50


@pytest.mark.parametrize(
    ("asked", "state"), [(e.PauseRequested, "paused"), (e.CancelRequested, "cancelled"), (None, "interrupted")]
)
async def test_why_a_worker_stopped_is_what_was_asked_of_it(
    store: Store, asked: type[e.PauseRequested | e.CancelRequested] | None, state: str
) -> None:
    if asked is not None:
        await store.append(1, [asked(time=2.0)])
    await store.append(1, [e.Cancelled(time=3.0)], epoch=1)
    assert store.get(1).state == state


async def test_attempts_count_on_after_a_restart(store: Store) -> None:
    await store.append(1, [e.Failed(time=2.0, code="x", message="x"), e.Queued(time=2.0)])
    again = await Store.open(store.home)
    assert await again.reserve_attempt(1) == 2
    await again.close()


async def test_the_job_s_folder_says_which_attempt_may_publish(daemon: DaemonProcess) -> None:
    await daemon.submit("steps=2 die=2 save=1")
    await daemon.until(1, "failed")
    assert (daemon.home.job(1) / "epoch").read_text() == "1\n"
    await daemon.client.resume(1)
    await daemon.until(1, "finished")
    assert (daemon.home.job(1) / "epoch").read_text() == "2\n"


async def test_no_attempt_begins_while_a_worker_of_any_earlier_one_lives(daemon: DaemonProcess) -> None:
    """Its record is all that is known of it: the attempt in between was reserved and never started."""
    await daemon.submit("steps=3 step=0.4 memory=1 linger")
    first = (await daemon.until_step(1, 1)).pid
    while (await daemon.client.job(1)).shrunk is None:  # noqa: ASYNC110  # another process changes it
        await asyncio.sleep(0.02)
    daemon.environment["TUNESMITH_CRASH_AT"] = "supervisor.reserved"
    daemon.end(9)
    await daemon.start()
    assert daemon.process is not None
    await asyncio.to_thread(daemon.process.wait, 20)
    assert [worker.pid for worker in daemon.workers()] == [first]
    del daemon.environment["TUNESMITH_CRASH_AT"]
    await daemon.start()
    view = await daemon.until(1, "finished")
    assert view.attempt == 3 and first not in [worker.pid for worker in daemon.workers()]
