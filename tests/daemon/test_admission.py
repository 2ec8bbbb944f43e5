"""A job starts when it fits what is free, waits and says for what while it does not, and fails where it never could."""

from __future__ import annotations

import asyncio
import re
import time

import msgspec
import pytest
from daemon_process import DaemonProcess
from toy_room import PLENTY

from tunesmith.daemon import submitted
from tunesmith.daemon.api import events as e
from tunesmith.daemon.api.model_facts import STARTER_MODEL
from tunesmith.daemon.api.requests import Submit
from tunesmith.daemon.api.view import JobView
from tunesmith.recipes.errors import TunesmithError
from tunesmith.recipes.models import catalogue
from tunesmith.recipes.planner import Rows, forecast
from tunesmith.recipes.spec import JobSpec, ModelSpec, complete

GB = 10**9
FREE = 800_000_000
BUSY = {"free_bytes": FREE, "host_free_bytes": FREE}  # of 64 GB; the starter needs more than 1 with any data
SMALL = BUSY | {"memory_bytes": FREE, "host_memory_bytes": FREE}
LONG_ROWS = Rows(rows=500, longest=4000, mean=900.0, held_out=25)


async def until_waiting(daemon: DaemonProcess, job_id: int) -> tuple[JobView, e.Waiting]:
    deadline = time.monotonic() + 10
    while (view := await daemon.client.job(job_id)).waiting is None:
        assert time.monotonic() < deadline, view
        await asyncio.sleep(0.02)
    return view, view.waiting


async def test_it_waits_says_for_what_and_starts_once_memory_is_free(daemon: DaemonProcess) -> None:
    daemon.room(**BUSY)
    await daemon.submit("steps=1")
    view, waiting = await until_waiting(daemon, 1)
    assert view.state == "queued" and not (daemon.home.job(1) / "worker-1.json").exists()
    assert (waiting.what, waiting.free) == ("host", FREE) and 1.5 * GB < waiting.needed < 2.0 * GB
    daemon.room()
    view = await daemon.until(1, "finished")
    assert view.attempt == 1


async def test_it_is_told_again_only_when_it_changes(daemon: DaemonProcess) -> None:
    daemon.room(**BUSY)
    await daemon.submit("steps=1")
    await until_waiting(daemon, 1)
    daemon.room(free_bytes=FREE, host_free_bytes=int(0.97 * FREE))
    await asyncio.sleep(0.3)  # six looks
    assert sum(isinstance(event, e.Waiting) for event in await so_far(daemon, 1)) == 1
    daemon.room(free_bytes=FREE, host_free_bytes=int(0.9 * FREE))
    await asyncio.sleep(0.3)
    told = [event for event in await so_far(daemon, 1) if isinstance(event, e.Waiting)]
    assert [waiting.free for waiting in told] == [FREE, int(0.9 * FREE)]
    daemon.room()
    await daemon.until(1, "finished")


async def so_far(daemon: DaemonProcess, job_id: int) -> list[e.Event]:
    """Of a job that has not ended."""
    last, found = (await daemon.client.job(job_id)).last_event, []
    async for numbered in daemon.client.events(job_id):
        found.append(numbered.event)
        if numbered.number == last:
            break
    return found


async def test_those_behind_one_that_waits_wait_too(daemon: DaemonProcess) -> None:
    daemon.room(**BUSY)
    for _ in range(2):
        await daemon.submit("steps=1")
    await until_waiting(daemon, 1)
    assert (await daemon.client.job(2)).waiting is None
    daemon.room()
    first, second = [await daemon.until(number, "finished") for number in (1, 2)]
    assert first.ended is not None and second.started is not None and first.ended <= second.started


async def test_a_disk_without_room_is_waited_for(daemon: DaemonProcess) -> None:
    daemon.room(disk_free_bytes=GB)
    await daemon.submit("steps=1")
    _, waiting = await until_waiting(daemon, 1)
    assert waiting.what == "disk" and waiting.needed > 2 * GB
    daemon.room()
    await daemon.until(1, "finished")


async def test_one_that_waits_is_cancelled_and_resumed(daemon: DaemonProcess) -> None:
    daemon.room(**BUSY)
    await daemon.submit("steps=1")
    await until_waiting(daemon, 1)
    assert (await daemon.client.cancel(1)).state == "cancelled"
    assert (await daemon.client.resume(1)).state == "queued"
    await until_waiting(daemon, 1)
    daemon.room()
    assert (await daemon.until(1, "finished")).attempt == 1


async def test_one_that_waits_outlives_its_daemon(daemon: DaemonProcess) -> None:
    daemon.room(**BUSY)
    await daemon.submit("steps=1")
    before, _ = await until_waiting(daemon, 1)
    daemon.end(9)
    await daemon.start()
    await asyncio.sleep(0.3)
    assert await daemon.client.job(1) == before
    daemon.room()
    await daemon.until(1, "finished")


