"""`tunesmith jobs` over a real daemon: what changes a run, what is shown of the disk, what a restart found."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "fakes"))

from daemon_process import DaemonProcess

from tunesmith.daemon.api.home import Home


@pytest.fixture
async def daemon(home: Home) -> AsyncIterator[DaemonProcess]:
    process = DaemonProcess(home.root)
    await process.start()
    yield process
    await process.tidy()


async def ran(tunesmith: Any, *arguments: str) -> Any:
    return await asyncio.to_thread(tunesmith, *arguments)


async def test_a_run_is_paused_moved_resumed_finished_retried_and_removed(
    tunesmith: Any, daemon: DaemonProcess
) -> None:
    await daemon.submit("steps=2000 step=0.02 save=1")
    await daemon.submit("steps=1")
    await daemon.submit("steps=1")
    await daemon.until_step(1, 2)
    assert (await ran(tunesmith, "jobs", "move", "3", "--before", "2", "--json")).json["state"] == "queued"
    assert (await ran(tunesmith, "jobs", "pause", "1", "--json")).json["state"] in ("pausing", "paused")
    await daemon.until(2, "finished")
    assert "run 1 " in (await ran(tunesmith, "jobs", "resume", "1")).out
    await daemon.until_step(1, 3)
    assert (await ran(tunesmith, "jobs", "finish", "1", "--json")).json["finishing"] is True
    await daemon.until(1, "finished")
    again = await ran(tunesmith, "jobs", "retry", "2", "--json")
    assert again.json["run"] == 4
    await daemon.until(4, "finished")
    refused = await ran(tunesmith, "jobs", "remove", "4", "--json")
    assert refused.code == 1 and refused.json["error"]["code"] == "not_confirmed"
    assert (await ran(tunesmith, "jobs", "remove", "4", "--yes", "--json")).json["removed"] is True
    listed = (await ran(tunesmith, "jobs", "list", "--sizes", "--json")).json["jobs"]
    assert [job["run"] for job in listed] == [3, 2, 1] and listed[0]["bytes"]["journals"] > 0
    assert "checkpoints" in (await ran(tunesmith, "jobs", "list", "--sizes")).out


async def test_cleaning_shows_first_and_removes_only_when_told_to(tunesmith: Any, daemon: DaemonProcess) -> None:
    await daemon.submit("steps=2")
    await daemon.until(1, "finished")
    (daemon.home.job(1) / "work-1").mkdir()
    (daemon.home.job(1) / "work-1" / "weights").write_bytes(b"x" * 5000)
    shown = await ran(tunesmith, "jobs", "clean", "--keep", "0", "--dry-run")
    assert shown.code == 0 and "work" in shown.err and "would be freed" in shown.out
    assert (await ran(tunesmith, "jobs", "clean", "--keep", "0")).code == 1
    assert (daemon.home.job(1) / "work-1").exists()
    done = await ran(tunesmith, "jobs", "clean", "--keep", "0", "--older-than", "0m", "--yes", "--json")
    assert done.json["bytes"] == 5000 and not (daemon.home.job(1) / "work-1").exists()
    assert (await ran(tunesmith, "jobs", "clean", "--older-than", "soon", "--json")).json["error"]["code"] == "usage"


async def test_recover_tells_what_was_found_and_lets_it_go_on(tunesmith: Any, daemon: DaemonProcess) -> None:
    await daemon.submit("steps=100 step=0.02 save=1")
    await daemon.until_step(1, 2)
    daemon.workers()[0].terminate()
    await daemon.until(1, "interrupted")
    told = await ran(tunesmith, "jobs", "recover")
    assert "nothing was left unfinished" in told.out and "run 1 is interrupted" in told.out
    assert (await ran(tunesmith, "jobs", "recover", "--resume", "--json")).json["resumed"][0]["run"] == 1
    await daemon.until(1, "finished")


async def test_a_damaged_database_is_put_aside_and_the_runs_are_listed_again(
    tunesmith: Any, daemon: DaemonProcess
) -> None:
    await daemon.submit("steps=2")
    await daemon.until(1, "finished")
    refused = await ran(tunesmith, "jobs", "recover", "--rebuild", "--json")
    assert refused.code == 1 and refused.json["error"]["code"] == "rebuild_refused"
    daemon.end()
    daemon.home.database.write_bytes(b"noise" * 5000)
    assert "--rebuild" in (await ran(tunesmith, "jobs", "list")).err
    found = await ran(tunesmith, "jobs", "recover", "--rebuild", "--json")
    assert found.code == 0 and "put aside" in found.err
    assert [finding["kind"] for finding in found.json["starts"][0]["findings"]] == ["restored"]
    (job,) = (await ran(tunesmith, "jobs", "list", "--json")).json["jobs"]
    assert job["state"] == "finished" and list(daemon.home.root.glob("*.aside-*"))
