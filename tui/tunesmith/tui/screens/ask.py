"""A window with one line to fill in."""

from __future__ import annotations

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Input, Static

from tunesmith.tui.widgets.key_bar import HELP, KeyBar


class AskScreen(ModalScreen[str | None]):
    """Dismissed with what was typed, or None for nothing."""

    DEFAULT_CSS = """
    AskScreen Input { width: 1fr; height: 1; border: none; background: $panel; padding: 0 1; margin-bottom: 1; }
    AskScreen Input:focus { border: none; }
    """
    BINDINGS = [Binding("escape", "leave", "keys.back"), HELP]

    def __init__(self, title: str, hint: str, *, value: str = "", placeholder: str = "") -> None:
        super().__init__()
        self.heading, self.hint, self.value, self.placeholder = title, hint, value, placeholder

    def compose(self) -> ComposeResult:
        with Vertical(classes="window -small"):
            yield Static(Content(self.heading), classes="step-title")
            yield Input(self.value, placeholder=self.placeholder, compact=True)
            yield Static(Content(self.hint), classes="muted")
        yield KeyBar()

    @on(Input.Submitted)
    def typed(self, event: Input.Submitted) -> None:
        self.dismiss(event.value.strip() or None)

    def action_leave(self) -> None:
        self.dismiss(None)
