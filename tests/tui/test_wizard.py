"""The wizard driven by keys, as a person would, against no daemon or a fake one."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from patience import until
from textual.pilot import Pilot
from textual.widgets import Checkbox, Input, Select, Static

from tunesmith.daemon.api.events import Numbered, Queued
from tunesmith.daemon.api.home import Home
from tunesmith.daemon.api.requests import Submit
from tunesmith.daemon.api.view import JobView
from tunesmith.recipes.errors import DaemonError
from tunesmith.recipes.machine import Device, Machine
from tunesmith.tui import texts
from tunesmith.tui.app import TunesmithApp
from tunesmith.tui.draft import Draft
from tunesmith.tui.screens.settings import SettingsScreen
from tunesmith.tui.widgets.choice_card import ChoiceCard
from tunesmith.tui.widgets.data_report import DataReport
from tunesmith.tui.widgets.rail import STEPS, Rail
from tunesmith.tui.widgets.step_parts import Trouble

MACHINE = Machine(
    system="Linux 6.8 x86_64",
    cpu_name="AMD EPYC",
    cores=2,
    simd=("avx2", "avx512f"),
    memory_bytes=16_000_000_000,
    memory_free_bytes=10_000_000_000,
    devices=(Device("cpu", "AMD EPYC", 16_000_000_000, 10_000_000_000),),
    disk_free_bytes=80_000_000_000,
)


class Daemon:
    """Takes jobs; a job it has is queued for ever."""

    def __init__(self) -> None:
        self.submitted: list[Submit] = []

    async def healthy(self) -> bool:
        return True

    async def submit(self, request: Submit) -> JobView:
        self.submitted.append(request)
        return JobView(len(self.submitted), request.spec.name)

    async def job(self, job_id: int) -> JobView:
        return JobView(job_id, "starter")

    async def events(self, job_id: int, after: int = 0) -> AsyncIterator[Numbered]:
        await asyncio.Event().wait()
        yield Numbered(1, Queued(time=0.0))

    async def status(self) -> None:
        return None

    async def close(self) -> None:
        return None


def wizard(tmp_path: Path, draft: Draft | None = None) -> TunesmithApp:
    return TunesmithApp(Home(tmp_path / "home"), draft, machine=MACHINE, live=False)


def with_daemon(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[TunesmithApp, Daemon]:
    app, daemon = wizard(tmp_path), Daemon()

    async def give() -> Daemon:
        return daemon

    monkeypatch.setattr(app, "daemon", give)
    return app, daemon


def step(app: TunesmithApp) -> str:
    return app.frame.query_one(Rail).current


def said(app: TunesmithApp) -> str:
    reports = [str(widget.render()) for widget in app.screen.query(DataReport) if widget.display]
    return "\n".join([str(widget.visual) for widget in app.screen.query(Static) if widget.display] + reports)


async def type_text(pilot: Pilot[None], selector: str, text: str) -> None:
    pilot.app.screen.query_one(selector, Input).value = text
    await pilot.pause(0.6)


async def test_enter_goes_through_the_first_steps(tmp_path: Path) -> None:
    app = wizard(tmp_path)
    async with app.run_test() as pilot:
        seen = [step(app)]
        for _ in range(4):
            await pilot.press("enter")
            await pilot.pause(0.2)
            seen.append(step(app))
        assert seen == ["machine", "goal", "model", "data", "recipe"]
        assert app.frame.query_one(Rail).done == {"machine", "goal", "model", "data"}


async def test_every_step_opens_by_digit_function_key_and_click(tmp_path: Path) -> None:
    app = wizard(tmp_path)
    async with app.run_test() as pilot:
        for number, name in enumerate(STEPS, 1):
            await pilot.press(f"f{number}")
            assert step(app) == name
        await pilot.press("3")
        assert step(app) == "model"
        await pilot.click(Rail, offset=(3, app.frame.query_one(Rail).line_of("goal") + 1))
        await pilot.pause()
        assert step(app) == "goal"
        await pilot.press("escape")
        assert step(app) == "machine"
        await pilot.click(Rail, offset=(3, app.frame.query_one(Rail).line_of("settings") + 1))
        await pilot.pause()
        assert isinstance(app.screen, SettingsScreen)


async def test_nothing_typed_is_lost_between_steps_and_languages(tmp_path: Path) -> None:
    app = wizard(tmp_path)
    async with app.run_test() as pilot:
        await pilot.press("4")
        await type_text(pilot, "#persona-name", "小雨 [b]x")
        await pilot.press("f5")
        await type_text(pilot, "#value-training-epochs Input", "many")
        await pilot.press("f1")
        await app.speak("zh")
        await pilot.pause()
        assert "这台机器" in said(app)
        await pilot.press("f4")
        assert app.screen.query_one("#persona-name", Input).value == "小雨 [b]x"
        await pilot.press("f5")
        assert app.screen.query_one("#value-training-epochs Input", Input).value == "many"


async def test_a_wrong_value_stops_the_start_and_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    app, daemon = with_daemon(tmp_path, monkeypatch)
    async with app.run_test() as pilot:
        await pilot.press("5")
        await type_text(pilot, "#value-training-epochs Input", "0")
        await pilot.press("ctrl+r")
        await pilot.pause(0.2)
        assert step(app) == "recipe"
        assert "training.epochs" in said(app)
        assert daemon.submitted == []


async def test_start_hands_the_recipe_to_the_daemon_and_shows_the_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    app, daemon = with_daemon(tmp_path, monkeypatch)
    async with app.run_test() as pilot:
        await pilot.press("4")
        await type_text(pilot, "#persona-name", "Ada")
        await pilot.press("f5", "ctrl+r")
        await pilot.pause(0.5)
        assert [request.spec.data.persona.name for request in daemon.submitted] == ["Ada"]
        assert (step(app), app.job_id) == ("run", 1)
        assert app.frame.query_one(Rail).working == "run"


async def test_one_key_runs_the_starter_and_leaves_the_draft_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    app, daemon = with_daemon(tmp_path, monkeypatch)
    app.draft.persona_name = "Ada"
    async with app.run_test() as pilot:
        await pilot.press("s")
        await pilot.pause(0.5)
        assert [request.spec.data.persona.name for request in daemon.submitted] == ["Vesper"]
        assert app.draft.persona_name == "Ada"


async def test_a_daemon_that_does_not_start_is_said_with_the_next_step(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = wizard(tmp_path)

    async def fail() -> Daemon:
        raise DaemonError("The daemon did not start", "Run `tunesmith doctor`.")

    monkeypatch.setattr(app, "daemon", fail)
    async with app.run_test() as pilot:
        await pilot.press("s")
        await pilot.pause(0.3)
        assert step(app) == "machine"
        assert "The daemon did not start" in said(app) and "tunesmith doctor" in said(app)


async def test_a_missing_model_folder_is_said_and_stops_the_step(tmp_path: Path) -> None:
    app = wizard(tmp_path)
    async with app.run_test() as pilot:
        await pilot.press("3")
        await pilot.click("#card-own")
        await type_text(pilot, "#model-folder", str(tmp_path / "no [red]such"))
        await pilot.press("ctrl+n")
        await pilot.pause(0.3)
        assert step(app) == "model"
        assert app.screen.query_one("#model-trouble", Trouble).display
        assert "no [red]such" in said(app)


async def test_data_is_checked_as_soon_as_its_path_is_typed(tmp_path: Path) -> None:
    file = tmp_path / "rows.jsonl"
    good = '{"messages": [{"role": "user", "content": "[b]Hi"}, {"role": "assistant", "content": "[/x] 你好"}]}'
    file.write_text(f"{good}\nbroken\n", "utf-8")
    app = wizard(tmp_path)
    async with app.run_test() as pilot:
        await pilot.press("4")
        await pilot.click("#card-own")
        await type_text(pilot, "#data-file", str(file))
        assert "2 rows read" in said(app) and "rows.jsonl:2" in said(app)
        assert "[/x] 你好" in said(app)
        await pilot.press("enter")
        await pilot.pause(0.3)
        assert step(app) == "recipe"


async def test_an_empty_data_file_stops_the_step(tmp_path: Path) -> None:
    (tmp_path / "rows.jsonl").touch()
    app = wizard(tmp_path)
    async with app.run_test() as pilot:
        await pilot.press("4")
        await pilot.click("#card-own")
        await type_text(pilot, "#data-file", str(tmp_path / "rows.jsonl"))
        await pilot.press("enter")
        await pilot.pause(0.3)
        assert step(app) == "data"
        assert "no rows in" in said(app)


async def test_an_empty_name_stops_the_data_step(tmp_path: Path) -> None:
    app = wizard(tmp_path)
    async with app.run_test() as pilot:
        await pilot.press("4")
        await type_text(pilot, "#persona-maker", "  ")
        await pilot.press("ctrl+n")
        await pilot.pause(0.3)
        assert step(app) == "data"
        assert "Maker is empty" in said(app)


async def test_the_recipe_is_saved_and_never_overwritten_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "starter.yaml").write_text("mine")
    app = wizard(tmp_path)
    async with app.run_test() as pilot:
        await pilot.press("5", "ctrl+s")
        await pilot.pause(0.2)
        await pilot.press("enter")
        assert (tmp_path / "starter.yaml").read_text() == "mine"
        await pilot.press("enter")
        await pilot.pause(0.2)
        assert "persona" in (tmp_path / "starter.yaml").read_text()


async def test_help_lists_the_keys_of_the_step_in_the_language(tmp_path: Path) -> None:
    app = wizard(tmp_path)
    async with app.run_test() as pilot:
        await pilot.press("question_mark")
        assert "Run the starter" in said(app)
        await pilot.press("escape")
        await app.speak("zh")
        await pilot.press("question_mark")
        assert texts.t("keys.starter") in said(app) and "Run the starter" not in said(app)


@pytest.mark.parametrize("size", [(40, 12), (20, 6), (80, 24), (200, 60)])
@pytest.mark.parametrize("language", ["en", "zh"])
async def test_every_step_stands_at_every_size(tmp_path: Path, size: tuple[int, int], language: str) -> None:
    texts.use(language)
    app = wizard(tmp_path)
    async with app.run_test(size=size) as pilot:
        for number in range(1, 8):
            await pilot.press(f"f{number}")
            await pilot.pause()
        assert step(app) == "result"


async def test_a_chosen_card_is_kept(tmp_path: Path) -> None:
    app = wizard(tmp_path)
    async with app.run_test() as pilot:
        await pilot.press("3")
        await pilot.click("#card-own")
        await pilot.press("f2", "f3")
        assert [card.key for card in app.frame.query("#step-model ChoiceCard").results(ChoiceCard) if card.chosen] == [
            "own"
        ]


async def test_the_arrows_lead_from_card_to_card(tmp_path: Path) -> None:
    app = wizard(tmp_path)
    async with app.run_test() as pilot:
        await pilot.press("3", "down", "down", "down", "up", "enter")
        assert [card.key for card in app.frame.query("#step-model ChoiceCard").results(ChoiceCard) if card.chosen] == [
            "own"
        ]


async def test_a_job_left_running_is_shown_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from tunesmith.daemon.api import find

    daemon = Daemon()
    monkeypatch.setattr(daemon, "jobs", lambda: done([JobView(9, "later"), JobView(7, "now", "running")]), False)
    monkeypatch.setattr(find, "running", lambda home: done(daemon))
    app = TunesmithApp(Home(tmp_path / "home"), machine=MACHINE)
    app.home.socket.parent.mkdir(parents=True)
    app.home.socket.touch()
    async with app.run_test() as pilot:
        await pilot.pause(1)
        assert (step(app), app.job_id) == ("run", 7)
        await pilot.press("q")


async def done(value: object) -> object:
    return value


async def test_another_tuner_changes_the_form_and_keeps_what_was_typed(tmp_path: Path) -> None:
    app = wizard(tmp_path)
    async with app.run_test() as pilot:
        await pilot.press("5")
        await type_text(pilot, "#value-tuner-rank Input", "4")
        app.screen.query_one("#value-tuner-kind Select", Select).value = "full"
        await until(pilot, lambda: not app.screen.query("#value-tuner-rank"))
        await until(pilot, lambda: bool(app.screen.query("#value-tuner-kind #label")))
        assert app.screen.query_one("#export-adapter", Checkbox).disabled
        assert app.screen.query_one("#value-training-weight-decay Input", Input).value == "0.1"
        app.screen.query_one("#value-tuner-kind Select", Select).value = "lora"
        await until(pilot, lambda: bool(app.screen.query("#value-tuner-rank Input")))
        assert app.screen.query_one("#value-tuner-rank Input", Input).value == "4"
        assert app.screen.query_one("#export-adapter", Checkbox).value
