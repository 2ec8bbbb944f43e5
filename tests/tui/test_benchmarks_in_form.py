"""Public benchmarks in the recipe step: chosen by key and mouse, what they need, and what a recipe file has is kept."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest
from patience import planned_anew
from planned import Fixed, forecast, on_gpu, own, planned, wizard
from textual.pilot import Pilot
from textual.widgets import Checkbox, Input, Select, Static

from tunesmith.daemon.api.environments import WHOLE
from tunesmith.daemon.api.home import Home
from tunesmith.recipes.planner import StageForecast
from tunesmith.recipes.spec import BenchmarkSpec, EvaluationSpec, JobSpec, complete, parse, stages_of, to_yaml
from tunesmith.tui import texts
from tunesmith.tui.app import TunesmithApp
from tunesmith.tui.benchmark_needs import needs
from tunesmith.tui.draft import Draft
from tunesmith.tui.forms import BASE, BENCHMARK, GATE, LIMIT, SUITES, Value
from tunesmith.tui.screens.recipe import RecipeStep
from tunesmith.tui.widgets.value_row import ValueRow

Snap = Callable[..., bool]
SMALL = "qwen2.5-0.5b-instruct"
TOOL, VARIANT = "benchmark.tool", "benchmark.variant"


def value(draft: Draft, key: str) -> Value:
    return next(one for one in draft.values() if one.key == key)


def row(step: RecipeStep, key: str) -> ValueRow:
    return next(one for one in step.query(ValueRow) if one.value.key == key)


def shown(step: RecipeStep) -> list[str]:
    return [one.value.key for one in step.query(ValueRow) if one.value.group == BENCHMARK and one.display]


def wrong(draft: Draft) -> list[str]:
    return [one.key for one in draft.values() if draft.error(one) is not None]


def app_of(folder: Path, **typed: str) -> TunesmithApp:
    return wizard(folder, on_gpu(24, 22), own(folder, SMALL, **typed))


async def test_what_is_ticked_by_key_and_mouse_is_the_last_stage_of_the_recipe(tmp_path: Path) -> None:
    app = app_of(tmp_path)
    async with app.run_test(size=(100, 40)) as pilot:
        step = await planned(pilot)
        assert shown(step) == [SUITES] and app.draft.spec().benchmark is None, "how is no matter while none is asked"
        for name, how in (("gsm8k", "key"), ("mmlu", "mouse")):
            box = step.query_one(f"#suite-{name}", Checkbox)
            box.focus()
            await pilot.pause()
            await (pilot.press("space") if how == "key" else pilot.click(box))
            await pilot.pause()
        assert shown(step) == [SUITES, LIMIT, BASE, TOOL, VARIANT]
        row(step, LIMIT).query_one(Input).value = "50"
        row(step, BASE).query_one(Select).value = "yes"
        await planned_anew(pilot)
        spec = app.draft.spec()
        assert spec.benchmark == BenchmarkSpec(suites=("gsm8k", "mmlu"), limit=50, base=True)
        assert stages_of(spec)[-1] == "benchmark" and "- gsm8k\n" in to_yaml(spec)
        told = str(step.query_one("#benchmark-needs", Static).visual)
        for part in ("2,900 questions to each of 2 models", "roughly", "of memory", "83.0 MB", "Hugging Face"):
            assert part in told
        assert step.found is not None and step.found[0].stage("benchmark").seconds > 0, "the whole time has it too"
        for name in ("gsm8k", "mmlu"):
            step.query_one(f"#suite-{name}", Checkbox).toggle()
        await planned_anew(pilot)
        assert app.draft.spec().benchmark is None and shown(step) == [SUITES]
        assert not step.query_one("#benchmark-needs").display


async def test_what_is_typed_ticks_the_boxes_and_what_is_wrong_is_marked(tmp_path: Path) -> None:
    app = app_of(tmp_path)
    async with app.run_test(size=(100, 40)) as pilot:
        step = await planned(pilot)
        field = row(step, SUITES).query_one(Input)
        field.value = "arc, 'my, own.jsonl'"
        await pilot.pause()
        assert step.query_one("#suite-arc", Checkbox).value
        found = app.draft.spec().benchmark
        assert found is not None and found.suites == ("arc", str(Path.cwd() / "my, own.jsonl"))
        field.value = "arc gsm9k"
        await pilot.pause()
        assert wrong(app.draft) == [SUITES]
        assert "✗" in str(row(step, SUITES).query_one(".field-mark", Static).visual)
        assert not step.query_one("#benchmark-needs").display
        field.value = "arc 'open"
        await pilot.pause()
        assert step.query_one("#suite-arc", Checkbox).disabled and LIMIT in shown(step), "nothing typed is hidden"
        await planned_anew(pilot)
        assert field.value == "arc 'open"


def test_each_value_is_to_blame_for_itself_alone(tmp_path: Path) -> None:
    draft = own(tmp_path, SMALL, benchmark_suites="mmlu", evaluation_fail_if="mmlu < before.mmlu")
    assert wrong(draft) == [GATE], "the untuned model is not asked"
    draft.set(value(draft, BASE), "yes")
    assert wrong(draft) == []
    draft.set(value(draft, SUITES), "mmlu task.yaml")
    draft.set(value(draft, TOOL), "evalscope")
    draft.set(value(draft, LIMIT), "0")
    assert wrong(draft) == [LIMIT, TOOL], "EvalScope runs no task file of lm-eval"
    draft.set(value(draft, SUITES), "mmmlu")
    assert wrong(draft) == [SUITES]
    draft.set(value(draft, SUITES), "mmlu")
    draft.set(value(draft, LIMIT), "all")
    draft.choose_exports(["awq"])
    assert wrong(draft) == [SUITES], "no export answers"
    draft.choose_exports(["gguf:q8_0"])
    draft.set(value(draft, VARIANT), "f16")
    assert wrong(draft) == [VARIANT]


def test_a_recipe_that_is_opened_keeps_its_benchmarks_and_what_is_changed_is_in_the_file(tmp_path: Path) -> None:
    asked = BenchmarkSpec(suites=("gsm8k", "/my, own/it's.jsonl"), tool=None, limit=5, variant="q8_0", base=True)
    gate = EvaluationSpec(fail_if="gsm8k < before.gsm8k - 0.02")
    spec = complete(JobSpec(benchmark=asked, evaluation=gate))
    draft = Draft.from_spec(spec)
    assert [draft.text(value(draft, key)) for key in (LIMIT, BASE, TOOL, VARIANT)] == ["5", "yes", "auto", "q8_0"]
    assert draft.spec().benchmark == asked and wrong(draft) == []
    draft.follow("lean", msgspec.structs.replace(spec, benchmark=None))
    assert draft.spec().benchmark == asked, "no plan takes them away"
    draft.set(value(draft, LIMIT), "all")
    draft.set(value(draft, SUITES), "gsm8k")
    draft.set(value(draft, TOOL), "evalscope")
    again = parse(to_yaml(draft.spec()), tmp_path).benchmark
    assert again == BenchmarkSpec(suites=("gsm8k",), tool="evalscope", variant="q8_0", base=True)


def test_what_they_need_is_said_for_where_one_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = Home(tmp_path)
    monkeypatch.delenv("TUNESMITH_OFFLINE", raising=False)
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    usual = forecast()
    stage = StageForecast("benchmark", 1_300_000_000, 0, 7200.0, 0)
    long = msgspec.structs.replace(usual, stages=(*usual.stages, stage))

    def said(*suites: str, limit: int | None = None) -> str:
        lines = needs(BenchmarkSpec(suites=suites, limit=limit), long, home)
        return "\n".join(line.plain for line in lines)

    assert "1,319 questions · roughly 0.7–6 h" in said("gsm8k") and "Long:" in said("gsm8k")
    assert "57 questions" in said("mmlu", limit=1) and "Long:" not in said("mmlu", limit=1)
    own_file = said("/a/own.jsonl")
    assert "those of 1 files" in own_file and "181.0 MB" in own_file and "fetched" not in own_file
    (home.environments / "evalscope-1" / "bin").mkdir(parents=True)
    for name in ("bin/python", WHOLE):
        (home.environments / "evalscope-1" / name).touch()
    both = said("gsm8k", "ceval")
    assert "evalscope is on this machine already" in both and "lm-eval (83.0 MB) is installed" in both
    assert "from Hugging Face and ModelScope" in both
    monkeypatch.setenv("TUNESMITH_OFFLINE", "1")
    assert "▲ Offline" in said("gsm8k") and "▲ Offline" not in said("/a/own.yaml")
    texts.use("zh")
    assert "1,319 题" in said("gsm8k")


async def test_a_very_small_terminal_does_not_break(tmp_path: Path) -> None:
    app = app_of(tmp_path, benchmark_suites="gsm8k mmlu")
    async with app.run_test(size=(40, 12)) as pilot:
        step = await planned(pilot)
        step.query_one("#suite-mmlu").focus()
        await planned_anew(pilot)
        assert step.query_one("#suite-mmlu", Checkbox).value


@pytest.mark.parametrize(("size", "language"), [((80, 24), "en"), ((80, 24), "zh")], ids=["usual", "usual-zh"])
def test_benchmarks_look_right(
    snap_compare: Snap, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, size: tuple[int, int], language: str
) -> None:
    for name in ("TUNESMITH_OFFLINE", "HF_HUB_OFFLINE"):
        monkeypatch.delenv(name, raising=False)
    Fixed(fits=True)(monkeypatch)
    app = app_of(tmp_path, benchmark_suites="gsm8k mmlu", benchmark_limit="50")

    async def look(pilot: Pilot[None]) -> None:
        await pilot.pause()
        await app.speak(language)
        step = await planned(pilot)
        step.query_one("#recipe-summary", Static).update("/models/qwen  /data/rows.jsonl")  # no temporary names
        for one in app.screen.query(Input):
            one.cursor_blink = False
        row(step, LIMIT).query_one(Input).focus()
        await pilot.pause(0.2)

    assert snap_compare(app, terminal_size=size, run_before=look)
