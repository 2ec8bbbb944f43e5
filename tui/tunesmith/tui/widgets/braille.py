"""Curves in braille: a character cell holds 2 x 4 dots, each coloured by the topmost series in it."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from operator import itemgetter

from textual.content import Content

Point = tuple[float, float]
# Dot bits of U+2800 by [row][column] of the cell.
_BITS = ((0x01, 0x08), (0x02, 0x10), (0x04, 0x20), (0x40, 0x80))


class Grid:
    """`columns` x `rows` characters; later series lie over earlier ones."""

    def __init__(self, columns: int, rows: int) -> None:
        self.columns = columns
        self.rows = rows
        self._cells = [[0] * columns for _ in range(rows)]
        self._styles = [[""] * columns for _ in range(rows)]
        self._marks: dict[tuple[int, int], tuple[str, str]] = {}

    def dot(self, x: int, y: int, style: str) -> None:
        """Set the dot `x` from the left, `y` from the top; in a cell a later style's dots replace an earlier one's."""
        column, row = x // 2, y // 4
        if not (0 <= column < self.columns and 0 <= row < self.rows):
            return
        if self._styles[row][column] != style:
            self._styles[row][column] = style
            self._cells[row][column] = 0
        self._cells[row][column] |= _BITS[y % 4][x % 2]

    def curve(
        self,
        points: Sequence[Point],
        x_range: Point,
        y_range: Point,
        style: str,
        join: bool = True,
        dashed: bool = False,
    ) -> None:
        """Draw `points`, joined by straight lines or as single dots; `dashed` leaves gaps two characters wide."""
        previous: tuple[int, int] | None = None
        for x_value, y_value in thinned(points, x_range, self.columns * 2):
            x, y = self._at(x_value, y_value, x_range, y_range)
            drawn = [(x, y)] if previous is None or not join else [*_line(previous, (x, y)), (x, y)]
            for dot_x, dot_y in drawn:
                if not dashed or dot_x // 4 % 2 == 0:
                    self.dot(dot_x, dot_y, style)
            previous = (x, y)

    def mark(self, point: Point, x_range: Point, y_range: Point, symbol: str, style: str) -> None:
        """Put `symbol`, one cell wide, where `point` lies, over whatever is drawn there."""
        x, y = self._at(*point, x_range, y_range)
        self._marks[y // 4, x // 2] = (symbol, style)

    def _at(self, x_value: float, y_value: float, x_range: Point, y_range: Point) -> tuple[int, int]:
        y = self.rows * 4 - 1 - _place(y_value, y_range, self.rows * 4)
        return _place(x_value, x_range, self.columns * 2), y

    def line(self, row: int) -> Content:
        """One row of characters with its colours."""
        parts: list[Content | str | tuple[str, str]] = []
        text, style = "", ""
        for column, (cell, cell_style) in enumerate(zip(self._cells[row], self._styles[row], strict=True)):
            symbol = chr(0x2800 + cell) if cell else " "
            symbol, cell_style = self._marks.get((row, column), (symbol, cell_style))
            if cell_style != style and text:
                parts.append((text, style))
                text = ""
            style = cell_style
            text += symbol
        if text:
            parts.append((text, style))
        return Content.assemble(*parts)


def _place(value: float, limits: Point, dots: int) -> int:
    low, high = limits
    share = (value - low) / (high - low) if high > low else 0.5
    return round(min(1.0, max(0.0, share)) * (dots - 1))


def thinned(points: Sequence[Point], x_range: Point, dots: int) -> Sequence[Point]:
    """Of what falls into one column of dots its first, lowest, highest and last, in their order; it looks the same.

    A curve is drawn ten times a second, and a long run has many more points than dots.
    """
    if len(points) <= dots * 4:
        return points
    low, high = x_range
    per_dot = (dots - 1) / (high - low) if high > low else 0.0
    kept: list[Point] = []
    for _, column in groupby(points, lambda point: round((point[0] - low) * per_dot)):
        same = list(column)
        if len(same) <= 4:
            kept += same
            continue
        lowest, highest = min(same, key=itemgetter(1)), max(same, key=itemgetter(1))
        kept += sorted({same[0], lowest, highest, same[-1]}, key=itemgetter(0))
    return kept


def _line(start: tuple[int, int], end: tuple[int, int]) -> list[tuple[int, int]]:
    steps = max(abs(end[0] - start[0]), abs(end[1] - start[1]))
    return [
        (round(start[0] + (end[0] - start[0]) * i / steps), round(start[1] + (end[1] - start[1]) * i / steps))
        for i in range(1, steps + 1)
    ]


def smooth(points: Sequence[Point]) -> list[Point]:
    """Exponential mean, corrected for its start; it reaches over about a twentieth of the points, at most 30."""
    if not points:
        return []
    keep = 1 - 1 / max(2.0, min(30.0, len(points) / 20))
    mean, weight, smoothed = 0.0, 0.0, []
    for x, y in points:
        mean = keep * mean + (1 - keep) * y
        weight = keep * weight + (1 - keep)
        smoothed.append((x, mean / weight))
    return smoothed


def span(values: Sequence[float]) -> Point:
    """The range of `values`, a little wider so that a flat curve lies in the middle."""
    low, high = min(values), max(values)
    if high - low < 1e-12:
        pad = abs(high) * 0.1 or 1.0
        return low - pad, high + pad
    return low, high
