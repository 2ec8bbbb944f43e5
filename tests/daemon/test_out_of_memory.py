"""When memory runs out automatic values are made smaller once, by the daemon itself; then a person is asked."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from pathlib import Path

import msgspec
import psutil
import pytest
from daemon_process import DaemonProcess
from toy_room import PLENTY

from tunesmith.daemon import out_of_memory
from tunesmith.daemon.api import events as e
from tunesmith.daemon.api.home import Home, private_folder
from tunesmith.daemon.api.view import JobView
from tunesmith.daemon.ledger import Ledger
from tunesmith.daemon.recovery import WorkerRecord
from tunesmith.daemon.room import Room
from tunesmith.daemon.store import Store
from tunesmith.daemon.submitted import Submitted
from tunesmith.recipes.spec import JobSpec, TrainingSpec, complete, load

EXPLICIT = TrainingSpec(window=128, gradient_checkpointing="off")


async def history(daemon: DaemonProcess, job_id: int) -> list[e.Event]:
    return [numbered.event async for numbered in daemon.client.events(job_id)]


async def until(daemon: DaemonProcess, wanted: Callable[[JobView], bool]) -> JobView:
    """Job 1 once it is as wanted."""
    deadline = time.monotonic() + 60
    while not wanted(view := await daemon.client.job(1)):
        assert time.monotonic() < deadline, view
        await asyncio.sleep(0.01)
    return view


def run_with(daemon: DaemonProcess, job_id: int) -> TrainingSpec:
    """What the worker read."""
    spec = msgspec.json.decode((daemon.home.job(job_id) / "spec.json").read_bytes(), type=JobSpec)
    return spec.training


async def test_a_run_out_of_memory_is_tried_once_more_with_less(daemon: DaemonProcess) -> None:
    await daemon.submit("steps=5 memory=1 save=1")
    watched = [view async for view in daemon.client.watch(1)]
    view = watched[-1]
    assert view.state == "finished" and view.attempt == 2 and view.resumed is not None and view.resumed.step == 1
    assert view.shrunk is not None
    assert {(change.key, change.after) for change in view.shrunk.changes} == {
        ("training.window", "100"), ("training.gradient_checkpointing", "full"),
    }  # fmt: skip
    assert "training.window (from auto to 100)" in view.notices[0].text
    assert (run_with(daemon, 1).window, run_with(daemon, 1).gradient_checkpointing) == (100, "full")
    names = [type(event).__name__ for event in await history(daemon, 1)]
    failed = names.index("Failed")
    assert names[failed : failed + 5] == ["Failed", "Queued", "Shrunk", "Notice", "Started"]


async def test_the_recipe_stays_as_the_person_wrote_it(daemon: DaemonProcess) -> None:
    await daemon.submit("steps=5 memory=1")
    await daemon.until(1, "finished")
    assert load(daemon.home.job(1) / "recipe.yaml").training == TrainingSpec()


async def test_once_and_only_once(daemon: DaemonProcess) -> None:
    await daemon.submit("steps=5 memory=9")
    view = await daemon.until(1, "failed")
    assert view.attempt == 2 and view.error is not None and view.error.code == "out_of_memory"
    assert "quantization: nf4" in view.error.hint and "less)" in view.error.hint
    assert "tunesmith resume 1" in view.error.hint
    await daemon.client.resume(1)  # by a person: no third attempt follows by itself
    await asyncio.sleep(0.2)
    view = await daemon.until(1, "failed")
    assert view.attempt == 3
    assert sum(isinstance(event, e.Shrunk) for event in await history(daemon, 1)) == 1
    assert run_with(daemon, 1).window == 100


async def test_explicit_values_are_never_touched(daemon: DaemonProcess) -> None:
    await daemon.submit("steps=5 memory=1", training=EXPLICIT)
    view = await daemon.until(1, "failed")
    assert view.attempt == 1 and view.shrunk is None and run_with(daemon, 1) == EXPLICIT
    assert view.error is not None and "training.gradient_checkpointing: full" in view.error.hint


async def test_one_explicit_value_stays_and_the_other_shrinks(daemon: DaemonProcess) -> None:
    await daemon.submit("steps=5 memory=1", training=TrainingSpec(gradient_checkpointing="off"))
    view = await daemon.until(1, "finished")
    assert view.shrunk is not None and [change.key for change in view.shrunk.changes] == ["training.window"]
    assert run_with(daemon, 1) == TrainingSpec(window=100, gradient_checkpointing="off")


async def test_what_a_worker_shrank_itself_is_not_shrunk_again_and_stays(daemon: DaemonProcess) -> None:
    await daemon.submit("steps=5 memory=1 shrinks")
    view = await daemon.until(1, "failed")
    assert view.attempt == 1 and view.shrunk is not None and view.notices == ()
    await daemon.client.resume(1)
    await daemon.until(1, "finished")
    assert run_with(daemon, 1).window == 64


async def test_a_worker_that_the_system_killed_for_memory_is_tried_again(daemon: DaemonProcess) -> None:
    daemon.room(kills=0)
    await daemon.submit("steps=5 killed=1")
    view = await daemon.until(1, "finished")
    (failed,) = [event for event in await history(daemon, 1) if isinstance(event, e.Failed)]
    assert view.attempt == 2 and view.shrunk is not None
    assert failed.code == "out_of_memory" and "there was not enough memory" in failed.message


async def test_a_worker_that_somebody_else_killed_is_a_death(daemon: DaemonProcess) -> None:
    daemon.room(kills=3)
    await daemon.submit("steps=1000 step=0.02")
    view = await daemon.until_step(1, 2)
    assert view.pid is not None
    psutil.Process(view.pid).kill()
    view = await daemon.until(1, "failed")
    assert view.error is not None and view.error.code == "worker_died" and view.shrunk is None


async def test_one_that_was_killed_while_no_daemon_was_there_is_tried_again(daemon: DaemonProcess) -> None:
    daemon.room(kills=0)
    await daemon.submit("steps=40 step=0.02")
    await daemon.until_step(1, 2)
    daemon.end(9)
    daemon.workers()[0].kill()
    daemon.room(kills=1)
    await daemon.start()
    view = await daemon.until(1, "finished")
    assert view.shrunk is not None and view.attempt == 2


async def test_a_daemon_restarted_before_the_second_attempt_goes_on(daemon: DaemonProcess) -> None:
    daemon.room()
    await daemon.submit("steps=5 step=0.5 memory=1")
    await daemon.until_step(1, 1)
    daemon.room(free_bytes=1, host_free_bytes=1)  # the second attempt has to wait
    await until(daemon, lambda view: view.shrunk is not None and view.waiting is not None)
    assert run_with(daemon, 1).window is None
    daemon.end(9)
    await daemon.start()
    daemon.room()
    view = await daemon.until(1, "finished")
    assert view.attempt == 2 and run_with(daemon, 1).window == 100
    assert sum(isinstance(event, e.Shrunk) for event in await history(daemon, 1)) == 1


async def test_the_second_attempt_waits_until_the_first_worker_is_gone(daemon: DaemonProcess) -> None:
    await daemon.submit("steps=3 step=0.5 memory=1 linger")
    first = (await daemon.until_step(1, 1)).pid
    await until(daemon, lambda view: view.shrunk is not None)
    daemon.end(9)  # within the grace: nobody has ended the first one
    assert first is not None and psutil.pid_exists(first)
    await daemon.start()
    view = await until(daemon, lambda view: view.attempt == 2)
    assert not psutil.pid_exists(first) or psutil.Process(first).status() == psutil.STATUS_ZOMBIE
    await daemon.until(1, "finished")
    assert view.shrunk is not None


async def test_one_that_failed_while_no_daemon_was_there_is_tried_again(daemon: DaemonProcess) -> None:
    await daemon.submit("steps=5 step=0.5 memory=1")
    await daemon.until_step(1, 1)
    daemon.end(9)
    psutil.wait_procs(daemon.workers(), timeout=5)
    await daemon.start()
    view = await daemon.until(1, "finished")
    assert view.attempt == 2 and view.shrunk is not None


async def test_a_cancelled_run_is_not_tried_again(daemon: DaemonProcess) -> None:
    daemon.room(kills=0)
    await daemon.submit("steps=1000 step=0.02 deaf")
    await daemon.until_step(1, 2)
    await daemon.client.cancel(1)
    daemon.room(kills=1)
    view = await daemon.until(1, "cancelled", seconds=5)  # it was killed by us
    assert view.shrunk is None and view.attempt == 1


async def test_a_cancel_that_comes_while_the_answer_is_made_wins(tmp_path: Path) -> None:
    store = await Store.open(Home(private_folder(tmp_path / "home")))
    await store.add("key", complete(JobSpec()), Submitted())
    assert await store.reserve_attempt(1) == 1
    await store.append(1, [e.Started(time=1.0, attempt=1, pid=7)])
    loop = asyncio.get_running_loop()

    class Machine:
        def now(self, home: Home, device: str) -> Room:
            cancelled = store.append(1, [e.CancelRequested(time=2.0)])
            asyncio.run_coroutine_threadsafe(cancelled, loop).result()
            return Room(PLENTY, PLENTY.disk_free_bytes)

        def memory_kills(self) -> int | None:
            return 0

    failed = e.Failed(time=3.0, code="out_of_memory", message="There was not enough memory", stage="train")
    await Ledger(store, Machine()).write(1, 1, (failed,))
    view = store.get(1)
    assert view.state == "failed" and view.shrunk is None
    await store.close()


@pytest.mark.parametrize(
    ("returncode", "stage", "before", "now", "expected"),
    [
        (-9, "train", 2, 3, True),
        (-9, "probe", 2, 3, True),
        (-9, "train", 2, 2, False),
        (-9, "export", 2, 3, False),
        (-15, "train", 2, 3, False),
        (1, "train", 2, 3, False),
        (None, "train", 2, 3, True),  # of a daemon before: nobody has its exit code
        (-9, "train", None, None, False),  # a system that does not count: it may have been somebody
        (None, "train", None, None, False),
    ],
)
def test_who_was_killed_for_memory(
    returncode: int | None, stage: str, before: int | None, now: int | None, expected: bool
) -> None:
    record = WorkerRecord(7, 1.0, "boot", 7, before)
    assert out_of_memory.killed(record, returncode, stage, now) is expected
