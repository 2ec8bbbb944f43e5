"""A run that waits for memory, on the command line: why it waits, and how a person starts it all the same."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from rich.console import Console

from tunesmith.daemon.api import events as e
from tunesmith.daemon.api.home import Home
from tunesmith.daemon.api.view import JobView
from tunesmith.tui.cli import progress, render

FAKES = Path(__file__).parents[2] / "fakes"
WAITING = JobView(3, "mine", waiting=e.Waiting(time=1.0, what="device", needed=9_600_000_000, free=2_100_000_000))
WHY = "waits for GPU memory: needs 9.6 GB, 2.1 GB free"


@pytest.fixture
def busy(home: Home, monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """A real daemon with a toy worker, on a machine whose memory others hold until this is called."""
    for name, value in (
        ("WORKER_MODULE", "toy_worker"), ("ROOM_MODULE", "toy_room"), ("FREE_DISK_NEEDED", "0"),
        ("ADMISSION_RETRY_S", "0.05"),
    ):  # fmt: skip
        monkeypatch.setenv(f"TUNESMITH_{name}", value)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(FAKES), *filter(None, sys.path)]))
    home.root.mkdir()
    said = home.root / "room.json"
    said.write_bytes(msgspec.json.encode({"host_free_bytes": 10**8, "free_bytes": 10**8}))
    return said.unlink


def until(tunesmith: Any, wanted: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
    """The newest run in `jobs list --json` once it is as wanted."""
    deadline = time.monotonic() + 60
    while not wanted(run := tunesmith("jobs", "list", "--json").json["jobs"][0]):
        assert time.monotonic() < deadline, run
        time.sleep(0.1)
    assert isinstance(run, dict)
    return run


def test_list_and_show_say_what_it_waits_for_until_it_is_forced(
    busy: Callable[[], None], tunesmith: Any, recipe: Callable[[str], str]
) -> None:
    assert tunesmith("run", recipe("steps=1")).code == 0
    run = until(tunesmith, lambda run: run["waiting"] is not None)
    assert run["state"] == "queued" and run["waiting"]["what"] == "host" and run["waiting"]["free"] == 10**8
    assert "waits for memory" in tunesmith("jobs", "list").out
    assert "tunesmith resume 1 --force" in tunesmith("jobs", "show", "1").out
    ran = tunesmith("resume", "1", "--force", "--wait")
    assert ran.code == 0 and "Started by force" in ran.err


def test_run_takes_force_along(busy: Callable[[], None], tunesmith: Any, recipe: Callable[[str], str]) -> None:
    ran = tunesmith("run", recipe("steps=1"), "--force", "--wait")
    assert ran.code == 0 and "warning: Started by force: the forecast needs" in ran.err


def test_what_it_waits_for_is_told_while_it_is_followed() -> None:
    assert f"run 3: {WHY}" in progress.changes(None, WAITING)
    assert progress.changes(WAITING, WAITING) == []
    console = Console(width=100, record=True)
    console.print(progress.picture(WAITING))
    shown = console.export_text()
    assert WHY in shown and "tunesmith resume 3 --force" in shown


def test_a_run_that_started_waits_for_nothing() -> None:
    assert render.waiting_text(WAITING) == WHY
    assert render.waiting_text(msgspec.structs.replace(WAITING, state="cancelled")) == ""
