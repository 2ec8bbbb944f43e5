"""The fakes on the path; no animation, English, and a clock that stands still in what is drawn."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from textual.notifications import Notification
from textual.pilot import Pilot

sys.path.insert(0, str(Path(__file__).parents[1] / "fakes"))

from tunesmith.tui import texts

REST_S = 0.05  # longer than a frame


@pytest.fixture(autouse=True)
def calm(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    monkeypatch.setenv("TEXTUAL_ANIMATIONS", "none")
    monkeypatch.setenv("TUNESMITH_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "huggingface"))  # what lies there is listed as here
    monkeypatch.setenv("MODELSCOPE_CACHE", str(tmp_path / "modelscope"))
    monkeypatch.setattr(Notification, "has_expired", False)  # on a busy machine a test can outlast what it looks for
    texts.use("en")
    yield
    texts.use("en")


@pytest.fixture
def snap_compare(snap_compare: Callable[..., bool]) -> Callable[..., bool]:
    """The plugin's own, of a screen that has come to rest: its pilot takes a process that the machine gives no time to
    for one that has nothing left to do.
    """

    def compare(app: object, *, run_before: Callable[[Pilot[Any]], object] | None = None, **more: object) -> bool:
        async def rest(pilot: Pilot[Any]) -> None:
            if run_before is not None and inspect.isawaitable(acting := run_before(pilot)):
                await acting
            await at_rest(pilot)

        return snap_compare(app, run_before=rest, **more)

    return compare


async def at_rest(pilot: Pilot[Any]) -> None:
    """Two pictures, a moment between them, are equal."""
    before, now = "", "nothing yet"
    while before != now:
        await pilot.pause(REST_S)
        before, now = now, pilot.app.export_screenshot()
