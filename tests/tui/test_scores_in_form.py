"""Scores and the gate in the recipe step: ticked or typed, by key and mouse, checked, and in the recipe file."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest
from patience import planned_anew
from planned import Fixed, on_gpu, own, planned, wizard
from textual.pilot import Pilot
from textual.widgets import Checkbox, Input, Static

from tunesmith.recipes.spec import EvaluationSpec, JobSpec, complete
from tunesmith.tui.app import TunesmithApp
from tunesmith.tui.draft import Draft
from tunesmith.tui.forms import GATE, SCORES, Value
from tunesmith.tui.screens.recipe import RecipeStep
from tunesmith.tui.widgets.value_row import ValueRow

Snap = Callable[..., bool]
SMALL = "qwen2.5-0.5b-instruct"


def value(draft: Draft, key: str) -> Value:
    return next(one for one in draft.values() if one.key == key)


def field(step: RecipeStep, key: str) -> Input:
    return next(row for row in step.query(ValueRow) if row.value.key == key).query_one(Input)


def ticked(step: RecipeStep) -> list[str]:
    return [str(box.name) for box in step.query(Checkbox) if str(box.id).startswith("score-") and box.value]


def app_of(folder: Path, **typed: str) -> TunesmithApp:
    return wizard(folder, on_gpu(24, 22), own(folder, SMALL, **typed))


@pytest.mark.parametrize("how", ["key", "mouse"])
async def test_a_box_that_is_ticked_is_in_the_row_and_in_the_recipe(tmp_path: Path, how: str) -> None:
    app = app_of(tmp_path)
    async with app.run_test(size=(100, 40)) as pilot:
        step = await planned(pilot)
        for name in ("exact-match", "chrf"):
            box = step.query_one(f"#score-{name}", Checkbox)
            box.focus()
            await pilot.pause()
            await (pilot.press("space") if how == "key" else pilot.click(box))
            await pilot.pause()
        assert field(step, SCORES).value == "exact_match chrf"
        assert app.draft.spec().evaluation.scores == ("exact_match", "chrf")
        assert "95 %" in str(step.query_one("#explanation", Static).visual), "a box explains what scores are"
        await pilot.press("space")
        await pilot.pause()
        assert app.draft.spec().evaluation.scores == ("exact_match",) and ticked(step) == ["exact_match"]
        await planned_anew(pilot)


async def test_what_is_typed_ticks_the_boxes_and_may_be_more(tmp_path: Path) -> None:
    app = app_of(tmp_path)
    async with app.run_test(size=(100, 40)) as pilot:
        step = await planned(pilot)
        field(step, SCORES).value = r"json rouge_l regex:^\d+$"
        await pilot.pause()
        assert ticked(step) == ["json", "rouge_l"]
        assert app.draft.spec().evaluation.scores == ("json", "rouge_l", r"regex:^\d+$")
        field(step, SCORES).value = "json 'open"
        await pilot.pause()
        assert all(box.disabled for box in step.query(Checkbox) if str(box.id).startswith("score-"))
        assert "✗" in str(step.query_one("#value-evaluation-scores .field-mark", Static).visual)
        await planned_anew(pilot)
        assert field(step, SCORES).value == "json 'open", "nothing typed is lost"


async def test_a_gate_is_checked_against_the_scores_above_it(tmp_path: Path) -> None:
    app = app_of(tmp_path)
    async with app.run_test(size=(100, 40)) as pilot:
        step = await planned(pilot)
        field(step, GATE).value = "chrf < 20"
        await pilot.pause()
        assert app.draft.error(value(app.draft, GATE)) is not None
        step.query_one("#score-chrf", Checkbox).toggle()
        await pilot.pause()
        assert app.draft.error(value(app.draft, GATE)) is None
        assert app.draft.spec().evaluation.fail_if == "chrf < 20"
        field(step, GATE).value = ""
        await pilot.pause()
        assert app.draft.spec().evaluation.fail_if is None
        await planned_anew(pilot)


async def test_the_default_key_takes_the_scores_away_again(tmp_path: Path) -> None:
    app = app_of(tmp_path, evaluation_scores="chrf")
    async with app.run_test(size=(100, 40)) as pilot:
        step = await planned(pilot)
        assert ticked(step) == ["chrf"]
        field(step, SCORES).focus()
        await pilot.pause()
        await pilot.press("ctrl+d")
        await planned_anew(pilot)
        assert ticked(step) == [] and field(step, SCORES).value == "" and app.draft.spec().evaluation.scores == ()


def test_a_recipe_that_is_opened_keeps_its_scores_and_gate() -> None:
    evaluation = EvaluationSpec(scores=("chrf", "regex:^a, b$"), fail_if="chrf < before.chrf")
    spec = complete(JobSpec(evaluation=evaluation))
    draft = Draft.from_spec(spec)
    assert draft.spec().evaluation == spec.evaluation
    draft.follow("lean", msgspec.structs.replace(spec, evaluation=EvaluationSpec()))
    assert draft.spec().evaluation.scores == spec.evaluation.scores, "no plan takes them away"


@pytest.mark.parametrize(
    ("size", "language"), [((120, 36), "en"), ((80, 24), "en"), ((80, 24), "zh")], ids=["wide", "usual", "usual-zh"]
)
def test_scores_look_right(
    snap_compare: Snap, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, size: tuple[int, int], language: str
) -> None:
    Fixed(fits=True)(monkeypatch)
    app = app_of(tmp_path, evaluation_scores="exact_match chrf", evaluation_fail_if="chrf < before.chrf")

    async def look(pilot: Pilot[None]) -> None:
        await pilot.pause()
        await app.speak(language)
        step = await planned(pilot)
        step.query_one("#recipe-summary", Static).update("/models/qwen  /data/rows.jsonl")  # no temporary names
        for one in app.screen.query(Input):
            one.cursor_blink = False
        step.query_one("#score-chrf", Checkbox).focus()
        field(step, GATE).scroll_visible(animate=False)
        await pilot.pause(0.2)

    assert snap_compare(app, terminal_size=size, run_before=look)
