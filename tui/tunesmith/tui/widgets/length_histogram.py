"""How long the rows are, in tokens: bars in block characters, and a dotted line where rows are cut."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from textual.content import Content

if TYPE_CHECKING:
    from tunesmith.recipes.data.checking.statistics import Bar

LEVELS = " ▁▂▃▄▅▆▇█"
ROWS = 3  # 24 heights: enough to see a shape, small enough for 80x24
BAR_CELLS = 4  # at most; wider bars say no more
CUT = "┊"
FAINT = "$foreground 60%"


def histogram(bars: Sequence[Bar], cells: int, cut_at: int | None = None) -> list[Content]:
    """The lines of the drawing, at most `cells` wide: bars, then the lengths below them; none without rows or room.

    Bars past `cut_at` tokens stand right of the dotted line, so that they can be told without colour.
    """
    if not bars or cells < len(bars) + 1:
        return []
    width = min(BAR_CELLS, (cells - 1) // len(bars))
    highest = max(bar.rows for bar in bars)
    cut = next((at for at, bar in enumerate(bars) if cut_at is not None and bar.high > cut_at), None)
    lines = []
    for row in reversed(range(ROWS)):
        line = Content("")
        for at, bar in enumerate(bars):
            if at == cut:
                line += Content.styled(CUT, "$warning bold")
            past = cut is not None and at >= cut
            line += Content.styled(block(bar.rows, highest, row) * width, "$warning" if past else "$secondary")
        lines.append(line)
    first, last, cells = str(bars[0].low), str(bars[-1].high), len(bars) * width
    if cut is None:
        return [*lines, Content.styled(first + last.rjust(max(len(last) + 1, cells - len(first))), FAINT)]
    at, label = cut * width, f"{CUT}{cut_at}"
    before = (first if len(first) < at else "").ljust(at)
    after = last.rjust(max(len(last) + 1, cells + 1 - at - len(label)))
    return [*lines, Content.assemble((before, FAINT), (label, "$warning bold"), (after, FAINT))]


def block(rows: int, highest: int, line: int) -> str:
    """The character of `line` (0 at the foot) of a bar; a bar that is not empty shows at least its foot."""
    height = max(1, round(rows / highest * ROWS * 8)) if rows else 0
    return LEVELS[min(8, max(0, height - line * 8))]