async def test_what_never_fits_fails_with_what_is_needed_and_a_way_out(daemon: DaemonProcess) -> None:
    daemon.room(**SMALL)
    await daemon.submit("steps=1")
    await daemon.submit("steps=1")
    view = await daemon.until(1, "failed")
    assert view.error is not None and view.error.code == "does_not_fit" and view.attempt == 0
    assert re.fullmatch(r"The run needs 1\.\d GB of memory, and this machine has 800\.0 MB in all", view.error.message)
    assert "`tunesmith resume 1 --force`" in view.error.hint
    await daemon.until(2, "failed")


async def test_the_way_out_names_values_that_were_forecast(daemon: DaemonProcess) -> None:
    rows = msgspec.structs.replace(LONG_ROWS, longest=1024, mean=300.0)
    spec, facts = complete(JobSpec()), catalogue.find(STARTER_MODEL).facts
    whole = forecast(spec, facts, rows, PLENTY).host_bytes
    quantized = forecast(msgspec.structs.replace(spec, quantization="nf4"), facts, rows, PLENTY).host_bytes
    size = (whole + quantized) // 2
    daemon.room(free_bytes=size, host_free_bytes=size, memory_bytes=size, host_memory_bytes=size)
    await daemon.submit("steps=1", rows=rows)
    view = await daemon.until(1, "failed")
    assert view.error is not None
    assert re.match(r"It would fit with .*quantization: nf4 \(needs \d\.\d GB\)", view.error.hint)
    assert view.forecast is not None and view.forecast.level == "counted"


async def test_rows_that_the_client_knows_count(daemon: DaemonProcess) -> None:
    daemon.room(free_bytes=2 * GB, host_free_bytes=2 * GB)
    await daemon.submit("steps=1")
    await daemon.until(1, "finished")  # with short rows it would fit
    await daemon.submit("steps=1", rows=LONG_ROWS)
    view, waiting = await until_waiting(daemon, 2)
    assert waiting.needed > 2 * GB and view.forecast is not None and view.forecast.tokens == 4000
    daemon.room()
    view = await daemon.until(2, "finished")
    assert view.forecast is not None and view.forecast.level == "counted"


async def test_rows_that_cannot_be_are_refused(daemon: DaemonProcess) -> None:
    with pytest.raises(TunesmithError) as refused:
        await daemon.submit("steps=1", rows=msgspec.structs.replace(LONG_ROWS, longest=0))
    assert refused.value.code == "bad_request"


async def test_force_starts_it_whatever_the_forecast_says_and_is_recorded(daemon: DaemonProcess) -> None:
    daemon.room(**SMALL)
    await daemon.submit("steps=1", force=True, rows=LONG_ROWS)
    view = await daemon.until(1, "finished")
    (notice,) = view.notices
    assert notice.level == "warning" and notice.text.startswith("Started by force: the forecast needs ")
    said = submitted.read(daemon.home.job(1))
    assert (said.force, said.rows) == (True, LONG_ROWS)


async def test_force_starts_one_that_waits(daemon: DaemonProcess) -> None:
    daemon.room(**BUSY)
    await daemon.submit("steps=1")
    await until_waiting(daemon, 1)
    await daemon.client.resume(1, force=True)
    view = await daemon.until(1, "finished")
    assert "by force" in view.notices[0].text


async def test_force_starts_one_that_was_refused_and_outlives_the_daemon(daemon: DaemonProcess) -> None:
    daemon.room(**BUSY)
    await daemon.submit("steps=1000 step=0.05", force=True)
    await daemon.until_step(1, 1)
    await daemon.submit("steps=1", force=True)  # behind the first, with its word on disk only
    daemon.end(9)
    for worker in daemon.workers():
        worker.kill()
    await daemon.start()
    await daemon.client.cancel(1)  # it would go on by itself
    assert "by force" in (await daemon.until(2, "finished")).notices[0].text
    daemon.room(**SMALL)
    await daemon.submit("steps=1")
    await daemon.until(3, "failed")
    await daemon.client.resume(3, force=True)
    await daemon.until(3, "finished")


async def test_a_model_that_cannot_be_read_is_the_workers_to_tell(daemon: DaemonProcess) -> None:
    daemon.room(**SMALL)
    folder = daemon.home.root / "broken"
    folder.mkdir()
    (folder / "config.json").write_text("{")
    (folder / "model.safetensors").write_bytes(b"x")
    spec = JobSpec(name="refuse", model=ModelSpec(source=str(folder)))
    await daemon.client.submit(Submit("broken", spec))
    view = await daemon.until(1, "failed")
    assert view.error is not None and view.error.code == "data" and view.attempt == 1


async def test_a_forecast_that_breaks_down_is_told_and_holds_nothing_up(daemon: DaemonProcess) -> None:
    daemon.room(unknown_field=1)
    await daemon.submit("steps=1")
    view = await daemon.until(1, "finished")
    assert "could not be forecast" in view.notices[0].text


def test_a_submit_of_an_older_client_is_read() -> None:
    old = msgspec.json.encode({"key": "k", "spec": msgspec.to_builtins(JobSpec())})
    assert msgspec.json.decode(old, type=Submit) == Submit("k", JobSpec())


def test_the_known_numbers_of_the_starter_are_those_of_its_model() -> None:
    assert 134_000_000 < catalogue.find(STARTER_MODEL).facts.parameters < 135_000_000
