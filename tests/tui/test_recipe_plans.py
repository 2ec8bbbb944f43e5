"""The recipe step plans: three cards, a bar that follows every key, ways to make it fit, and Run anyway."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from patience import until
from planned import Fixed, on_cpu, on_gpu, own, planned, wizard
from textual.pilot import Pilot
from textual.widgets import Button, Input, Select, Static

from tunesmith.daemon.api.requests import Submit
from tunesmith.daemon.api.view import JobView
from tunesmith.recipes.planner.plans import Recommendation
from tunesmith.tui import texts
from tunesmith.tui.app import TunesmithApp
from tunesmith.tui.draft import Draft
from tunesmith.tui.screens.recipe import RecipeStep
from tunesmith.tui.widgets.confirm import Confirm
from tunesmith.tui.widgets.memory_bar import MemoryBar
from tunesmith.tui.widgets.plan_cards import PlanCard
from tunesmith.tui.widgets.ways import WayRow, Ways

Compare = Callable[..., bool]
SMALL, LARGE = "qwen2.5-0.5b-instruct", "qwen2.5-7b-instruct"


def value(app: TunesmithApp, key: str) -> str:
    field = app.screen.query_one("#value-" + key.replace(".", "-").replace("_", "-")).query(Input)
    if field:
        return field.first().value
    return str(app.screen.query_one("#value-" + key.replace(".", "-").replace("_", "-")).query_one(Select).value)


def said(step: RecipeStep, selector: str) -> str:
    return str(step.query_one(selector, Static).visual)


def too_large(folder: Path) -> TunesmithApp:
    """A base of 15 GB, kept as it is by a person, where 9 GB are free."""
    return wizard(folder, on_gpu(12, 9), own(folder, LARGE, quantization="none"))


async def test_a_model_of_ones_own_begins_with_the_recommended_plan(tmp_path: Path) -> None:
    app = wizard(tmp_path, on_gpu(24, 22), own(tmp_path, SMALL))
    async with app.run_test(size=(100, 40)) as pilot:
        step = await planned(pilot)
        assert step.plans is not None and app.draft.plan == step.plans.recommended == "balanced"
        plan = step.plans.plan("balanced")
        assert value(app, "training.batch_size") == str(plan.spec.training.batch_size)
        assert [card.chosen for card in step.query(PlanCard)] == [False, True, False]


async def test_the_starters_measured_values_stay_until_a_plan_is_taken(tmp_path: Path) -> None:
    app = wizard(tmp_path, on_cpu(16, 10))
    async with app.run_test(size=(100, 40)) as pilot:
        step = await planned(pilot)
        assert app.draft.plan == "" and value(app, "training.learning_rate") == "0.0008"
        assert step.query_one("#plan-note").display
        await pilot.press("2")
        await pilot.pause()
        assert app.draft.plan == "balanced" and value(app, "training.learning_rate") != "0.0008"


@pytest.mark.parametrize("how", ["digit", "arrows", "mouse"])
async def test_a_plan_is_taken_by_digit_arrows_and_mouse(tmp_path: Path, how: str) -> None:
    app = wizard(tmp_path, on_gpu(24, 22), own(tmp_path, SMALL))
    async with app.run_test(size=(100, 40)) as pilot:
        step = await planned(pilot)
        if how == "digit":
            await pilot.press("3")
        elif how == "arrows":
            step.query_one("#plan-lean").focus()
            await pilot.press("right", "right", "enter")
        else:
            await pilot.click("#plan-best")
        await pilot.pause()
        assert app.draft.plan == "best"
        assert step.plans is not None
        assert value(app, "tuner.rank") == str(step.plans.plan("best").spec.tuner["rank"])
        assert app.draft.spec().training == step.plans.plan("best").spec.training


async def test_what_a_person_typed_stays_in_every_plan(tmp_path: Path) -> None:
    app = wizard(tmp_path, on_gpu(24, 22), own(tmp_path, SMALL))
    async with app.run_test(size=(100, 40)) as pilot:
        step = await planned(pilot)
        step.query_one("#value-tuner-rank Input", Input).value = "24"
        await planned(pilot)
        await pilot.press("f5")
        for key in ("best", "lean"):
            step.query_one(f"#plan-{key}", PlanCard).action_pick()
            await pilot.pause(0.1)
            assert (app.draft.plan, value(app, "tuner.rank"), app.draft.spec().tuner["rank"]) == (key, "24", 24)


async def test_the_default_key_gives_a_typed_value_back_to_the_plan(tmp_path: Path) -> None:
    app = wizard(tmp_path, on_gpu(24, 22), own(tmp_path, SMALL))
    async with app.run_test(size=(100, 40)) as pilot:
        step = await planned(pilot)
        before = value(app, "tuner.rank")
        field = step.query_one("#value-tuner-rank Input", Input)
        field.focus()
        field.value = "24"
        await pilot.pause()
        assert app.draft.typed == {"tuner.rank": "24"}
        await pilot.press("ctrl+d")
        await pilot.pause()
        assert app.draft.typed == {} and value(app, "tuner.rank") == before


async def test_the_explanation_of_a_value_says_why_the_plan_chose_it(tmp_path: Path) -> None:
    app = wizard(tmp_path, on_gpu(24, 22), own(tmp_path, SMALL))
    async with app.run_test(size=(100, 40)) as pilot:
        step = await planned(pilot)
        field = step.query_one("#value-training-batch-size Input", Input)
        field.focus()
        await pilot.pause()
        assert "rows a step" in said(step, "#explanation")
        field.value = "5"
        await pilot.pause()
        assert texts.t("forecast.typed") in said(step, "#explanation")


async def test_the_bar_follows_every_key_before_the_plans_do(tmp_path: Path) -> None:
    app = wizard(tmp_path, on_gpu(24, 22), own(tmp_path, SMALL))
    async with app.run_test(size=(100, 40)) as pilot:
        step = await planned(pilot)
        before = step.query_one(MemoryBar).memory
        step.query_one("#value-tuner-rank Input", Input).value = "256"
        await pilot.pause()
        after = step.query_one(MemoryBar).memory
        assert before is not None and after is not None
        assert dict(after.parts)["adapter"] > 4 * dict(before.parts)["adapter"]


async def test_a_wrong_value_leaves_the_bar_and_the_plans_as_they_were(tmp_path: Path) -> None:
    app = wizard(tmp_path, on_gpu(24, 22), own(tmp_path, SMALL))
    async with app.run_test(size=(100, 40)) as pilot:
        step = await planned(pilot)
        before = step.plans, step.query_one(MemoryBar).memory
        step.query_one("#value-training-epochs Input", Input).value = "many"
        await pilot.pause(0.5)
        assert (step.plans, step.query_one(MemoryBar).memory) == before


async def test_what_does_not_fit_is_said_with_the_ways_on(tmp_path: Path) -> None:
    app = too_large(tmp_path)
    async with app.run_test(size=(100, 40)) as pilot:
        step = await planned(pilot)
        assert step.short and "does not fit" in said(step, "#forecast-text")
        assert "GPU memory" in said(step, "#forecast-text")
        assert step.query_one(Ways).display
        first = step.query(WayRow).first()
        assert first.way is not None and first.way.changes[0].after == "nf4"


@pytest.mark.parametrize("how", ["enter", "digit", "mouse"])
async def test_a_way_is_taken_by_key_and_mouse_and_counts_as_typed(tmp_path: Path, how: str) -> None:
    app = too_large(tmp_path)
    async with app.run_test(size=(100, 40)) as pilot:
        step = await planned(pilot)
        if how == "mouse":
            await pilot.click(step.query(WayRow).first())
        else:
            await pilot.press("ctrl+f", "enter" if how == "enter" else "1")
        await until(pilot, lambda: not step.short)
        assert app.draft.typed["quantization"] == "nf4" and value(app, "quantization") == "nf4"
        assert not step.query_one(Ways).display


async def test_a_shorter_length_leaves_longer_rows_out(tmp_path: Path) -> None:
    app = too_large(tmp_path)
    async with app.run_test(size=(100, 40)) as pilot:
        step = await planned(pilot)
        way = next(way for way in step.ways if way.changes[0].key == "training.max_length")
        step.post_message(Ways.Taken(way))
        await pilot.pause(0.1)
        assert (value(app, "training.max_length"), value(app, "data.over_long")) == (way.changes[0].after, "drop")


class Daemon:
    """Takes jobs, and says what it was asked."""

    def __init__(self) -> None:
        self.submitted: list[Submit] = []

    async def healthy(self) -> bool:
        return True

    async def submit(self, request: Submit) -> JobView:
        self.submitted.append(request)
        return JobView(1, request.spec.name)

    async def job(self, job_id: int) -> JobView:
        return JobView(job_id, "run", "cancelled")

    async def close(self) -> None:
        return None


async def test_run_anyway_asks_first_and_submits_with_force(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    app, daemon = too_large(tmp_path), Daemon()

    async def give() -> Daemon:
        return daemon

    monkeypatch.setattr(app, "daemon", give)
    async with app.run_test(size=(100, 40)) as pilot:
        step = await planned(pilot)
        assert str(step.query_one("#start", Button).label) == texts.t("recipe.start_anyway")
        await pilot.press("ctrl+r")
        await until(pilot, lambda: isinstance(app.screen, Confirm))
        await pilot.press("enter")
        await until(pilot, lambda: not isinstance(app.screen, Confirm))
        assert daemon.submitted == []
        await pilot.press("ctrl+r")
        await until(pilot, lambda: isinstance(app.screen, Confirm))
        await pilot.press("y")
        await until(pilot, lambda: daemon.submitted)
        assert [(request.force, request.rows) for request in daemon.submitted] == [(True, None)]


async def test_who_starts_before_the_plans_are_there_gets_the_recommended_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    app, daemon = wizard(tmp_path, on_gpu(24, 22), own(tmp_path, SMALL)), Daemon()
    recommend, may_go_on = app.planning.recommend, threading.Event()

    def slowly() -> Recommendation | None:
        may_go_on.wait(20)
        return recommend()

    async def give() -> Daemon:
        return daemon

    monkeypatch.setattr(app, "daemon", give)
    monkeypatch.setattr(app.planning, "recommend", slowly)
    async with app.run_test(size=(100, 40)) as pilot:
        await pilot.press("f5", "ctrl+r")
        await pilot.pause(0.2)
        assert daemon.submitted == []
        may_go_on.set()
        await until(pilot, lambda: daemon.submitted)
        plans = app.screen.query_one(RecipeStep).plans
        assert plans is not None
        wanted = plans.plan(plans.recommended).spec.training
        assert daemon.submitted[0].spec.training.batch_size == wanted.batch_size


async def test_without_a_machine_or_a_model_nothing_is_claimed(tmp_path: Path) -> None:
    draft = Draft.starter()
    draft.model, draft.model_folder = "own", str(tmp_path / "nowhere")
    app = wizard(tmp_path, on_cpu(16, 10), draft)
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press("f5")
        await pilot.pause(0.3)
        step = app.screen.query_one(RecipeStep)
        assert texts.t("forecast.unknown") in said(step, "#forecast-text")
        assert all(card.plan is None for card in step.query(PlanCard))


async def test_a_recipe_that_was_opened_keeps_its_values(tmp_path: Path) -> None:
    draft = Draft.from_spec(own(tmp_path, SMALL, training_epochs="7").spec())
    app = wizard(tmp_path, on_gpu(24, 22), draft)
    async with app.run_test(size=(100, 40)) as pilot:
        await planned(pilot)
        assert app.draft.plan == "" and value(app, "training.epochs") == "7"


@pytest.mark.parametrize(
    ("size", "language", "light"),
    [((80, 24), "en", False), ((120, 40), "zh", True), ((40, 12), "en", False)],
    ids=["en", "wide-zh-light", "tiny"],
)
@pytest.mark.parametrize("fits", [True, False], ids=["fits", "not"])
def test_the_plans_look_right(
    snap_compare: Compare,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    size: tuple[int, int],
    language: str,
    light: bool,
    fits: bool,
) -> None:
    Fixed(fits=fits)(monkeypatch)
    app = wizard(tmp_path, on_gpu(12, 9) if fits else on_gpu(8, 5), own(tmp_path, SMALL))

    async def look(pilot: Pilot[None]) -> None:
        await pilot.pause()
        await app.speak(language)
        if light:
            app.action_next_theme()
        step = await planned(pilot)
        step.query_one("#recipe-summary", Static).update("/models/qwen  /data/rows.jsonl")  # no temporary names
        for field in app.screen.query(Input):
            field.cursor_blink = False
        await pilot.pause(0.2)

    assert snap_compare(app, terminal_size=size, run_before=look)
