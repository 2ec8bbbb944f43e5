"""The loss curve, raw and smoothed, and under it the learning rate, with axes."""

from __future__ import annotations

import math
from collections.abc import Sequence

from textual.content import Content
from textual.reactive import reactive
from textual.widget import Widget

from tunesmith.tui.texts import t
from tunesmith.tui.widgets.braille import Grid, Point, smooth, span

RAW, SMOOTH, RATE, AXIS, MUTED = "$secondary 80%", "$primary", "$success", "$foreground 30%", "$foreground 60%"
LABEL_CELLS = 7
RATE_ROWS = 2
ROWS_FOR_RATE = 9  # with fewer the loss gets all of them


class LossChart(Widget):
    """Give it `losses` and `learning_rates` as (step, value)."""

    DEFAULT_CSS = """
    LossChart { height: 1fr; min-height: 3; }
    """

    losses: reactive[Sequence[Point]] = reactive((), always_update=True)
    learning_rates: reactive[Sequence[Point]] = reactive((), always_update=True)
    total_steps: reactive[int] = reactive(0)

    def render(self) -> Content:
        return chart(self.losses, self.learning_rates, self.total_steps, *self.content_size)


def chart(
    losses: Sequence[Point], learning_rates: Sequence[Point], total_steps: int, columns: int, rows: int
) -> Content:
    """`rows` lines of at most `columns` cells; the loss axis is logarithmic when it spans more than a factor 20."""
    losses = [point for point in losses if math.isfinite(point[1])]
    plot_columns = columns - LABEL_CELLS - 2
    if plot_columns < 8 or rows < 3:
        return Content("")
    if not losses:
        return Content.styled(t("run.chart_empty"), MUTED)
    x_range = (1.0, float(max(total_steps, losses[-1][0], 2)))
    rate_rows = RATE_ROWS if learning_rates and rows >= ROWS_FOR_RATE else 0
    loss_rows = rows - 2 - (rate_rows + 1 if rate_rows else 0)
    lines = [_legend(losses, learning_rates if rate_rows else ())]
    lines += _loss_lines(losses, x_range, plot_columns, loss_rows)
    if rate_rows:
        lines.append(_rule(plot_columns, "├"))
        lines += _rate_lines(learning_rates, x_range, plot_columns, rate_rows)
    lines.append(_steps(x_range, plot_columns))
    return Content("\n").join(line.truncate(columns, ellipsis=True) for line in lines)


def _legend(losses: Sequence[Point], rates: Sequence[Point]) -> Content:
    smoothed = smooth(losses)[-1][1]
    parts: list[Content | str | tuple[str, str]] = [
        " " * LABEL_CELLS, " ", ("━ ", SMOOTH), (t("run.loss"), "bold"), f" {number(smoothed)}  ",
        ("⠂ ", RAW), (t("run.loss_raw"), MUTED), (f" {number(losses[-1][1])}", MUTED),
    ]  # fmt: skip
    if rates:
        parts += ["  ", ("━ ", RATE), (t("run.rate"), MUTED), (f" {number(rates[-1][1])}", MUTED)]
    return Content.assemble(*parts)


def _loss_lines(losses: Sequence[Point], x_range: Point, columns: int, rows: int) -> list[Content]:
    values = [y for _, y in losses]
    log = min(values) > 0 and max(values) / min(values) > 20
    scale = math.log10 if log else float
    y_range = span([scale(y) for y in values])
    grid = Grid(columns, rows)
    grid.curve([(x, scale(y)) for x, y in losses], x_range, y_range, RAW, join=False)
    grid.curve([(x, scale(y)) for x, y in smooth(losses)], x_range, y_range, SMOOTH)
    ends = [10**y if log else y for y in y_range]
    middle = sum(y_range) / 2
    labels = {0: number(ends[1]), rows - 1: number(ends[0])}
    if rows >= 5:
        labels[rows // 2] = number(10**middle if log else middle)
    return [_row(labels.get(row, ""), grid.line(row)) for row in range(rows)]


def _rate_lines(rates: Sequence[Point], x_range: Point, columns: int, rows: int) -> list[Content]:
    top = max(y for _, y in rates) or 1.0
    grid = Grid(columns, rows)
    grid.curve(rates, x_range, (0.0, top), RATE)
    return [_row(number(top) if row == 0 else "0" if row == rows - 1 else "", grid.line(row)) for row in range(rows)]


def _row(label: str, line: Content) -> Content:
    axis = "┤" if label else "│"
    return Content.assemble((f"{label:>{LABEL_CELLS}} ", MUTED), (axis, AXIS), line)


def _rule(columns: int, corner: str) -> Content:
    return Content.styled(f"{'':{LABEL_CELLS}} {corner}{'─' * columns}", AXIS)


def _steps(x_range: Point, columns: int) -> Content:
    """The x axis and its labels on one line: `└1───── step ─────72`."""
    first, last, name = f"{x_range[0]:.0f}", f"{x_range[1]:.0f}", f" {t('run.step').lower()} "
    room = columns - len(first) - len(last)
    name_cells = Content(name).cell_length
    if room < name_cells + 4:
        name, name_cells = "", 0
    left = (room - name_cells) // 2
    return Content.assemble(
        (f"{'':{LABEL_CELLS}} └", AXIS), (first, MUTED), ("─" * left, AXIS), (name, MUTED),
        ("─" * (room - left - name_cells), AXIS), (last, MUTED),
    )  # fmt: skip


def scientific(value: float) -> str:
    """`3.1e-6`."""
    mantissa, exponent = f"{value:.1e}".split("e")
    return f"{mantissa}e{int(exponent)}"


def number(value: float) -> str:
    """Three digits: `1.23`, `0.041`, `2.0e-4`."""
    if value == 0:
        return "0"
    size = abs(value)
    if size < 0.001 or size >= 100000:
        return scientific(value)
    return f"{value:.3f}" if size < 1 else f"{value:.2f}" if size < 100 else f"{value:.0f}"
