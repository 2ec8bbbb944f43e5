"""Memory as one stacked bar: what others use, every part of a run, and what stays free; readable without colour."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import msgspec
from textual.content import Content
from textual.geometry import Size
from textual.reactive import reactive
from textual.widget import Widget

from tunesmith.recipes.units import bytes_text
from tunesmith.tui.texts import t

if TYPE_CHECKING:
    from tunesmith.recipes.planner import Forecast, Place

# part -> (what fills its cells, style): the fill alone tells them apart
FILLS = {
    "others": ("╱", "$foreground 40%"),
    "weights": ("█", "$primary"),
    "adapter": ("▚", "$success"),
    "gradients": ("▓", "$warning"),
    "optimizer": ("▒", "$secondary"),
    "activations": ("░", "$primary-lighten-2"),
    "logits": ("▌", "$success-lighten-1"),
    "runtime": ("▄", "$foreground 55%"),
    "later": ("+", "$foreground 80%"),
    "free": ("·", "$foreground 35%"),
}
EDGE = ("┃", "$error bold")
MARK = ("▼", "bold")
LEGEND_GAP = 2


class Memory(msgspec.Struct, frozen=True):
    """`parts` (key of FILLS, bytes) of a run in a memory of `capacity` bytes, of which `others` use some."""

    parts: tuple[tuple[str, int], ...]
    capacity: int
    others: int = 0

    @property
    def needed(self) -> int:
        return sum(size for _, size in self.parts)

    @property
    def over(self) -> bool:
        return self.others + self.needed > self.capacity


def of(forecast: Forecast, place: Place) -> Memory:
    """Up to the forecast's peak, also where a later stage needs more than training."""
    parts = tuple((part.key, part.bytes) for part in forecast.parts)
    later = forecast.bytes - sum(size for _, size in parts)
    if later > 0:
        parts = (*parts, ("later", later))
    return Memory(parts, place.memory_bytes, max(0, place.memory_bytes - place.free_bytes))


class MemoryBar(Widget):
    """Give it a `memory`. `legend` are its lines at most, None for all; `marks` are bytes pointed at from above."""

    DEFAULT_CSS = """
    MemoryBar { height: auto; }
    """

    memory: reactive[Memory | None] = reactive(None, layout=True)
    legend: reactive[int | None] = reactive(None, layout=True)
    marks: reactive[tuple[int, ...]] = reactive((), layout=True)

    def get_content_height(self, container: Size, viewport: Size, width: int) -> int:
        return len(self._lines(width))

    def render(self) -> Content:
        return Content("\n").join(self._lines(self.content_size.width))

    def _lines(self, width: int) -> list[Content]:
        if self.memory is None or width <= 0:
            return []
        lines = [marked(self.memory, self.marks, width)] if self.marks else []
        lines.append(bar(self.memory, width))
        return [*lines, *legend_lines(self.memory, width, self.legend)]


def cells_of(memory: Memory, width: int) -> list[tuple[str, int]]:
    """(part, cells) in order, of `width` together; edges are rounded, so that no error adds up."""
    sizes = [("others", memory.others), *memory.parts]
    total = max(memory.capacity, memory.others + memory.needed, 1)
    sizes.append(("free", max(0, total - memory.others - memory.needed)))
    cells, before, at = [], 0, 0
    for key, size in sizes:
        before += size
        edge = round(before / total * width)
        cells.append((key, edge - at))
        at = edge
    return cells


def bar(memory: Memory, width: int) -> Content:
    """What does not fit stands behind an edge, in the colour of errors."""
    edge = round(memory.capacity / (memory.others + memory.needed) * width) if memory.over else width
    pieces: list[tuple[str, str]] = []
    at = 0
    for key, cells in cells_of(memory, width):
        fill, style = FILLS[key]
        inside = max(0, min(cells, edge - at))
        pieces += [(fill * inside, style), (fill * (cells - inside), EDGE[1])]
        at += cells
    whole = Content.assemble(*pieces)
    if not memory.over or edge >= width:
        return whole
    return Content.assemble(whole[:edge], EDGE, whole[edge + 1 :])


def marked(memory: Memory, marks: Sequence[int], width: int) -> Content:
    """A line above the bar that points at each of `marks` bytes of the run."""
    total = max(memory.capacity, memory.others + memory.needed, 1)
    places = {min(width - 1, round((memory.others + size) / total * width)) for size in marks}
    return Content.assemble(*(MARK if at in places else (" ", "") for at in range(width)))


def legend_lines(memory: Memory, width: int, most: int | None = None) -> list[Content]:
    """Every part with its fill and bytes, as many on a line as go there; with `most` lines the largest parts alone."""
    rows: list[Content] = []
    parts = [part for part in (*memory.parts, ("others", memory.others)) if part[1] > 0]
    if most is not None:
        parts.sort(key=lambda part: (part[0] != "others", -part[1]))
    for key, size in parts:
        fill, style = FILLS[key]
        item = Content.assemble((f"{fill} ", style), (f"{t(f'memory.{key}')} ", "$foreground 60%"), bytes_text(size))
        beside = bool(rows) and rows[-1].cell_length + LEGEND_GAP + item.cell_length <= width
        if len(rows) == most and not beside:
            break
        if beside:
            rows[-1] = Content.assemble(rows[-1], " " * LEGEND_GAP, item)
        else:
            rows.append(item)
    return [row.truncate(width, ellipsis=True) for row in rows]
