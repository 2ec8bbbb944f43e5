"""Errors of the daemon in another language: what the code means there, what to do, and the words with their values."""

from __future__ import annotations

import pytest
from live import START, Alone, FakeClient, failed

from tunesmith.daemon.api import events as e
from tunesmith.daemon.api.requests import ChatFailed
from tunesmith.recipes.errors import DataError, ErrorBody, JobError
from tunesmith.tui import explained, texts
from tunesmith.tui.explained import SAID, sentences, told
from tunesmith.tui.screens.jobs import JobsScreen
from tunesmith.tui.screens.run import RunStep
from tunesmith.tui.spoken.asking import Asker
from tunesmith.tui.widgets.error_panel import ErrorPanel

FULL = ErrorBody("disk_full", "The disk is full: 12.0 MB left, 540.0 MB needed", "Free some space.")


def test_english_is_what_the_daemon_says() -> None:
    assert told(FULL) == (FULL.message, FULL.hint)


@pytest.mark.parametrize(
    "error",
    [FULL, ChatFailed(FULL.code, FULL.message, FULL.hint), JobError(FULL.message, FULL.hint, FULL.code)],
    ids=["body", "event", "exception"],
)
def test_another_language_explains_the_code_and_keeps_the_words_with_their_values(error: explained.Coded) -> None:
    texts.use("zh")
    message, hint = told(error)
    assert message == "磁盘空间不够。" and "tunesmith jobs clean" in hint
    assert hint.endswith("原文：The disk is full: 12.0 MB left, 540.0 MB needed. Free some space.")
    assert sentences(error).splitlines()[0] == message


def test_what_nobody_explained_and_what_the_wizard_says_itself_stay_as_they_are() -> None:
    texts.use("zh")
    assert told(ErrorBody("of_a_newer_daemon", "New.", "Update.")) == ("New.", "Update.")
    assert told(DataError("没有文件", "填写文件", SAID)) == ("没有文件", "填写文件")


def test_a_language_without_explanations_shows_the_words_as_they_came(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(texts, "_language", "pt")
    assert told(FULL) == (FULL.message, FULL.hint)


async def test_a_failed_run_and_a_daemon_that_is_gone_are_explained_on_screen() -> None:
    texts.use("zh")
    end = e.Failed(time=START, code=FULL.code, stage="train", message=FULL.message, hint=FULL.hint)
    client = FakeClient(broken=[*failed()[:-1], end])
    app = Alone(RunStep(client.clients))
    async with app.run_test(size=(100, 30)) as pilot:
        step = app.query_one(RunStep)
        step.show_job(1)
        for _ in range(300):
            await pilot.pause(0.01)
            if step.view is not None and step.query_one(ErrorPanel).error is not None:
                break
        said = str(step.query_one(ErrorPanel).render())
        assert said.index("磁盘空间不够") < said.index("12.0 MB left")
        client.down = True
        await app.push_screen(JobsScreen(client.clients))
        for _ in range(300):
            await pilot.pause(0.01)
            note = str(app.screen.query_one("#jobs-note").render())
            if "守护进程没有应答" in note:
                break
        assert "The daemon does not answer" in note


def test_the_spoken_wizard_explains_it_too() -> None:
    texts.use("zh")
    said: list[str] = []
    Asker(lambda: "", said.append).fault(FULL)
    assert said[0].endswith("磁盘空间不够。") and said[-1].startswith("原文：")
