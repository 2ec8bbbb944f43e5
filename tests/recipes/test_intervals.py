"""Intervals: those of the literature, reproducible, and around the figure."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tunesmith.recipes.intervals import Interval, bootstrapped, difference, wilson


def mean(sums: list[float]) -> float:
    return sums[0] / sums[1]


def rows(values: list[float]) -> list[tuple[float, float]]:
    return [(value, 1.0) for value in values]


@pytest.mark.parametrize(
    ("right", "n", "low", "high"),
    # Newcombe, "Two-sided confidence intervals for the single proportion", 1998, table I, method 3 (Wilson).
    [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611), (1, 29, 0.0061, 0.1718)],
)
def test_a_proportion_has_the_published_interval(right: int, n: int, low: float, high: float) -> None:
    found = wilson(right, n)
    assert (found.low, found.high) == (pytest.approx(low, abs=5e-5), pytest.approx(high, abs=5e-5))
    assert found.value == right / n


@pytest.mark.parametrize(
    ("first", "second", "low", "high"),
    # Newcombe, "Interval estimation for the difference between independent proportions", 1998, table II, method 10.
    [((48, 80), (56, 70), 0.0524, 0.3339), ((3, 10), (9, 10), 0.1705, 0.8090), ((0, 10), (10, 10), 0.6075, 1.0)],
)
def test_a_difference_has_the_published_interval(
    first: tuple[int, int], second: tuple[int, int], low: float, high: float
) -> None:
    found = difference(wilson(*first), wilson(*second))
    assert (found.low, found.high) == (pytest.approx(low, abs=5e-5), pytest.approx(high, abs=5e-5))
    assert found.value == pytest.approx(second[0] / second[1] - first[0] / first[1])


def test_it_can_be_told_on_another_scale() -> None:
    assert wilson(5, 10, 100.0).value == 50 and wilson(10, 10, 100.0).high == 100


@given(st.integers(1, 1000), st.data())
def test_a_proportions_interval_is_around_it_and_within_bounds(n: int, data: st.DataObject) -> None:
    found = wilson(data.draw(st.integers(0, n)), n)
    assert 0 <= found.low <= found.value <= found.high <= 1


def test_the_change_of_the_same_rows_is_known_better_than_each_side() -> None:
    dice = random.Random(1)
    before = [dice.random() for _ in range(200)]
    after = [min(1.0, value + 0.05 + 0.02 * dice.random()) for value in before]
    first, second, change = bootstrapped(rows(before), rows(after), mean)
    assert change.value == pytest.approx(second.value - first.value)
    assert 0 < change.low < change.high < 0.1
    assert change.high - change.low < (first.high - first.low) / 5, "paired: what rows share cancels out"
    assert first.high - first.low == pytest.approx(2 * 1.96 * 0.289 / 200**0.5, rel=0.15)


def test_the_same_answers_have_the_same_interval() -> None:
    values = [0.1, 0.9, 0.4, 0.7]
    assert bootstrapped(rows(values), rows(values[::-1]), mean) == bootstrapped(rows(values), rows(values[::-1]), mean)


def test_where_nothing_differs_the_change_is_a_point() -> None:
    values = [0.1, 0.9, 0.4]
    assert bootstrapped(rows(values), rows(values), mean)[2] == Interval(0.0, 0.0, 0.0)


@settings(max_examples=20)
@given(st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1)), min_size=1, max_size=30))
def test_every_interval_is_around_its_figure(pairs: list[tuple[float, float]]) -> None:
    for found in bootstrapped(rows([a for a, _ in pairs]), rows([b for _, b in pairs]), mean):
        assert found.low <= found.value <= found.high


def test_without_rows_there_is_none() -> None:
    with pytest.raises(ValueError):
        wilson(0, 0)
    with pytest.raises(ValueError):
        bootstrapped([], [], mean)
