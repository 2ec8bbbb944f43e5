"""The curve in braille: where dots lie, what the axes say, and that odd numbers draw."""

from __future__ import annotations

import math

import pytest

from tunesmith.tui.widgets.braille import Grid, smooth
from tunesmith.tui.widgets.loss_chart import LossChart, chart, number

FALLING = [(step, 3 * math.exp(-step / 20)) for step in range(1, 61)]


def test_a_dot_lies_in_its_cell() -> None:
    grid = Grid(2, 1)
    grid.dot(0, 0, "")
    grid.dot(3, 3, "")
    assert grid.line(0).plain == "⠁⢀"


def test_a_dot_outside_is_left_out() -> None:
    grid = Grid(1, 1)
    grid.dot(2, 0, "")
    grid.dot(0, -1, "")
    assert grid.line(0).plain == " "


def test_a_falling_curve_begins_at_the_top_left_and_ends_at_the_bottom_right() -> None:
    grid = Grid(10, 3)
    grid.curve([(0, 1), (1, 0)], (0, 1), (0, 1), "red")
    lines = [grid.line(row).plain for row in range(3)]
    assert lines[0][0] != " " and lines[2][9] != " "
    assert lines[0][9] == " " and lines[2][0] == " "


def test_every_line_has_the_asked_width() -> None:
    for columns, rows in ((40, 8), (61, 12), (120, 30), (20, 4)):
        lines = chart(FALLING, [(1, 0.0), (60, 2e-4)], 60, columns, rows).split()
        assert len(lines) == rows
        assert all(line.cell_length <= columns for line in lines)


def test_the_axis_says_the_range_and_the_steps() -> None:
    text = chart(FALLING, (), 72, 60, 10).plain
    assert "2.85" in text and text.splitlines()[-1].endswith("72")


def test_the_rate_is_drawn_where_there_is_room() -> None:
    rates = [(1, 0.0), (60, 2e-4)]
    assert "Learning rate" in chart(FALLING, rates, 60, 60, 12).plain
    assert "Learning rate" not in chart(FALLING, rates, 60, 60, 7).plain


@pytest.mark.parametrize("losses", [[(1, 1.0)], [(1, 2.0), (2, 2.0)], [(1, math.nan), (2, 1.0)], [(1, 0.0), (2, 5.0)]])
def test_few_flat_or_missing_values_draw(losses: list[tuple[int, float]]) -> None:
    assert chart(losses, (), 0, 40, 8).plain.strip()


def test_no_values_say_when_there_will_be_some() -> None:
    assert "starts with the first" in chart((), (), 0, 60, 8).plain


def test_a_constant_stays_constant_when_smoothed() -> None:
    assert all(y == pytest.approx(2.0) for _, y in smooth([(x, 2.0) for x in range(100)]))


@pytest.mark.parametrize(
    ("value", "text"),
    [(0, "0"), (1.234, "1.23"), (0.0412, "0.041"), (2e-4, "2.0e-4"), (1234.5, "1234"), (3e6, "3.0e6")],
)
def test_a_number_has_three_digits(value: float, text: str) -> None:
    assert number(value) == text


def test_a_chart_alone_is_empty_until_told() -> None:
    assert LossChart().losses == ()
