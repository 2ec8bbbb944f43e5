"""What runs taught corrects the next forecast of their kind, and no other."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tunesmith.recipes import planner, spec
from tunesmith.recipes.models import catalogue
from tunesmith.recipes.planner import Learned, Rows, forecast
from tunesmith.recipes.planner import learned as corrections

from .test_forecast import place

FACTS = catalogue.facts_of("qwen2.5-0.5b-instruct")
ROWS = Rows(rows=100, longest=400, mean=200.0)
RECIPE = spec.complete(spec.JobSpec())
KEY = corrections.key(RECIPE, FACTS, "cpu", "float32")


def test_a_run_that_took_more_raises_the_next_forecast() -> None:
    first = forecast(RECIPE, FACTS, ROWS, place())
    learned = Learned().with_measured(KEY, memory=1.1, seconds=2.0)
    second = forecast(RECIPE, FACTS, ROWS, place(), learned)
    assert second.stage("train").host_bytes == pytest.approx(1.1 * first.stage("train").host_bytes, rel=0.001)
    assert second.stage("train").seconds == pytest.approx(2 * first.stage("train").seconds)
    assert second.corrected_by == 1 and first.corrected_by == 0
    assert second.uncorrected_bytes == pytest.approx(first.uncorrected_bytes, abs=2)


def test_a_run_of_another_kind_is_not_corrected_by_it() -> None:
    learned = Learned().with_measured(KEY, memory=1.5)
    full = spec.complete(spec.JobSpec(tuner={"kind": "full"}, exports=("merged",)))
    assert forecast(full, FACTS, ROWS, place(), learned) == forecast(full, FACTS, ROWS, place())


@given(st.lists(st.floats(0.8, 1.25), min_size=1, max_size=20))
def test_the_newest_counts_most_and_all_stay_between_the_extremes(ratios: list[float]) -> None:
    learned = Learned()
    for ratio in ratios:
        learned = learned.with_measured(KEY, memory=ratio, seconds=ratio)
    found = learned.of(KEY)
    assert found is not None and found.runs == len(ratios)
    assert min(ratios) - 1e-9 <= found.memory <= max(ratios) + 1e-9
    assert abs(found.memory - ratios[-1]) <= (max(ratios) - min(ratios)) / 2 + 1e-9


@pytest.mark.parametrize("ratio", [0.01, 50.0])
def test_what_cannot_be_a_correction_is_left_out(ratio: float) -> None:
    found = Learned().with_measured(KEY, memory=ratio).of(KEY)
    assert found is not None and found.memory == 1.0


def test_a_place_that_shares_its_memory_is_held_to_one() -> None:
    found = forecast(RECIPE, FACTS, ROWS, place("mps"))
    assert found.device_bytes == 0 and planner.fit(found, place("mps")).holds
