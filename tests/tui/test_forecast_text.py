"""Forecasts in words: ranges in one unit, times as a person says them."""

from __future__ import annotations

import pytest

from tunesmith.recipes.planner import Fit
from tunesmith.tui import texts
from tunesmith.tui.forecast_text import bytes_range, missing, name_of, time_range


@pytest.mark.parametrize(
    ("low", "high", "text"),
    [
        (1.12e9, 1.31e9, "1.1–1.3 GB"),
        (9.5e8, 1.1e9, "950.0 MB–1.1 GB"),
        (2.0e9, 2.01e9, "2.0 GB"),
    ],
)
def test_a_range_of_bytes_says_its_unit_once(low: float, high: float, text: str) -> None:
    assert bytes_range(low, high) == text


@pytest.mark.parametrize(
    ("low", "high", "text"),
    [
        (20, 60, "20–60 s"),
        (100, 1400, "1.7–23 min"),
        (3600, 7200, "1–2 h"),
        (86_400, 864_000, "1–10 days"),
        (60, 60, "60 s"),
        (0, 0, "0 s"),
    ],
)
def test_a_time_is_said_in_the_unit_that_suits_it(low: float, high: float, text: str) -> None:
    assert time_range(low, high) == text


def test_what_is_missing_is_named() -> None:
    assert missing(Fit("not", (("device", 2_100_000_000), ("disk", 4_000_000_000)))) == (
        "2.1 GB of GPU memory, 4.0 GB of disk"
    )
    assert missing(Fit("tight", (("host", 0),))) == ""


def test_values_have_the_forms_names() -> None:
    assert name_of("training.max_length") == texts.t("recipe.label_max_length")
    assert name_of("some.new_value") == "new value"
