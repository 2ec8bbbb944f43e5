"""Bytes, durations and counts read as a person writes them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tunesmith.recipes.units import bytes_text, count_text, duration_text, flops_text


@pytest.mark.parametrize(
    ("count", "text"),
    [(0, "0 B"), (999, "999 B"), (1536, "1.5 kB"), (23_766_425, "23.8 MB"), (6e9, "6.0 GB"), (2.5e12, "2.5 TB")],
)
def test_bytes(count: float, text: str) -> None:
    assert bytes_text(count) == text


@pytest.mark.parametrize(
    ("seconds", "text"), [(-3, "0:00"), (0.4, "0:00"), (75, "1:15"), (3600, "1:00:00"), (3700, "1:01:40")]
)
def test_durations(seconds: float, text: str) -> None:
    assert duration_text(seconds) == text


@pytest.mark.parametrize(
    ("count", "text"), [(7, "7"), (999, "999"), (1500, "1.5k"), (1_234_567, "1.2M"), (8.03e9, "8.0B")]
)
def test_counts(count: float, text: str) -> None:
    assert count_text(count) == text


@pytest.mark.parametrize(
    ("rate", "text"),
    [(0.0, "0 MFLOP/s"), (2.5e6, "2.5 MFLOP/s"), (1.95e11, "195 GFLOP/s"), (4.1e14, "410 TFLOP/s")],
)
def test_rates_of_computing(rate: float, text: str) -> None:
    assert flops_text(rate) == text


@given(st.integers(min_value=0, max_value=10**9))
def test_a_duration_reads_back_to_the_same_seconds(seconds: int) -> None:
    total = 0
    for part in duration_text(seconds).split(":"):
        total = total * 60 + int(part)
    assert total == seconds
