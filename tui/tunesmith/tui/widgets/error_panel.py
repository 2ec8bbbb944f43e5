"""What went wrong, what to do about it, and the keys that do it."""

from __future__ import annotations

from textual.content import Content
from textual.reactive import reactive
from textual.widgets import Static

from tunesmith.recipes.errors import ErrorBody
from tunesmith.tui.explained import told
from tunesmith.tui.plain import plain


class ErrorPanel(Static):
    """Hidden while `error` is None; `keys` is the last line."""

    DEFAULT_CSS = """
    ErrorPanel { height: auto; max-height: 9; overflow-y: auto; border-left: outer $error; padding: 0 1;
                 background: $error 12%; margin: 1 0 0 0; }
    """

    error: reactive[ErrorBody | None] = reactive(None)
    keys: reactive[str] = reactive("")

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id, markup=False)
        self.display = False

    def watch_error(self) -> None:
        self._draw()

    def watch_keys(self) -> None:
        self._draw()

    def _draw(self) -> None:
        self.display = self.error is not None
        if self.error is None:
            return
        message, hint = told(self.error)
        parts: list[Content] = [Content.assemble(("✗ ", "$error bold"), (plain(message), "bold"))]
        if hint:
            parts.append(Content.assemble(("→ ", "$success bold"), plain(hint)))
        if self.keys:
            parts.append(Content.styled(self.keys, "$foreground 60%"))
        self.update(Content("\n").join(parts))
