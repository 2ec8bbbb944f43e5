"""Recommending: what holds for every recipe, model, data set and machine."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tunesmith.recipes.machine import known
from tunesmith.recipes.models import catalogue
from tunesmith.recipes.planner import ASSUMED, Place, Rows, fit, forecast, place_of
from tunesmith.recipes.planner.badge import VERDICTS, badge
from tunesmith.recipes.planner.filled import put, seen
from tunesmith.recipes.planner.plans import Plan, Recommendation
from tunesmith.recipes.planner.recommend import recommend
from tunesmith.recipes.planner.simulated import simulated
from tunesmith.recipes.spec import JobSpec, complete

GB = 10**9
MODELS = ("smollm2-135m-instruct", "qwen2.5-0.5b-instruct", "qwen2.5-7b-instruct", "qwen3-30b-a3b", "gemma-3-1b-it")
MACHINES = ("t4", "rtx-3060", "rtx-4090", "h200", "m3-max-64g", "m3-8g", "ascend-910b2")
EXPLICIT: tuple[dict[str, Any], ...] = (
    {},
    {"training.batch_size": 3},
    {"quantization": "nf4"},
    {"quantization": "none", "training.max_length": 4096},
    {"tuner": {"kind": "full"}},
    {"tuner": {"kind": "lora", "rank": 128, "alpha": 16, "dropout": 0.1}},
    {"training.optimizer": "adafactor", "training.epochs": 7, "training.learning_rate": 3e-5},
    {"exports": ("adapter",), "training.window": 4096, "training.gradient_checkpointing": "off"},
    {"training.dtype": "bfloat16", "training.packing": False},
)


def a_place(key: str = "rtx-4090", free: int | None = None) -> Place:
    place = simulated(key)
    if free is None:
        return place
    more = {"host_free_bytes": free} if place.shared else {}
    return msgspec.structs.replace(place, free_bytes=free, **more)


places = st.builds(a_place, st.sampled_from(MACHINES), st.integers(1 * GB, 200 * GB))
models = st.sampled_from(MODELS)


@st.composite
def data(draw: st.DrawFn) -> Rows:
    longest = draw(st.integers(16, 40_000))
    usual = draw(st.integers(8, longest))
    return Rows(
        rows=draw(st.integers(1, 300_000)),
        longest=longest,
        mean=float(draw(st.integers(4, usual))),
        trained_share=draw(st.floats(0.05, 1.0)),
        percentile_99=draw(st.sampled_from((0, usual))),
        known=draw(st.booleans()),
    )


def recommended(model: str, rows: Rows, place: Place, values: dict[str, Any] | None = None) -> Recommendation:
    values = values or {}
    return recommend(put(JobSpec(), values), values.keys(), catalogue.find(model).facts, rows, place)


@settings(max_examples=25)
@given(models, data(), places, st.sampled_from(EXPLICIT))
def test_a_plan_fits_where_its_verdict_says_so(model: str, rows: Rows, place: Place, values: dict[str, Any]) -> None:
    found = recommended(model, rows, place, values)
    assert [plan.key for plan in found.plans] == ["lean", "balanced", "best"]
    for plan in found.plans:
        again = forecast(plan.spec, catalogue.find(model).facts, seen(plan.spec, rows), place)
        assert plan.forecast == again
        assert not plan.fit.holds or fit(again, place) == plan.fit
        complete(plan.spec)  # a recipe that a run accepts
    assert bool(found.recommended) == any(plan.fit.holds for plan in found.plans) == (found.refusal is None)
    assert not found.recommended or found.plan(found.recommended).fit.holds


@settings(max_examples=25)
@given(models, data(), places, st.sampled_from(EXPLICIT))
def test_lean_needs_no_more_than_balanced_and_that_no_more_than_best(
    model: str, rows: Rows, place: Place, values: dict[str, Any]
) -> None:
    lean, balanced, best = recommended(model, rows, place, values).plans
    assert lean.forecast.bytes <= balanced.forecast.bytes <= best.forecast.bytes


@settings(max_examples=25)
@given(models, data(), st.sampled_from(MACHINES), st.integers(1, 150), st.integers(1, 60))
def test_more_free_memory_never_makes_it_worse(model: str, rows: Rows, machine: str, free: int, more: int) -> None:
    before = recommended(model, rows, a_place(machine, free * GB))
    after = recommended(model, rows, a_place(machine, (free + more) * GB))
    for key in ("balanced", "best"):
        assert quality(after.plan(key), rows) >= quality(before.plan(key), rows)


def quality(plan: Plan, rows: Rows) -> tuple[Any, ...]:
    """Fits before tight, everything exported, no more than a row of a hundred left out, then how much it learns."""
    verdict = ("not", "tight", "fits").index(plan.fit.verdict)
    if not verdict:
        return (0,)
    spec = plan.spec
    length = spec.training.max_length or rows.longest
    usual = length >= min(rows.percentile_99 or rows.longest, 131_072, length)
    full, plain = spec.tuner["kind"] == "full", spec.quantization == "none"
    exact = spec.training.dtype == "auto"
    if length < min(rows.percentile_99 or rows.longest, 32_768):
        return (verdict, 0, len(spec.exports) > 1, length)
    return (verdict, usual, full, len(spec.exports) > 1, plain, exact, length)


@settings(max_examples=15)
@given(models, data(), places, st.sampled_from(EXPLICIT))
def test_what_a_person_set_is_in_every_plan(model: str, rows: Rows, place: Place, values: dict[str, Any]) -> None:
    for plan in recommended(model, rows, place, values).plans:
        for key, value in values.items():
            part, _, name = key.partition(".")
            kept = getattr(plan.spec, part)
            assert (getattr(kept, name) if name else kept) == value
        shown = {choice.key for choice in plan.choices if choice.explicit}
        assert {choice.key for choice in plan.choices if choice.key in values} <= shown


@settings(max_examples=15)
@given(models, data(), places, st.sampled_from(EXPLICIT))
def test_it_is_deterministic(model: str, rows: Rows, place: Place, values: dict[str, Any]) -> None:
    assert recommended(model, rows, place, values) == recommended(model, rows, place, values)


@settings(max_examples=15)
@given(models, data(), places)
def test_more_memory_lifts_it_as_it_says(model: str, rows: Rows, place: Place) -> None:
    found = recommended(model, rows, place)
    for lift in found.lift:
        free = place.free_bytes + lift.bytes
        shared = {"host_free_bytes": free} if place.shared else {}
        there = recommended(model, rows, msgspec.structs.replace(place, free_bytes=free, **shared))
        changed = {plan.key: {choice.key: choice.value for choice in plan.choices} for plan in there.plans}
        assert lift.after in {values.get(lift.key) for values in changed.values()}


@given(models, places)
@settings(max_examples=25)
def test_a_badge_says_what_the_balanced_plan_says(model: str, place: Place) -> None:
    facts = catalogue.find(model).facts
    found, plan = badge(facts, place), recommended(model, ASSUMED, place).plan("balanced")
    assert found.verdict in VERDICTS
    if found.verdict in ("fits", "quantized"):
        assert plan.fit.verdict == "fits"
        assert (plan.spec.quantization != "none") == (found.verdict == "quantized")


def test_the_machine_of_the_place_is_the_known_one() -> None:
    assert place_of(known.machine("rtx-4090")).name == simulated("rtx-4090").name
    assert simulated("rtx-4090").flops == pytest.approx({"bfloat16": 165.2e12, "float32": 82.6e12})
