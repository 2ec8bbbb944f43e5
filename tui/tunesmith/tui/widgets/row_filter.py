"""The line above a table in which one types what its rows must hold; hidden while nothing is typed."""

from __future__ import annotations

from typing import ClassVar

from textual import on
from textual.binding import Binding, BindingType
from textual.message import Message
from textual.widgets import Input

from tunesmith.tui.texts import t


class RowFilter(Input):
    """Posts `Typed` as one types and `Left` when the table shall have the focus again; escape forgets the text."""

    DEFAULT_CSS = """
    RowFilter { height: 1; border: none; background: $panel; padding: 0 1; display: none; }
    RowFilter:focus { border: none; background: $panel-lighten-2; }
    RowFilter.-open { display: block; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "forget", "table.forget"),
        Binding("down,enter", "leave", "table.to_rows"),
    ]

    class Typed(Message):
        def __init__(self, text: str) -> None:
            super().__init__()
            self.text = text

    class Left(Message):
        """The rows, please."""

    def __init__(self, text: str = "") -> None:
        super().__init__(text, placeholder=t("table.filter"), compact=True, select_on_focus=False)
        self.set_class(bool(text), "-open")

    def open(self) -> None:
        self.add_class("-open")
        self.focus()

    @on(Input.Changed)
    def _changed(self, event: Input.Changed) -> None:
        event.stop()
        self.post_message(self.Typed(event.value))

    def action_forget(self) -> None:
        self.value = ""
        self.remove_class("-open")
        self.post_message(self.Left())

    def action_leave(self) -> None:
        if not self.value:
            self.remove_class("-open")
        self.post_message(self.Left())
