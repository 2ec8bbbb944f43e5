"""Every value of a plan follows from the model, the data and the place, and says why."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from tunesmith.recipes.errors import RecipeError
from tunesmith.recipes.models import catalogue
from tunesmith.recipes.planner import Change, Place, Rows, forecast
from tunesmith.recipes.planner.filled import put
from tunesmith.recipes.planner.plans import Plan, Recommendation
from tunesmith.recipes.planner.recommend import recommend
from tunesmith.recipes.planner.rules import rules
from tunesmith.recipes.planner.simulated import simulated
from tunesmith.recipes.spec import JobSpec

GB = 10**9
ROWS = Rows(rows=5000, longest=1000, percentile_99=900, mean=300.0, trained_share=0.5, held_out=250)
SEVEN, SMALL, TINY = "qwen2.5-7b-instruct", "qwen2.5-1.5b-instruct", "qwen2.5-0.5b-instruct"


def a_place(key: str = "rtx-4090", free: float | None = None) -> Place:
    """With a computer around it that never runs short."""
    place = msgspec.structs.replace(simulated(key), host_free_bytes=500 * GB)
    return place if free is None else msgspec.structs.replace(place, free_bytes=int(free * GB))


def planned(
    model: str, rows: Rows = ROWS, place: Place | None = None, values: dict[str, Any] | None = None
) -> Recommendation:
    values = values or {}
    facts = catalogue.find(model).facts
    return recommend(put(JobSpec(), values), values.keys(), facts, rows, place or a_place())


def rows_of(**values: Any) -> Rows:
    return msgspec.structs.replace(ROWS, **values)


def said(plan: Plan) -> dict[str, tuple[str, str]]:
    return {choice.key: (choice.value, choice.reason.code) for choice in plan.choices}


def test_the_length_is_the_longest_row_and_never_the_model_s_limit() -> None:
    plan = planned(SMALL).plan("balanced")
    assert said(plan)["training.max_length"] == ("1000", "length_longest")
    assert (plan.spec.training.max_length, plan.spec.data.over_long) == (None, "error"), "no row is left out"


def test_one_far_longer_row_is_left_out_where_it_alone_would_cost_the_quality() -> None:
    rows = rows_of(longest=30_000)
    roomy = planned(SEVEN, rows, a_place("h200")).plan("balanced")
    assert said(roomy)["training.max_length"] == ("30000", "length_longest")
    plan = planned(SEVEN, rows, a_place(free=21)).plan("balanced")
    assert said(plan)["training.max_length"] == ("900", "length_percentile")
    assert said(plan)["quantization"][0] == "none", "one row of a hundred is worth less than an unquantized base"
    assert (plan.spec.training.max_length, plan.spec.data.over_long) == (900, "drop"), "cut answers teach to stop short"


def test_the_lean_plan_leaves_an_outlier_out_but_not_a_row_hardly_longer_than_the_others() -> None:
    assert said(planned(TINY, rows_of(longest=8000)).plan("lean"))["training.max_length"] == (
        "900",
        "length_percentile",
    )
    assert said(planned(TINY, rows_of(longest=1000)).plan("lean"))["training.max_length"] == ("1000", "length_longest")


def test_where_memory_is_short_rows_are_cut_to_a_power_of_two_and_not_below_the_mean() -> None:
    rows = rows_of(longest=60_000, percentile_99=60_000, mean=1500.0)
    plan = planned(SEVEN, rows, a_place("rtx-3060", 11)).plan("balanced")
    length, code = said(plan)["training.max_length"]
    assert code == "length_memory" and int(length) in rules().lengths.shorter and int(length) >= 2048
    assert plan.fit.verdict == "fits"


def test_a_row_longer_than_the_model_can_see_is_no_reason_to_ask_it() -> None:
    facts = catalogue.find(TINY).facts
    plan = planned(TINY, rows_of(longest=50_000, percentile_99=50_000, mean=20_000.0), a_place("h200")).plan("balanced")
    assert said(plan)["training.max_length"] == (str(facts.context), "length_model")


@pytest.mark.parametrize(
    ("rows", "batch", "epochs"), [(200, 4, 3), (300, 8, 3), (5000, 16, 3), (20_000, 16, 2), (200_000, 16, 1)]
)
def test_few_rows_are_seen_more_often_in_smaller_steps(rows: int, batch: int, epochs: int) -> None:
    plan = planned(SMALL, rows_of(rows=rows)).plan("balanced")
    training = plan.spec.training
    assert (training.batch_size, training.gradient_accumulation, training.epochs) == (batch, 1, epochs)
    assert said(plan)["training.batch_size"][1] == ("batch" if batch == 16 else "batch_few_rows")


def test_a_given_accumulation_keeps_the_rows_of_a_step() -> None:
    training = planned(SMALL, values={"training.gradient_accumulation": 4}).plan("balanced").spec.training
    assert (training.batch_size, training.gradient_accumulation) == (4, 4)
    training = planned(SMALL, values={"training.batch_size": 2}).plan("balanced").spec.training
    assert (training.batch_size, training.gradient_accumulation) == (2, 8), "16 rows a step either way"


def test_rank_alpha_and_rate_go_together() -> None:
    found = planned(SMALL)
    knobs = {plan.key: (plan.spec.tuner["rank"], plan.spec.tuner["alpha"]) for plan in found.plans}
    assert knobs == {"lean": (8, 16), "balanced": (16, 32), "best": (64, 128)}
    rates = {plan.key: plan.spec.training.learning_rate for plan in found.plans}
    assert rates == {"lean": 2e-4, "balanced": 2e-4, "best": 1e-4}
    few = planned(SMALL, rows_of(rows=300)).plan("best")
    assert few.spec.tuner["rank"] == 32, "few rows fill no wider adapter"


def test_a_given_rank_takes_twice_as_much_alpha_and_keeps_the_tuner() -> None:
    spec = msgspec.structs.replace(JobSpec(), tuner={"kind": "lora", "rank": 24})
    much = rows_of(rows=200_000)
    found = recommend(spec, {"tuner.rank"}, catalogue.find(TINY).facts, much, a_place("h200"))
    assert {(plan.spec.tuner["kind"], plan.spec.tuner["rank"], plan.spec.tuner["alpha"]) for plan in found.plans} == {
        ("lora", 24, 48)
    }


def test_all_weights_are_trained_by_the_best_plan_where_there_is_much_data_and_memory() -> None:
    much = rows_of(rows=200_000)
    best = planned(TINY, much, a_place("h200")).plan("best")
    training = best.spec.training
    assert said(best)["tuner.kind"] == ("full", "tuner_full")
    assert (training.learning_rate, training.weight_decay, training.optimizer) == (1e-5, 0.1, "adamw")
    assert planned(TINY, ROWS, a_place("h200")).plan("best").spec.tuner["kind"] == "lora", "little data: an adapter"
    assert planned(TINY, much, a_place("h200")).plan("balanced").spec.tuner["kind"] == "lora"


def test_of_all_weights_the_optimizer_s_state_is_what_gives_way_first() -> None:
    much = rows_of(rows=200_000)
    whole = planned(SMALL, much, a_place("h200")).plan("best").forecast
    best = planned(SMALL, much, a_place("h200", 0.55 * whole.bytes / GB)).plan("best")
    assert best.spec.tuner["kind"] == "full"
    assert said(best)["training.optimizer"][1] == "optimizer_less_state"


def test_a_tuner_that_was_set_is_in_all_plans_and_lean_is_lean_by_other_means() -> None:
    found = planned(SMALL, place=a_place("h200"), values={"tuner": {"kind": "full"}})
    assert {plan.spec.tuner["kind"] for plan in found.plans} == {"full"}
    assert found.plan("lean").spec.training.optimizer == "adafactor"
    assert all("adapter" not in plan.spec.exports for plan in found.plans)


def test_exports_suit_the_size_of_the_model() -> None:
    plan = planned(TINY).plan("balanced")
    assert plan.spec.exports == ("adapter", "merged", "gguf:q8_0")
    assert said(plan)["exports"][1] == "exports"
    large = planned(SEVEN).plan("balanced")
    assert large.spec.exports == ("adapter", "merged", "gguf:q4_k_m")
    assert said(large)["exports"][1] == "exports"
    assert [rules().gguf_of(count * 10**9) for count in (0, 1, 7)] == ["q8_0", "q5_k_m", "q4_k_m"]


def test_on_a_full_disk_only_the_adapter_is_exported() -> None:
    place = msgspec.structs.replace(a_place(), disk_free_bytes=4 * GB)
    plan = planned(SMALL, place=place).plan("balanced")
    assert plan.spec.exports == ("adapter",) and said(plan)["exports"][1] == "exports_memory"


def test_steps_are_computed_in_less_memory_before_anything_is_given_up() -> None:
    roomy, narrow = planned(SMALL).plan("balanced"), planned(SMALL, place=a_place(free=5.5)).plan("balanced")
    assert said(roomy)["training.gradient_checkpointing"] == ("auto", "checkpointing_none")
    assert said(roomy)["training.window"][1] == "window"
    assert said(narrow)["training.window"][1] == "window_small"
    assert narrow.spec.training.checkpointing in ("selective", "full")
    assert (narrow.spec.quantization, narrow.spec.training.max_length) == ("none", None)


def test_ways_are_what_they_save_the_largest_first() -> None:
    found = planned(SEVEN)
    plan = found.plan(found.recommended)
    saved = [way.saved for way in found.ways]
    assert saved == sorted(saved, reverse=True) and len(saved) >= 3
    quantized = msgspec.structs.replace(plan.spec, quantization="nf4")
    way = next(way for way in found.ways if way.changes[0].key == "quantization")
    there = forecast(quantized, catalogue.find(SEVEN).facts, ROWS, a_place())
    assert way.changes == (Change("quantization", "none", "nf4"),)
    assert way.saved == plan.forecast.bytes - there.bytes and way.needed == there.bytes


def test_a_value_that_no_run_accepts_is_refused() -> None:
    with pytest.raises(RecipeError, match="epochs"):
        planned(SMALL, values={"training.epochs": 0})
    with pytest.raises(RecipeError, match="no adapter"):
        planned(SMALL, values={"tuner": {"kind": "full"}, "exports": ("adapter",)})


def test_a_dtype_without_units_is_kept_and_warned_of() -> None:
    plan = planned(TINY, place=a_place("t4"), values={"training.dtype": "bfloat16"}).plan("balanced")
    assert said(plan)["training.dtype"] == ("bfloat16", "warning_no_bfloat16")


def test_every_rule_names_its_source() -> None:
    tables = [getattr(rules(), field.name) for field in msgspec.structs.fields(rules())]
    assert len(tables) >= 8 and all(len(table.source) > 20 for table in tables)
