"""What would make a run fit, largest saving first: each is taken by enter, its digit or a click."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.message import Message
from textual.widgets import Static

from tunesmith.recipes.units import bytes_text
from tunesmith.tui.forecast_text import FAINT, name_of
from tunesmith.tui.texts import t

if TYPE_CHECKING:
    from tunesmith.recipes.planner.plans import Way

SHOWN = 3  # more would leave no room for the values; the next ones come up as these are taken


class WayRow(Static, can_focus=True):
    BINDINGS: ClassVar[list[BindingType]] = [Binding("enter,space", "take", "keys.take_way")]

    def __init__(self, number: int) -> None:
        super().__init__()
        self.number = number
        self.way: Way | None = None

    def show(self, way: Way | None) -> None:
        self.way, self.display = way, way is not None
        if way is not None:
            saved = t("forecast.saves", bytes=bytes_text(way.saved))
            first = way.changes[0]  # what comes with it follows from it
            self.update(Content.assemble(
                (f"{self.number} ", "$secondary bold"), (f"{name_of(first.key)} ", "bold"),
                f"{first.before} → {first.after}", (f"  {saved}", FAINT),
            ))  # fmt: skip

    def on_click(self) -> None:
        self.action_take()

    def action_take(self) -> None:
        if self.way is not None:
            self.post_message(Ways.Taken(self.way))


class Ways(Vertical):
    DEFAULT_CSS = """
    Ways { height: auto; }
    WayRow { height: 1; width: 1fr; text-wrap: nowrap; text-overflow: ellipsis; padding: 0 1; }
    WayRow:focus { background: $panel-lighten-1; text-style: bold; }
    WayRow:hover { background: $panel; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        *(Binding(str(number), f"take({number})", show=False) for number in range(1, SHOWN + 1)),
        Binding("down", "app.focus_next", show=False),
        Binding("up", "app.focus_previous", show=False),
    ]

    class Taken(Message):
        def __init__(self, way: Way) -> None:
            super().__init__()
            self.way = way

    def compose(self) -> ComposeResult:
        for number in range(1, SHOWN + 1):
            yield WayRow(number)

    def on_mount(self) -> None:
        self.show(())

    def show(self, ways: Sequence[Way]) -> None:
        self.display = bool(ways)
        for row in self.query(WayRow):
            row.show(ways[row.number - 1] if row.number <= len(ways) else None)

    def action_take(self, number: int) -> None:
        list(self.query(WayRow))[number - 1].action_take()
