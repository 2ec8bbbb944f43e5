"""What a wizard shows when things around it change: the terminal, another wizard, the daemon, its version, a socket."""

from __future__ import annotations

import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from daemon_process import DaemonProcess
from patience import until
from textual.widgets import Static

from tunesmith.tui import watch
from tunesmith.tui.app import TunesmithApp
from tunesmith.tui.messages import JobEnded
from tunesmith.tui.screens.run import RunStep
from tunesmith.tui.screens.wizard import WizardScreen
from tunesmith.tui.widgets.rail import Rail
from tunesmith.tui.widgets.step_parts import Trouble

OTHER_VERSION = """
from tunesmith.daemon.api import requests
requests.API_VERSION += 1
from tunesmith.daemon.__main__ import main
import sys
sys.exit(main())
"""


@pytest.fixture(autouse=True)
def toys(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A daemon that the wizard starts itself has toy workers too."""
    for key, value in DaemonProcess(tmp_path / "home").environment.items():
        monkeypatch.setenv(key, value)
    monkeypatch.setattr(watch, "PING_INTERVAL_S", 0.2)


@pytest.fixture
async def daemon(tmp_path: Path) -> AsyncIterator[DaemonProcess]:
    process = DaemonProcess(tmp_path / "home")
    await process.start()
    yield process
    if process.process is not None and process.process.poll() is not None and await process.client.healthy():
        await process.client.stop()  # one that a wizard has started
    await process.tidy()


def run_of(app: TunesmithApp) -> RunStep | None:
    """None before the wizard is there, and until its run step is opened."""
    frames = [screen for screen in app.screen_stack if isinstance(screen, WizardScreen)]
    return next(iter(frames[0].query(RunStep)), None) if frames else None


def state(app: TunesmithApp) -> str:
    step = run_of(app)
    return step.view.state if step is not None and step.view is not None else ""


def steps(app: TunesmithApp) -> int:
    """How many are shown to be done."""
    step = run_of(app)
    return step.view.step.step if step is not None and step.view is not None and step.view.step is not None else 0


def link(app: TunesmithApp) -> str:
    """What is said of the link; empty while it holds."""
    step = run_of(app)
    if step is None:
        return ""
    bar = step.query_one("#run-link", Static)
    return str(bar.visual) if bar.display else ""


async def test_a_run_is_where_it_was_when_the_terminal_is_opened_again(daemon: DaemonProcess) -> None:
    await daemon.submit("steps=4000 step=0.02")
    for _ in range(2):
        app = TunesmithApp(daemon.home)
        async with app.run_test(size=(100, 30)) as pilot:
            await until(pilot, lambda app=app: state(app) == "running")
            assert (app.frame.query_one(Rail).current, app.job_id) == ("run", 1)
            app.action_leave()
        assert (await daemon.client.job(1)).state == "running"
    await daemon.client.cancel(1)


async def test_two_wizards_agree(daemon: DaemonProcess) -> None:
    await daemon.submit("steps=4000 step=0.02")
    one, other = TunesmithApp(daemon.home), TunesmithApp(daemon.home)
    async with one.run_test(size=(100, 30)) as here, other.run_test(size=(80, 24)) as there:
        await until(here, lambda: state(one) == "running")
        await until(there, lambda: state(other) == "running")
        step = run_of(one)
        assert step is not None
        await (await one.daemon()).cancel(1)
        await until(here, lambda: state(one) == "cancelled")
        await until(there, lambda: state(other) == "cancelled")
        await until(here, lambda: one.frame.query_one(Rail).working is None)
        await until(there, lambda: other.frame.query_one(Rail).working is None)


async def test_a_killed_daemon_is_started_again_and_the_run_is_shown_on(daemon: DaemonProcess) -> None:
    await daemon.submit("steps=4000 step=0.02")
    app = TunesmithApp(daemon.home)
    async with app.run_test(size=(100, 30)) as pilot:
        await until(pilot, lambda: state(app) == "running" and steps(app))
        daemon.end(signal.SIGKILL)
        step = run_of(app)
        assert step is not None and step.view is not None and step.view.step is not None
        before = step.view.step.step
        await until(pilot, lambda: step.view and step.view.step and step.view.step.step > before + 20)
        await until(pilot, lambda: link(app) == "")
        await (await app.daemon()).cancel(1)
        await until(pilot, lambda: state(app) == "cancelled")


async def test_a_run_that_ends_while_the_wizard_does_is_no_error(daemon: DaemonProcess) -> None:
    app = TunesmithApp(daemon.home)
    async with app.run_test(size=(100, 30)):
        app.job_id = 1
    assert not app.screen_stack
    await app.job_ended(JobEnded(1, "cancelled"))


async def test_a_daemon_that_does_not_answer_is_a_state_and_answers_again(daemon: DaemonProcess) -> None:
    await daemon.submit("steps=4000 step=0.02")
    app = TunesmithApp(daemon.home)
    async with app.run_test(size=(100, 30)) as pilot:
        await until(pilot, lambda: state(app) == "running")
        assert daemon.process is not None
        daemon.process.send_signal(signal.SIGSTOP)
        try:
            await until(pilot, lambda: link(app))
            assert "trying again" in link(app) and "Traceback" not in link(app)
            assert len(link(app).splitlines()) >= 2
        finally:
            daemon.process.send_signal(signal.SIGCONT)
        await until(pilot, lambda: link(app) == "")
        assert app.is_running and state(app) == "running"


async def test_a_daemon_of_another_version_is_said_with_the_next_step(tmp_path: Path) -> None:
    process = DaemonProcess(tmp_path / "home")
    process.command = [sys.executable, "-c", OTHER_VERSION]
    await process.start()
    try:
        app = TunesmithApp(process.home)
        async with app.run_test(size=(100, 30)) as pilot:
            trouble = app.frame.query_one("#trouble", Trouble)
            await until(pilot, lambda: trouble.display)
            said = str(trouble.visual)
            assert "version" in said and "tunesmith daemon" in said
            await pilot.press("s")
            await until(pilot, lambda: "version" in str(trouble.visual))
            assert app.is_running and app.frame.query_one(Rail).current == "machine"
    finally:
        await process.tidy()
