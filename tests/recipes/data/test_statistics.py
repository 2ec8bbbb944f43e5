"""Percentiles and histograms from counts equal those of the rows themselves."""

from __future__ import annotations

import math

import numpy
from hypothesis import given
from hypothesis import strategies as st

from tunesmith.recipes.data.checking.statistics import BARS, Lengths, Tokens


def lengths_of(*rows: int) -> Lengths:
    found = Lengths()
    found.add(numpy.array(rows, numpy.int32), numpy.array(rows, numpy.int32) // 2)
    return found


def test_no_rows_have_no_figures() -> None:
    assert Lengths().summary() is None
    assert Lengths().histogram() == ()


def test_the_figures_of_a_hundred_rows() -> None:
    assert lengths_of(*range(1, 101)).summary() == Tokens(50, 95, 99, 100, 50.5, 5050, 2500)


@given(st.lists(st.integers(0, 5000), min_size=1, max_size=200))
def test_percentiles_are_the_nearest_ranks(rows: list[int]) -> None:
    summary = lengths_of(*rows).summary()
    assert summary is not None
    ordered = sorted(rows)
    assert summary.p95 == ordered[math.ceil(0.95 * len(rows)) - 1]
    assert summary.max == ordered[-1]
    assert summary.total == sum(rows)


@given(st.lists(st.integers(0, 100_000), min_size=1, max_size=200))
def test_every_row_stands_in_one_bar(rows: list[int]) -> None:
    bars = lengths_of(*rows).histogram()
    assert len(bars) <= BARS
    assert sum(bar.rows for bar in bars) == len(rows)
    for bar in bars:
        assert bar.rows == sum(bar.low <= row <= bar.high for row in rows)


def test_one_very_long_row_does_not_flatten_the_picture() -> None:
    bars = lengths_of(*([40, 60, 80, 100] * 100), 30_000).histogram()
    assert len(bars) > 5
    assert bars[-1].rows == 1 and bars[-1].high >= 30_000
