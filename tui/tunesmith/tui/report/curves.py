"""A report's charts as SVG, drawn by us: no script, no font, nothing from elsewhere; light and dark by style."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from html import escape
from typing import NamedTuple

from tunesmith.tui.texts import t
from tunesmith.tui.widgets.braille import Point, smooth
from tunesmith.tui.widgets.loss_chart import Axis, number

WIDTH, HEIGHT = 760, 260
LEFT, RIGHT, TOP, BOTTOM = 64, 16, 34, 34  # around the plot
BAR_HEIGHT, BAR_GAP, BAR_LEFT = 18, 12, 150
STYLE = """
svg.chart { --ink: #24262b; --faint: #6d6f76; --grid: #d9d4ca;
            --first: #a8530b; --second: #1f6f8b; --third: #2f7a2b; }
@media screen and (prefers-color-scheme: dark) {
  svg.chart { --ink: #e4e0d8; --faint: #9b9a97; --grid: #3a3e46;
              --first: #f2a65a; --second: #6fb1c7; --third: #8bc47e; }
}
svg.chart text { font: 12px system-ui, sans-serif; fill: var(--faint); }
svg.chart text.said { fill: var(--ink); }
svg.chart .grid { stroke: var(--grid); stroke-width: 1; }
svg.chart .raw { fill: none; stroke: var(--second); stroke-width: 1; opacity: 0.8; }
svg.chart .smooth { fill: none; stroke: var(--first); stroke-width: 2.4; stroke-linejoin: round; }
svg.chart .rate { fill: none; stroke: var(--third); stroke-width: 2; }
svg.chart .held { fill: var(--ink); }
svg.chart .rest { fill: var(--grid); }
svg.chart .bar { fill: var(--first); }
"""


class Plot(NamedTuple):
    """Where values lie in the picture."""

    x_range: Point
    y_range: Point

    def at(self, x: float, y: float) -> tuple[float, float]:
        across = (x - self.x_range[0]) / ((self.x_range[1] - self.x_range[0]) or 1.0)
        up = (y - self.y_range[0]) / ((self.y_range[1] - self.y_range[0]) or 1.0)
        return LEFT + across * (WIDTH - LEFT - RIGHT), HEIGHT - BOTTOM - up * (HEIGHT - TOP - BOTTOM)

    def line(self, points: Iterable[Point], kind: str) -> str:
        places = " ".join(f"{x:.1f},{y:.1f}" for x, y in (self.at(*point) for point in points))
        return f'<polyline class="{kind}" points="{places}"/>'


def loss(losses: Sequence[Point], held_out: Sequence[Point], total_steps: int) -> str:
    """Each step as a thin line, the smoothed loss as a thick one, held-out losses as diamonds."""
    losses = [point for point in losses if math.isfinite(point[1])]
    if not losses:
        return ""
    axis = Axis([y for _, y in (*losses, *held_out)])
    plot = Plot((1.0, float(max(total_steps, losses[-1][0], 2))), axis.span)
    smoothed = smooth(losses)
    parts = _frame(plot, axis.labels(5))
    parts.append(plot.line(((x, axis.scale(y)) for x, y in losses), "raw"))
    parts.append(plot.line(((x, axis.scale(y)) for x, y in smoothed), "smooth"))
    for x, y in held_out:
        left, top = plot.at(x, axis.scale(y))
        parts.append(f'<path class="held" d="M{left:.1f},{top - 6:.1f}l6,6l-6,6l-6,-6z"/>')
    keys = [
        ('<line class="smooth" x1="0" y1="-4" x2="22" y2="-4"/>', f"{t('run.loss')} {number(smoothed[-1][1])}"),
        ('<line class="raw" x1="0" y1="-4" x2="22" y2="-4"/>', f"{t('run.loss_raw')} {number(losses[-1][1])}"),
    ]
    if held_out:
        key = '<path class="held" d="M11,-10l6,6l-6,6l-6,-6z"/>'
        keys.append((key, f"{t('live.held_out')} {number(held_out[-1][1])}"))
    return picture([*parts, *_legend(keys)], HEIGHT, t("report.loss_said"))


def rate(rates: Sequence[Point], total_steps: int) -> str:
    if not rates:
        return ""
    top = max(y for _, y in rates) or 1.0
    plot = Plot((1.0, float(max(total_steps, rates[-1][0], 2))), (0.0, top))
    parts = _frame(plot, {0: number(top), 2: number(top / 2), 4: "0"})
    parts.append(plot.line(rates, "rate"))
    key = '<line class="rate" x1="0" y1="-4" x2="22" y2="-4"/>'
    return picture([*parts, *_legend([(key, t("run.rate"))])], HEIGHT, t("report.rate_said"))


def answers(counts: Sequence[tuple[str, int, int]]) -> str:
    """(subject, right, graded) as bars, the count beside each."""
    if not counts:
        return ""
    room = WIDTH - BAR_LEFT - 120
    parts = []
    for place, (name, right, graded) in enumerate(counts):
        top = 8 + place * (BAR_HEIGHT + BAR_GAP)
        full = room * right / max(1, graded)
        parts += [
            f'<text class="said" x="{BAR_LEFT - 12}" y="{top + 13}" text-anchor="end">{escape(name)}</text>',
            f'<rect class="rest" x="{BAR_LEFT}" y="{top}" width="{room}" height="{BAR_HEIGHT}" rx="2"/>',
            f'<rect class="bar" x="{BAR_LEFT}" y="{top}" width="{full:.1f}" height="{BAR_HEIGHT}" rx="2"/>',
            f'<text class="said" x="{BAR_LEFT + room + 10}" y="{top + 13}">{right}/{graded}</text>',
        ]
    return picture(parts, 8 + len(counts) * (BAR_HEIGHT + BAR_GAP), t("report.answers_said"))


def _frame(plot: Plot, labels: dict[int, str]) -> list[str]:
    """Horizontal lines with their values (rows 0 to 4 from the top), and the steps below."""
    parts = []
    for at, label in labels.items():
        y = TOP + at / 4 * (HEIGHT - TOP - BOTTOM)
        parts.append(f'<line class="grid" x1="{LEFT}" y1="{y:.1f}" x2="{WIDTH - RIGHT}" y2="{y:.1f}"/>')
        parts.append(f'<text x="{LEFT - 8}" y="{y + 4:.1f}" text-anchor="end">{escape(label)}</text>')
    below = HEIGHT - BOTTOM + 18
    for x, anchor, said in (
        (LEFT, "start", f"{plot.x_range[0]:.0f}"),
        ((LEFT + WIDTH - RIGHT) / 2, "middle", t("run.step")),
        (WIDTH - RIGHT, "end", f"{plot.x_range[1]:.0f}"),
    ):
        parts.append(f'<text x="{x:.0f}" y="{below}" text-anchor="{anchor}">{escape(said)}</text>')
    return parts


def _legend(keys: Sequence[tuple[str, str]]) -> list[str]:
    parts, x = [], LEFT
    for key, said in keys:
        parts.append(f'<g transform="translate({x} 20)">{key}<text class="said" x="28" y="0">{escape(said)}</text></g>')
        x += 28 + 24 + round(sum(13 if ord(character) > 0x2E80 else 7 for character in said))
    return parts


def picture(parts: Sequence[str], height: int, said: str) -> str:
    return (
        f'<svg class="chart" xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" '
        f'height="{height}" role="img"><title>{escape(said)}</title>{"".join(parts)}</svg>'
    )


def standalone(svg: str) -> str:
    """`svg` as a file of its own: with its styles."""
    head, end, rest = svg.partition("</title>")
    return f"{head}{end}<style>{STYLE}</style>{rest}\n"
