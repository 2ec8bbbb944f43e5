"""Rows as conversations, what is trained on in colour; arrow keys turn to the next."""

from __future__ import annotations

from textual.binding import Binding
from textual.content import Content
from textual.reactive import reactive
from textual.widgets import Static

from tunesmith.tui.data_check import Row
from tunesmith.tui.texts import t

CHARACTERS_SHOWN = 600  # of one message; more would push the rest out of sight


class RowPreview(Static, can_focus=True):
    BINDINGS = [Binding("left", "turn(-1)", "keys.previous_row"), Binding("right", "turn(1)", "keys.next_row")]

    rows: reactive[tuple[Row, ...]] = reactive(tuple)
    at = reactive(0)

    def watch_rows(self) -> None:
        self.at = 0
        self.display = bool(self.rows)

    def action_turn(self, by: int) -> None:
        if self.rows:
            self.at = (self.at + by) % len(self.rows)

    def on_click(self) -> None:
        self.action_turn(1)

    def render(self) -> Content:
        if not self.rows:
            return Content("")
        row = self.rows[min(self.at, len(self.rows) - 1)]
        head = t("data.preview", number=self.at + 1, total=len(self.rows), line=row.line)
        parts: list[str | tuple[str, str]] = [(head, "$foreground 60%")]
        for role, content in row.messages:
            text = content if len(content) <= CHARACTERS_SHOWN else content[: CHARACTERS_SHOWN - 1] + "…"
            trained = role == "assistant"
            parts += ["\n", (f"{t(f'data.role_{role}')}  ", "$primary bold" if trained else "$secondary")]
            parts.append((text, "$success") if trained else text)
        return Content.assemble(*parts)
