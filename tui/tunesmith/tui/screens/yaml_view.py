"""The recipe file, as it would be written."""

from __future__ import annotations

from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Vertical, VerticalScroll
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Static

from tunesmith.tui.texts import t
from tunesmith.tui.widgets.key_bar import HELP, KeyBar


class YamlScreen(ModalScreen[None]):
    BINDINGS = [
        Binding("escape,ctrl+y", "leave", "keys.back"),
        Binding("c", "copy", "keys.copy"),
        HELP,
    ]

    def __init__(self, text: str) -> None:
        super().__init__()
        self.text = text

    def compose(self) -> ComposeResult:
        with Vertical(classes="window"):
            yield Static(Content(t("recipe.yaml_title")), classes="step-title")
            with VerticalScroll():
                yield Static(self._coloured(), id="yaml")
        yield KeyBar()

    def _coloured(self) -> Content:
        """Keys in colour; values as they are."""
        parts: list[str | tuple[str, str]] = []
        for line in self.text.splitlines():
            key, colon, value = line.partition(":")
            parts += [(key + colon, "$secondary"), value, "\n"] if colon and not line.startswith("-") else [line, "\n"]
        return Content.assemble(*parts)

    def action_copy(self) -> None:
        self.app.copy_to_clipboard(self.text)
        self.notify(t("recipe.copied"))

    def action_leave(self) -> None:
        self.dismiss()
