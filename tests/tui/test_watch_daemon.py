"""The live screens over a real daemon: it is killed under them, and the run is shown to its end."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from daemon_process import DaemonProcess
from live import Alone
from textual.widgets import Input, Static

from tunesmith.daemon.api.client import Client
from tunesmith.tui import watch
from tunesmith.tui.screens.chat import ChatScreen
from tunesmith.tui.screens.run import RunStep
from tunesmith.tui.widgets.chat_pane import ChatPane
from tunesmith.tui.widgets.loss_chart import LossChart


@pytest.fixture
async def daemon(tmp_path: Path) -> AsyncIterator[DaemonProcess]:
    process = DaemonProcess(tmp_path / "home")
    await process.start()
    yield process
    await process.tidy()


async def test_a_run_is_shown_whole_over_a_daemon_that_was_killed(
    daemon: DaemonProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watch, "PING_INTERVAL_S", 0.2)
    starting = asyncio.Lock()

    async def clients() -> Client:
        async with starting:
            if not await daemon.client.healthy():
                await daemon.start()
            return daemon.client

    await daemon.submit("steps=40 step=0.05")
    app = Alone(RunStep(clients))
    async with app.run_test(size=(100, 30)) as pilot:
        step = app.query_one(RunStep)
        step.show_job(1)
        await daemon.until_step(1, 3)
        daemon.end(signal.SIGKILL)
        for _ in range(400):
            await pilot.pause(0.05)
            if step.view is not None and step.view.ended_already:
                break
        assert step.view is not None and step.view.state == "finished"
        assert [number for number, _ in app.query_one(LossChart).losses] == list(range(1, 41))
        assert step.lost is None


async def test_an_endless_answer_is_stopped_and_the_next_question_is_answered(daemon: DaemonProcess) -> None:
    await daemon.submit("steps=1")
    view = await daemon.until(1, "finished")
    artifacts = daemon.home.job(view.id) / "artifacts"
    artifacts.mkdir(exist_ok=True)
    (artifacts / "model-q8_0.gguf").write_bytes(b"GGUF")

    async def clients() -> Client:
        return daemon.client

    app = Alone(Static())
    async with app.run_test() as pilot:
        screen = ChatScreen(clients, 1)
        await app.push_screen(screen)
        await pilot.pause()
        pane = screen.query_one("#tuned", ChatPane)

        async def ask(text: str) -> None:
            screen.query_one("#question", Input).value = text
            await pilot.press("enter")

        await ask("go on slowly")
        for _ in range(100):
            await pilot.pause(0.05)
            if "andand" in pane.turns[-1].text:
                break
        await pilot.press("escape")
        await pilot.pause(0.1)
        assert pane.turns[-1].state == "stopped" and not pane.busy
        await ask("hello there")
        for _ in range(100):
            await pilot.pause(0.05)
            if not pane.busy:
                break
        assert (pane.turns[-1].text, pane.turns[-1].state) == ("hellothere", "said")
