"""Errors of the daemon in another language: what the code means there, what to do, and the words with their values."""

from __future__ import annotations

import re

import msgspec
import pytest
from histories import START, failed
from live import Alone, FakeClient

from tunesmith.daemon.api import events as e
from tunesmith.daemon.api.requests import ChatFailed
from tunesmith.recipes.errors import DataError, ErrorBody, JobError
from tunesmith.recipes.machine import Device, Holder, Warning
from tunesmith.recipes.nvidia import faults, limits
from tunesmith.recipes.nvidia.nvml import OUR_RUN
from tunesmith.recipes.nvidia.visible import Shown
from tunesmith.recipes.torch_build import TorchBuild
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


def warnings_of_a_gpu() -> list[Warning]:
    """As the sources make them, with all that they name."""
    import pynvml

    hot = Device("cuda", "NVIDIA H200", 100, 20, note="sm_52", index=3, slowed_by_heat=True, temperature_c=91,
                 capability=(5, 2), runtime="12.2", driver="535")  # fmt: skip
    torches = (TorchBuild("2.13", None), TorchBuild("2.13", "13.0"))
    made = [found for torch in torches if (found := limits.unusable(hot, torch)) is not None]
    made += [found for found in (limits.unusable(msgspec.structs.replace(hot, runtime="13.1"), torches[1]),) if found]
    made += limits.limits(hot)
    for users in ((Holder(77, "python", 60),), (Holder(78, OUR_RUN, 60),)):
        made += limits.limits(msgspec.structs.replace(hot, used_by=users, slowed_by_heat=False))
    for error in (pynvml.NVMLError_GpuIsLost, pynvml.NVMLError_ResetRequired, pynvml.NVMLError_NoPermission):
        made.append(faults.gone(3, error()))
    made += [faults.gone(3, "broken"), faults.silent("broken"), faults.no_instance(3)]
    made.append(faults.hidden("7", Shown((), "no device 7"), 2))
    return made


def test_a_warning_is_told_with_all_of_its_values() -> None:
    texts.use("zh")
    made = warnings_of_a_gpu()
    assert len({warning.code for warning in made}) >= 12
    for warning in made:
        text, fix = explained.warned(warning)
        assert text != warning.text and "…" not in text + fix
        assert set(re.findall(r"GPU \d+|\d+ B", text)) <= set(re.findall(r"GPU \d+|\d+ B", warning.text))
    texts.use("en")
    assert [explained.warned(warning) for warning in made] == [(warning.text, warning.fix) for warning in made]


def test_a_warning_without_a_code_stays_as_it_is() -> None:
    texts.use("zh")
    assert explained.warned(Warning("Odd", "Even")) == ("Odd", "Even")
