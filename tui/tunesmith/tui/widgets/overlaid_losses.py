"""The loss curves of two runs over each other: one as a line, the other dashed, on axes that hold both."""

from __future__ import annotations

import math
from collections.abc import Sequence

from textual.content import Content
from textual.reactive import reactive
from textual.widget import Widget

from tunesmith.tui.texts import t
from tunesmith.tui.widgets.braille import Grid, Point, smooth
from tunesmith.tui.widgets.loss_chart import LABEL_CELLS, MUTED, Axis, number, row, steps_axis

FIRST, SECOND = "$primary", "$secondary"
FIRST_KEY, SECOND_KEY = "━━", "╍╍"


class OverlaidLosses(Widget):
    """Give it `names` and `curves`, of the first run and of the second; both are shown smoothed."""

    DEFAULT_CSS = """
    OverlaidLosses { height: 12; }
    """

    names: reactive[tuple[str, str]] = reactive(("", ""))
    curves: reactive[tuple[Sequence[Point], Sequence[Point]]] = reactive(((), ()), always_update=True)

    def render(self) -> Content:
        return overlaid(self.names, self.curves, *self.content_size)


def overlaid(
    names: tuple[str, str], curves: tuple[Sequence[Point], Sequence[Point]], columns: int, rows: int
) -> Content:
    """`rows` lines of at most `columns` cells."""
    plot_columns = columns - LABEL_CELLS - 2
    if plot_columns < 8 or rows < 4:
        return Content("")
    smoothed = [smooth([point for point in curve if math.isfinite(point[1])]) for curve in curves]
    every = [point for curve in smoothed for point in curve]
    if not every:
        return Content.styled(t("compare.no_curves"), MUTED)
    x_range = (1.0, max(2.0, *(x for x, _ in every)))
    axis = Axis([y for _, y in every])
    grid = Grid(plot_columns, rows - 2)
    grid.curve([(x, axis.scale(y)) for x, y in smoothed[0]], x_range, axis.span, FIRST)
    grid.curve([(x, axis.scale(y)) for x, y in smoothed[1]], x_range, axis.span, SECOND, dashed=True)
    labels = axis.labels(rows - 2)
    lines = [_legend(names, smoothed)]
    lines += [row(labels.get(at, ""), grid.line(at)) for at in range(rows - 2)]
    lines.append(steps_axis(x_range, plot_columns))
    return Content("\n").join(line.truncate(columns, ellipsis=True) for line in lines)


def _legend(names: tuple[str, str], curves: Sequence[Sequence[Point]]) -> Content:
    parts: list[Content | str | tuple[str, str]] = [" " * (LABEL_CELLS + 1)]
    for key, style, name, curve in zip((FIRST_KEY, SECOND_KEY), (FIRST, SECOND), names, curves, strict=True):
        last = number(curve[-1][1]) if curve else "—"
        parts += [(f"{key} ", style), (name, "bold"), f" {last}   "]
    return Content.assemble(*parts).rstrip()
