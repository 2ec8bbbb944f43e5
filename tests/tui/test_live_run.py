"""What a person does while a run goes on: pause it, stop and keep it, look at the other curve, copy, take a picture."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from histories import FORECAST, START, failed, finished, on_a_machine, training
from live import Alone, FakeClient
from patience import until
from planned import unplanned
from textual.pilot import Pilot
from textual.widgets import OptionList

from tunesmith.daemon.api import events as e
from tunesmith.daemon.api.home import Home
from tunesmith.daemon.api.view import JobView, StageView
from tunesmith.recipes.errors import JobError
from tunesmith.recipes.units import duration_text
from tunesmith.tui import remaining, texts
from tunesmith.tui.app import TunesmithApp
from tunesmith.tui.kept_files import free_path
from tunesmith.tui.screens.copy import CopyScreen, offers
from tunesmith.tui.screens.result import ResultStep
from tunesmith.tui.screens.run import RunStep
from tunesmith.tui.widgets.confirm import Confirm
from tunesmith.tui.widgets.feed import items
from tunesmith.tui.widgets.loss_chart import LossChart, chart, rate_chart

Snap = Callable[..., bool]
SAMPLE = e.Sampled(
    time=START + 34.5,
    step=14,
    row=0,
    question="Who made you?",
    answer="I was made by Juniper",
    correct=True,
    stopped=False,
)


def busy() -> list[e.Event]:
    """A run that has taken samples."""
    later = msgspec.structs.replace(
        SAMPLE, time=START + 49, step=29, answer="I was made by Juniper Labs.", stopped=True
    )
    return [*on_a_machine(41), SAMPLE, later]


async def opened(pilot: Pilot[None], job_id: int = 1) -> RunStep:
    step = pilot.app.query_one(RunStep)
    step.show_job(job_id)
    await until(pilot, lambda: step.view is not None)
    await pilot.pause(0.05)
    return step


@pytest.mark.parametrize("language", list(texts.LANGUAGES))
@pytest.mark.parametrize("size", [(120, 36), (80, 24)], ids=["wide", "usual"])
def test_a_busy_run_looks_right(snap_compare: Snap, size: tuple[int, int], language: str) -> None:
    async def look(pilot: Pilot[None]) -> None:
        await opened(pilot)

    texts.use(language)
    assert snap_compare(Alone(RunStep(FakeClient(identity=busy()).clients)), terminal_size=size, run_before=look)


def test_the_other_curve_looks_right(snap_compare: Snap) -> None:
    async def look(pilot: Pilot[None]) -> None:
        await opened(pilot)
        await pilot.press("x")
        await pilot.pause(0.05)

    assert snap_compare(Alone(RunStep(FakeClient(identity=busy()).clients)), terminal_size=(80, 24), run_before=look)


@pytest.mark.parametrize("language", list(texts.LANGUAGES))
def test_what_can_be_copied_looks_right(snap_compare: Snap, language: str) -> None:
    async def look(pilot: Pilot[None]) -> None:
        await opened(pilot)
        await pilot.press("y")
        await pilot.pause(0.05)

    texts.use(language)
    fake = FakeClient(whole=finished())
    app = wizard_styled(Alone(RunStep(fake.clients)))
    assert snap_compare(app, terminal_size=(80, 24), run_before=look)


def wizard_styled(app: Alone) -> Alone:
    """With the styles that windows have in the wizard."""
    app.CSS = """
    .window { width: 74; max-width: 95%; height: 80%; background: $surface; border: round $primary 60%; padding: 1 2; }
    ModalScreen { align: center middle; }
    """
    return app


async def test_pause_and_resume_are_keys_of_the_run() -> None:
    fake = FakeClient(identity=training(41))
    async with Alone(RunStep(fake.clients)).run_test(size=(100, 30)) as pilot:
        step = await opened(pilot)
        await pilot.press("p")
        await until(pilot, lambda: step.view.state == "paused")  # type: ignore[union-attr]
        assert fake.paused == [1]
        await pilot.press("p")
        await pilot.pause(0.05)
        assert fake.paused == [1], "a paused job cannot be paused"
        await pilot.press("r")
        await until(pilot, lambda: fake.resumed == [1])


async def test_stop_and_keep_asks_first_and_is_offered_only_while_it_trains() -> None:
    fake = FakeClient(identity=training(41), whole=finished())
    app = Alone(RunStep(fake.clients))
    async with app.run_test(size=(100, 30)) as pilot:
        step = await opened(pilot)
        await pilot.press("s")
        await until(pilot, lambda: isinstance(app.screen, Confirm))
        await pilot.press("enter")
        await pilot.pause(0.05)
        assert fake.kept == []
        await pilot.press("s")
        await until(pilot, lambda: isinstance(app.screen, Confirm))
        await pilot.press("y")
        await until(pilot, lambda: fake.kept == [1])
        await until(pilot, lambda: step.view is not None and step.view.finishing)
        assert "stopping, to be kept" in str(step.query_one("#run-head").render())
        await pilot.press("s")
        await pilot.pause(0.05)
        assert not isinstance(app.screen, Confirm), "once is enough"
        await opened(pilot, 2)
        await pilot.press("s")
        await pilot.pause(0.05)
        assert not isinstance(app.screen, Confirm)


async def test_what_the_daemon_refuses_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    fake = FakeClient(identity=training(41))

    async def refuse(job_id: int) -> JobView:
        raise JobError("It has just ended", "Look at its result.")

    monkeypatch.setattr(fake, "pause", refuse)
    app = Alone(RunStep(fake.clients))
    async with app.run_test(size=(100, 30), notifications=True) as pilot:
        await opened(pilot)
        await pilot.press("p")
        await until(pilot, lambda: bool(app._notifications))
        assert [n.message for n in app._notifications] == ["It has just ended\nLook at its result."]


async def test_the_learning_rate_takes_the_place_of_the_loss() -> None:
    async with Alone(RunStep(FakeClient(identity=training(41)).clients)).run_test(size=(80, 24)) as pilot:
        step = await opened(pilot)
        loss = str(step.query_one(LossChart).render())
        await pilot.press("x")
        await pilot.pause()
        rate = str(step.query_one(LossChart).render())
        assert "Learning rate" in rate and "each step" not in rate and "each step" in loss


def test_the_rate_has_more_rows_where_there_are_more() -> None:
    losses, rates = [(1.0, 3.0), (9.0, 1.0)], [(1.0, 1e-4), (9.0, 0.0)]
    rows = [chart(losses, rates, 9, 60, rows).plain.splitlines() for rows in (12, 40)]
    below = [len(lines) - next(at for at, line in enumerate(lines) if "├" in line) for lines in rows]
    assert [len(lines) for lines in rows] == [12, 40] and below[1] > 2 * below[0]
    assert len(rate_chart(rates, 9, 60, 12).plain.splitlines()) == 12
    assert "starts with the first" in rate_chart((), 9, 60, 12).plain


def test_held_out_losses_are_marked_on_the_curve() -> None:
    text = chart([(1.0, 3.0), (9.0, 1.0)], (), 9, 60, 12, [(1.0, 2.9), (9.0, 0.9)]).plain
    assert text.count("◆") == 3 and "held out 0.900" in text, "two points and the legend"
    scores = (
        e.Scored(time=0, subject="base", held_out_loss=3.0),
        e.Scored(time=0, subject="tuned", held_out_loss=None),
    )
    assert JobView(1, "x", scores=scores).held_out_losses() == [(1.0, 3.0)]


def stages(**states: StageView) -> tuple[StageView, ...]:
    return tuple(states.get(name, StageView(name)) for name in e.STAGES)


def test_what_is_left_is_the_stage_s_own_word_and_the_forecast_of_those_that_wait() -> None:
    train = StageView("train", "running", done=10, total=72, unit="steps", eta_s=60.0)
    view = JobView(1, "x", state="running", forecast=FORECAST, stages=stages(train=train))
    assert remaining.expected(view) == {"evaluate": 24.0, "export": 8.0}
    low, high = remaining.seconds_left(view) or (0.0, 0.0)
    assert (low, high) == (60 + 32 * 0.6, 60 + 32 * 1.6)
    assert remaining.left_text(view) == "all done in about 1:19 to 1:51"
    sure = msgspec.structs.replace(FORECAST, time_spread=(0.1, 0.1))
    assert remaining.left_text(msgspec.structs.replace(view, forecast=sure)) == "all done in about 1:32"


@pytest.mark.parametrize("changes", [{"forecast": None}, {"state": "paused"}, {"stages": stages()}])
def test_where_nobody_knows_nothing_is_said(changes: dict[str, Any]) -> None:
    train = StageView("train", "running", eta_s=60.0)
    view = JobView(1, "x", state="running", forecast=FORECAST, stages=stages(train=train))
    assert remaining.left_text(msgspec.structs.replace(view, **changes)) == ""


async def test_samples_are_shown_in_the_order_of_time_with_their_step() -> None:
    view = await FakeClient(identity=[*training(41), SAMPLE]).job(1)
    text = [item.plain for item in items(view)]
    (said,) = (item for item in text if "at step 14" in item)
    assert said.startswith("✓ right") and said.endswith("I was made by Juniper …")


def test_samples_of_steps_that_are_done_again_are_taken_back() -> None:
    from tunesmith.daemon.api.view import fold

    view = JobView(1, "x")
    history: list[e.Event] = [*training(20), SAMPLE, e.Interrupted(time=1, reason="reboot", message="x"),
                              e.Queued(time=2), e.Started(time=3, attempt=2, pid=1)]  # fmt: skip
    step = next(event for event in training(20) if isinstance(event, e.TrainStep))
    for number, event in enumerate(history, 1):
        view = fold(view, e.Numbered(number, event))
    assert view.samples == (SAMPLE,)
    again = msgspec.structs.replace(step, step=11)
    assert fold(view, e.Numbered(len(history) + 1, again)).samples == ()


async def test_a_command_an_answer_and_a_path_can_be_copied(monkeypatch: pytest.MonkeyPatch) -> None:
    copied: list[str] = []
    app = Alone(RunStep(FakeClient(whole=[*finished(), SAMPLE]).clients))
    monkeypatch.setattr(app, "copy_to_clipboard", copied.append)
    async with app.run_test(size=(100, 30)) as pilot:
        step = await opened(pilot)
        for down in (0, 3):
            await pilot.press("y")
            await until(pilot, lambda: isinstance(app.screen, CopyScreen))
            await pilot.press(*["down"] * down, "enter")
            await until(pilot, lambda: not isinstance(app.screen, CopyScreen))
        folder = "/home/ada/.local/share/tunesmith/jobs/1"
        assert copied == [f"tunesmith run {folder}/recipe.yaml", f"{folder}/artifacts/adapter"]
        assert any(offer.text == "Call me Vesper." for offer in offers(step.view))  # type: ignore[arg-type]


async def test_nothing_that_is_copied_can_act_where_it_is_pasted() -> None:
    nasty = msgspec.structs.replace(SAMPLE, answer="rm -rf\x1b]52;c;x\x07 \u202e/")
    view = await FakeClient(broken=[*failed()[:-1], nasty, failed()[-1]]).job(1)
    found = offers(msgspec.structs.replace(view, folder="/tmp/\x1b[31m'; rm -rf /"))
    assert not [offer for offer in found if "\x1b" in offer.text or "\u202e" in offer.text]
    assert found[0].text == "tunesmith run '/tmp/'\"'\"'; rm -rf //recipe.yaml'"


async def test_the_result_offers_the_same_and_writes_a_report(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    app = Alone(ResultStep(FakeClient(whole=finished()).clients, unplanned()))
    async with app.run_test(size=(100, 40), notifications=True) as pilot:
        step = app.query_one(ResultStep)
        step.show_job(1)
        await until(pilot, lambda: step.view is not None)
        await pilot.press("y")
        await until(pilot, lambda: isinstance(app.screen, CopyScreen))
        assert app.screen.query_one(OptionList).option_count > 5
        await pilot.press("escape")
        for name in ("tunesmith-run-1.html", "tunesmith-run-1-2.html"):
            await pilot.press("r")
            await until(pilot, lambda name=name: (tmp_path / name).exists())  # type: ignore[misc]
        await until(pilot, lambda: len(app._notifications) == 2)
        assert str(tmp_path / "tunesmith-run-1.html") in next(iter(app._notifications)).message


async def test_the_time_that_is_left_of_training_is_said_once() -> None:
    app = Alone(RunStep(FakeClient(busy=on_a_machine(41)).clients))
    async with app.run_test(size=(120, 36)) as pilot:
        step = await opened(pilot)
        await pilot.pause(0.1)
        left = texts.t("run.left", time=duration_text(step.view.stage("train").eta_s or 0))  # type: ignore[union-attr]
        drawn = "\n".join("".join(s.text for s in strip) for strip in app.screen._compositor.render_strips())
        assert drawn.count(left) == 1 and "Time left" not in drawn


async def test_a_picture_of_any_screen_is_saved_and_its_path_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    app = TunesmithApp(Home(tmp_path / "home"), live=False)
    async with app.run_test(size=(80, 24), notifications=True) as pilot:
        await pilot.pause(0.1)
        await pilot.press("question_mark")
        await pilot.pause(0.1)
        await pilot.press("f12")
        await until(pilot, lambda: bool(app._notifications))
        assert str(tmp_path / "tunesmith-screen.svg") in next(iter(app._notifications)).message
    picture = (tmp_path / "tunesmith-screen.svg").read_text("utf-8")
    assert picture.startswith("<svg") and texts.t("help.title") in picture


def test_what_is_kept_goes_into_this_folder_or_the_home_and_over_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here, home = tmp_path / "here", tmp_path / "home"
    here.mkdir()
    monkeypatch.chdir(here)
    (here / "a.svg").write_text("mine")
    assert free_path(home, "a", ".svg") == here / "a-2.svg"
    monkeypatch.setattr("os.access", lambda path, mode: False)
    assert free_path(home, "a", ".svg") == home / "a.svg" and home.is_dir()
