"""A question with two answers over the screen; the safe one has the focus."""

from __future__ import annotations

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.screen import ModalScreen
from textual.widgets import Button, Static

from tunesmith.tui.texts import t
from tunesmith.tui.widgets.key_bar import HELP


class Confirm(ModalScreen[bool]):
    """True when `yes` was chosen."""

    DEFAULT_CSS = """
    Confirm { align: center middle; }
    Confirm > Vertical { width: 60; max-width: 95%; height: auto; padding: 1 2; background: $surface;
                         border: round $primary; }
    Confirm Horizontal { height: auto; align-horizontal: right; margin-top: 1; }
    Confirm Button { margin-left: 1; min-width: 12; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,n", "answer(False)", "run.no", show=False),
        Binding("y", "answer(True)", "keys.yes", show=False),
        Binding("left,right", "app.focus_next", show=False),
        HELP,
    ]

    def __init__(self, question: str, yes: str, no: str = "") -> None:
        super().__init__()
        self._question, self._yes, self._no = question, yes, no or t("run.no")

    def compose(self) -> ComposeResult:
        with Vertical():
            yield Static(self._question, markup=False)
            with Horizontal():
                yield Button(self._no, id="no", compact=True)
                yield Button(self._yes, id="yes", variant="error", compact=True)

    def action_answer(self, yes: bool) -> None:
        self.dismiss(yes)

    def on_button_pressed(self, event: Button.Pressed) -> None:
        self.dismiss(event.button.id == "yes")
