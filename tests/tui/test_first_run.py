"""The first five minutes on an empty machine: a real daemon that the wizard starts itself, and few keys."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from daemon_process import FAKES, DaemonProcess
from textual.pilot import Pilot
from textual.widgets import Static
from toy_starter import WAITS

from tunesmith.daemon.api.events import STAGES
from tunesmith.daemon.api.home import Home
from tunesmith.tui.app import TunesmithApp
from tunesmith.tui.screens.chat import ChatScreen
from tunesmith.tui.screens.run import RunStep
from tunesmith.tui.texts import t
from tunesmith.tui.widgets.chat_pane import ChatPane
from tunesmith.tui.widgets.rail import Rail

MOST_KEYS = 12
PATIENCE = 1200  # times 50 ms


class Person:
    """Presses keys and counts them; waits with patience, which costs none."""

    def __init__(self, pilot: Pilot[None]) -> None:
        self.pilot, self.keys = pilot, 0
        self.explained: set[str] = set()

    async def press(self, *keys: str) -> None:
        self.keys += len(keys)
        await self.pilot.press(*keys)
        await self.pilot.pause()

    async def until(self, what: str) -> None:
        for _ in range(PATIENCE):
            if self.sees(what):
                return
            await self.pilot.pause(0.05)
        raise AssertionError(f"{what} was not reached; {type(self.pilot.app.screen).__name__}")

    def sees(self, what: str) -> bool:
        app = self.pilot.app
        assert isinstance(app, TunesmithApp)
        for step in app.frame.query(RunStep):
            why = step.query_one("#run-why", Static)
            for stage in STAGES:
                if why.display and t(f"run.why_{stage}") in str(why.visual):
                    self.explained.add(stage)
                    (app.home.job(1) / f"seen-{stage}").touch()
        if what == "chat":
            return isinstance(app.screen, ChatScreen)
        if what == "answered":
            turns = app.screen.query_one("#tuned", ChatPane).turns
            return bool(turns) and turns[-1].state == "said"
        if what == "finished":
            return any(step.view is not None and step.view.state == "finished" for step in app.frame.query(RunStep))
        return app.frame.query_one(Rail).current == what


@pytest.fixture
async def empty(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Home]:
    """A machine without anything; the daemon that is started will have toy workers."""
    toys = DaemonProcess(tmp_path / "home", TUNESMITH_WORKER_MODULE="toy_starter")
    for key, value in toys.environment.items():
        monkeypatch.setenv(key, value)
    assert str(FAKES) in os.environ["PYTHONPATH"]
    yield toys.home
    if await toys.client.healthy():
        await toys.client.stop()
    await toys.tidy()


async def test_one_key_leads_from_detection_to_the_chat_and_every_stage_is_explained(
    empty: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(WAITS, "1")
    app = TunesmithApp(empty)
    async with app.run_test(size=(100, 34)) as pilot:
        person = Person(pilot)
        await person.press("s")
        await person.until("chat")
        assert person.keys == 1
        assert person.explained == set(STAGES)
        await person.press("h", "i", "enter")
        await person.until("answered")
        assert person.keys <= MOST_KEYS
        await person.press("escape")
        assert person.sees("result")


async def test_all_steps_with_their_defaults_take_at_most_twelve_keys(empty: Home) -> None:
    app = TunesmithApp(empty)
    async with app.run_test(size=(80, 24)) as pilot:
        person = Person(pilot)
        for step in ("goal", "model", "data", "recipe"):
            await person.press("enter")
            await person.until(step)
        await person.press("ctrl+r")
        await person.until("finished")
        await person.press("enter")
        await person.until("result")
        await person.press("t")
        await person.until("chat")
        await person.press("h", "i", "enter")
        await person.until("answered")
        assert person.keys <= MOST_KEYS


async def test_who_looks_elsewhere_is_left_there(empty: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(WAITS, "1")  # or the run is over before one can look
    app = TunesmithApp(empty)
    async with app.run_test(size=(100, 30)) as pilot:
        person = Person(pilot)
        await person.press("s")
        await person.until("run")
        await person.press("1")
        for stage in STAGES:  # behind another step nobody sees them, and nothing is drawn
            (empty.job(1) / f"seen-{stage}").touch()
        await person.until("finished")
        await pilot.pause(0.3)
        assert person.sees("machine") and not person.sees("chat")
