"""A table that draws only the rows in sight: ten thousand scroll as ten do."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import ClassVar, Generic, TypeVar

from textual import events
from textual.binding import Binding, BindingType
from textual.content import Content
from textual.geometry import Size
from textual.message import Message
from textual.reactive import reactive
from textual.scroll_view import ScrollView
from textual.strip import Strip
from textual.style import Style
from textual.visual import Visual

Row = TypeVar("Row")
MARK = "▸"  # before the row with the cursor, which is known without colour
MARK_CELLS = 2


class Column(Generic[Row]):
    """`cells` wide, or what the others leave where it is 0; left out on a table narrower than `from_cells`."""

    def __init__(
        self, key: str, title: str, cells: int, draw: Callable[[Row], Content], *, from_cells: int = 0,
        right: bool = False,
    ) -> None:  # fmt: skip
        self.key, self.title, self.cells, self.draw = key, title, cells, draw
        self.from_cells, self.right = from_cells, right


class RowTable(ScrollView, Generic[Row], can_focus=True):
    """`key` tells rows apart, so that the cursor stays on its row when others come and go."""

    DEFAULT_CSS = """
    RowTable { height: 1fr; background: $surface; scrollbar-size-vertical: 1; overflow-x: hidden; }
    RowTable > .row-table--header { background: $panel; color: $foreground; text-style: bold; }
    RowTable > .row-table--row { background: $surface; color: $foreground; }
    RowTable > .row-table--even { background: $surface-lighten-1 60%; color: $foreground; }
    RowTable > .row-table--hover { background: $panel; color: $foreground; }
    RowTable > .row-table--cursor { background: $panel-lighten-2; color: $foreground; }
    RowTable:focus > .row-table--cursor { background: $primary 35%; color: $foreground; text-style: bold; }
    """
    COMPONENT_CLASSES: ClassVar[set[str]] = {
        "row-table--header", "row-table--row", "row-table--even", "row-table--hover", "row-table--cursor",
    }  # fmt: skip
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up", "move(-1)", show=False),
        Binding("down", "move(1)", show=False),
        Binding("pageup", "page(-1)", "table.page_up", show=False),
        Binding("pagedown", "page(1)", "table.page_down", show=False),
        Binding("home", "first", "table.first", show=False),
        Binding("end", "last", "table.last", show=False),
    ]

    class Highlighted(Message):
        """The cursor is on another row, or on none."""

    class Selected(Message):
        """A click on the row with the cursor; what enter does, a screen's own binding says."""

    cursor = reactive(0)
    hover: reactive[int | None] = reactive(None)

    def __init__(self, columns: Sequence[Column[Row]], key: Callable[[Row], object], *, id: str | None = None) -> None:
        super().__init__(id=id)
        self.columns = columns
        self.rows: Sequence[Row] = ()
        self._key = key

    @property
    def chosen(self) -> Row | None:
        return self.rows[self.cursor] if self.cursor < len(self.rows) else None

    @property
    def room(self) -> int:
        """How many rows are in sight below the header."""
        return max(1, self.scrollable_content_region.height - 1)

    def show(self, rows: Sequence[Row]) -> None:
        """Draw `rows`; the cursor stays on its row, and that where it is on screen."""
        before, at = self.chosen, self.cursor
        self.rows = rows
        self.virtual_size = Size(0, len(rows) + 1)
        if before is not None:
            wanted = self._key(before)
            now = next((number for number, row in enumerate(rows) if self._key(row) == wanted), at)
        else:
            now = at
        now = max(0, min(now, len(rows) - 1))
        if now != at and self.scroll_offset.y:
            self.scroll_to(y=self.scroll_offset.y + now - at, animate=False)
        self.set_reactive(RowTable.cursor, now)
        self.refresh()
        if (self.chosen is None) != (before is None) or (
            before is not None and self.chosen is not None and self._key(before) != self._key(self.chosen)
        ):
            self.post_message(self.Highlighted())

    def validate_cursor(self, cursor: int) -> int:
        return max(0, min(cursor, len(self.rows) - 1))

    def watch_cursor(self) -> None:
        self._keep_in_sight()
        self.refresh()
        self.post_message(self.Highlighted())

    def watch_hover(self) -> None:
        self.refresh()

    def _keep_in_sight(self) -> None:
        top = self.scroll_offset.y
        if self.cursor < top:
            self.scroll_to(y=self.cursor, animate=False)
        elif self.cursor >= top + self.room:
            self.scroll_to(y=self.cursor - self.room + 1, animate=False)

    def on_resize(self) -> None:
        self._keep_in_sight()

    def render_line(self, y: int) -> Strip:
        width = self.scrollable_content_region.width
        if y == 0:
            style = self.get_visual_style("row-table--header")
            cells = [(column, Content(column.title)) for column in self._columns(width)]
            return self._strip(self._line("  ", cells, width), width, style)
        number = self.scroll_offset.y + y - 1
        if number >= len(self.rows):
            return Strip.blank(width, self.get_visual_style("row-table--row").rich_style)
        name = "cursor" if number == self.cursor else "hover" if number == self.hover else ""
        style = self.get_visual_style(f"row-table--{name or ('even' if number % 2 else 'row')}")
        row = self.rows[number]
        cells = [(column, column.draw(row)) for column in self._columns(width)]
        mark = f"{MARK} " if number == self.cursor else "  "
        return self._strip(self._line(mark, cells, width), width, style)

    def _columns(self, width: int) -> list[Column[Row]]:
        return [column for column in self.columns if width >= column.from_cells]

    def _line(self, mark: str, cells: list[tuple[Column[Row], Content]], width: int) -> Content:
        taken = MARK_CELLS + sum(column.cells + 1 for column, _ in cells if column.cells)
        rest = max(4, width - taken - sum(1 for column, _ in cells if not column.cells))
        parts: list[Content | str] = [mark]
        for column, content in cells:
            room = column.cells or rest
            shown = content.truncate(room, ellipsis=True)
            space = " " * (room - shown.cell_length)
            parts += [space, shown, " "] if column.right else [shown, space, " "]
        return Content.assemble(*parts).truncate(width)

    def _strip(self, line: Content, width: int, style: Style) -> Strip:
        strips = Visual.to_strips(self, line, width, 1, style, apply_selection=False, pad=True)
        return strips[0] if strips else Strip.blank(width)  # none on a terminal without columns

    def action_move(self, by: int) -> None:
        self.cursor += by

    def action_page(self, by: int) -> None:
        self.cursor += by * self.room

    def action_first(self) -> None:
        self.cursor = 0

    def action_last(self) -> None:
        self.cursor = len(self.rows) - 1

    def _number_at(self, y: int) -> int | None:
        number = self.scroll_offset.y + y - 1
        return number if y > 0 and number < len(self.rows) else None

    def on_mouse_move(self, event: events.MouseMove) -> None:
        self.hover = self._number_at(event.y)

    def on_leave(self) -> None:
        self.hover = None

    def on_click(self, event: events.Click) -> None:
        number = self._number_at(event.y)
        if number is None:
            return
        if number == self.cursor:
            self.post_message(self.Selected())
        else:
            self.cursor = number
