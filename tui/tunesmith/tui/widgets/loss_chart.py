"""The loss curve, raw and smoothed, with held-out points; under it, or in its place, the learning rate; with axes."""

from __future__ import annotations

import math
from collections.abc import Sequence

from textual.content import Content
from textual.reactive import reactive
from textual.widget import Widget

from tunesmith.tui.texts import t
from tunesmith.tui.widgets.braille import Grid, Point, smooth, span

RAW, SMOOTH, RATE, HELD_OUT = "$secondary 80%", "$primary", "$success", "$warning bold"
AXIS, MUTED = "$foreground 30%", "$foreground 60%"
HELD_OUT_SYMBOL = "◆"
LABEL_CELLS = 7
ROWS_FOR_RATE = 9  # with fewer the loss gets all of them, and the rate comes when it is asked for
RATE_SHARE = 4  # the loss has so many rows for each one of the rate
LOG_FROM = 20  # a range of more than this factor is drawn on a logarithmic axis


class LossChart(Widget):
    """Give it `losses`, `learning_rates` and `held_out` as (step, value); `rate_first` shows the rate alone."""

    DEFAULT_CSS = """
    LossChart { height: 1fr; min-height: 3; }
    """

    losses: reactive[Sequence[Point]] = reactive((), always_update=True)
    learning_rates: reactive[Sequence[Point]] = reactive((), always_update=True)
    held_out: reactive[Sequence[Point]] = reactive((), always_update=True)
    total_steps: reactive[int] = reactive(0)
    rate_first: reactive[bool] = reactive(False)

    def render(self) -> Content:
        columns, rows = self.content_size
        if self.rate_first:
            return rate_chart(self.learning_rates, self.total_steps, columns, rows)
        return chart(self.losses, self.learning_rates, self.total_steps, columns, rows, self.held_out)


class Axis:
    """A vertical axis that holds `values`; logarithmic when they span more than a factor LOG_FROM."""

    def __init__(self, values: Sequence[float]) -> None:
        self.log = min(values) > 0 and max(values) / min(values) > LOG_FROM
        self.span = span([self.scale(value) for value in values])

    def scale(self, value: float) -> float:
        return math.log10(value) if self.log else value

    def labels(self, rows: int) -> dict[int, str]:
        """By row: both ends, and the middle where there is room."""
        low, high = self.span
        ends = {rows - 1: low, 0: high} | ({rows // 2: (low + high) / 2} if rows >= 5 else {})
        return {at: number(10**value if self.log else value) for at, value in ends.items()}


def chart(
    losses: Sequence[Point],
    learning_rates: Sequence[Point],
    total_steps: int,
    columns: int,
    rows: int,
    held_out: Sequence[Point] = (),
) -> Content:
    """`rows` lines of at most `columns` cells."""
    losses = [point for point in losses if math.isfinite(point[1])]
    plot_columns = columns - LABEL_CELLS - 2
    if plot_columns < 8 or rows < 3:
        return Content("")
    if not losses:
        return Content.styled(t("run.chart_empty"), MUTED)
    x_range = (1.0, float(max(total_steps, losses[-1][0], 2)))
    rate_rows = max(2, (rows - 3) // (RATE_SHARE + 1)) if learning_rates and rows >= ROWS_FOR_RATE else 0
    loss_rows = rows - 2 - (rate_rows + 1 if rate_rows else 0)
    lines = [_legend(losses, learning_rates if rate_rows else (), held_out)]
    lines += _loss_lines(losses, held_out, x_range, plot_columns, loss_rows)
    if rate_rows:
        lines.append(_rule(plot_columns, "├"))
        lines += _rate_lines(learning_rates, x_range, plot_columns, rate_rows)
    lines.append(steps_axis(x_range, plot_columns))
    return Content("\n").join(line.truncate(columns, ellipsis=True) for line in lines)


def rate_chart(rates: Sequence[Point], total_steps: int, columns: int, rows: int) -> Content:
    """The learning rate alone, as large as the loss was."""
    plot_columns = columns - LABEL_CELLS - 2
    if plot_columns < 8 or rows < 3:
        return Content("")
    if not rates:
        return Content.styled(t("run.chart_empty"), MUTED)
    x_range = (1.0, float(max(total_steps, rates[-1][0], 2)))
    legend = Content.assemble(
        " " * (LABEL_CELLS + 1), ("━ ", RATE), (t("run.rate"), "bold"), f" {number(rates[-1][1])}"
    )
    lines = [legend, *_rate_lines(rates, x_range, plot_columns, rows - 2), steps_axis(x_range, plot_columns)]
    return Content("\n").join(line.truncate(columns, ellipsis=True) for line in lines)


def _legend(losses: Sequence[Point], rates: Sequence[Point], held_out: Sequence[Point]) -> Content:
    smoothed = smooth(losses)[-1][1]
    parts: list[Content | str | tuple[str, str]] = [
        " " * LABEL_CELLS, " ", ("━ ", SMOOTH), (t("run.loss"), "bold"), f" {number(smoothed)}  ",
        ("⠂ ", RAW), (t("run.loss_raw"), MUTED), (f" {number(losses[-1][1])}", MUTED),
    ]  # fmt: skip
    if held_out:
        said = f" {number(held_out[-1][1])}"
        parts += ["  ", (f"{HELD_OUT_SYMBOL} ", HELD_OUT), (t("live.held_out"), MUTED), (said, MUTED)]
    if rates:
        parts += ["  ", ("━ ", RATE), (t("run.rate"), MUTED), (f" {number(rates[-1][1])}", MUTED)]
    return Content.assemble(*parts)


def _loss_lines(
    losses: Sequence[Point], held_out: Sequence[Point], x_range: Point, columns: int, rows: int
) -> list[Content]:
    axis = Axis([y for _, y in (*losses, *held_out)])
    grid = Grid(columns, rows)
    grid.curve([(x, axis.scale(y)) for x, y in losses], x_range, axis.span, RAW, join=False)
    grid.curve([(x, axis.scale(y)) for x, y in smooth(losses)], x_range, axis.span, SMOOTH)
    for x, y in held_out:
        grid.mark((x, axis.scale(y)), x_range, axis.span, HELD_OUT_SYMBOL, HELD_OUT)
    labels = axis.labels(rows)
    return [row(labels.get(at, ""), grid.line(at)) for at in range(rows)]


def _rate_lines(rates: Sequence[Point], x_range: Point, columns: int, rows: int) -> list[Content]:
    top = max(y for _, y in rates) or 1.0
    grid = Grid(columns, rows)
    grid.curve(rates, x_range, (0.0, top), RATE)
    return [row(number(top) if at == 0 else "0" if at == rows - 1 else "", grid.line(at)) for at in range(rows)]


def row(label: str, line: Content) -> Content:
    """A line of a plot beside its axis."""
    axis = "┤" if label else "│"
    return Content.assemble((f"{label:>{LABEL_CELLS}} ", MUTED), (axis, AXIS), line)


def _rule(columns: int, corner: str) -> Content:
    return Content.styled(f"{'':{LABEL_CELLS}} {corner}{'─' * columns}", AXIS)


def steps_axis(x_range: Point, columns: int) -> Content:
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
