"""The line that a person types in: a question, or what a tool gave back that a model called."""

from __future__ import annotations

from textual.content import Content
from textual.events import Paste
from textual.reactive import reactive
from textual.widgets import Input

from tunesmith.tui.plain import one_line
from tunesmith.tui.texts import t
from tunesmith.tui.tool_results import Wanted


class QuestionLine(Input):
    """`wanted` is the call whose result is asked for; `typed` keeps what stands there for each purpose."""

    DEFAULT_CSS = """
    QuestionLine { border: round $primary 60%; height: 3; border-title-style: bold; border-title-color: $secondary; }
    QuestionLine:focus { border: round $primary; }
    QuestionLine.-result { border: round $secondary 60%; }
    QuestionLine.-result:focus { border: round $secondary; }
    """

    wanted: reactive[Wanted | None] = reactive(None)

    def __init__(self, typed: dict[Wanted | None, str], *, id: str) -> None:
        super().__init__(placeholder=t("chat.placeholder"), id=id)
        self._typed = typed
        self.value = typed.get(None, "")

    def offer(self, purpose: Wanted | None, text: str) -> None:
        """What stands there once the line is for `purpose`, unless something was typed for that before."""
        self._typed[purpose] = self._typed.get(purpose) or text

    def watch_value(self, value: str) -> None:
        self._typed[self.wanted] = value

    def watch_wanted(self, old: Wanted | None, new: Wanted | None) -> None:
        if old != new:
            self.value = self._typed.get(new, "")
        self.set_class(new is not None, "-result")
        self.border_title = None if new is None else Content(title(new))
        self.placeholder = t("chat.placeholder") if new is None else t("chat.result_placeholder")

    def _on_paste(self, event: Paste) -> None:
        """All of it, lines one behind another: Input itself takes the first line and says nothing."""
        super()._on_paste(Paste(" ".join(event.text.splitlines())))
        event.prevent_default()
        event.stop()


def title(wanted: Wanted) -> str:
    """Which call of which model."""
    model = t("chat.base") if wanted.base else t("chat.tuned")
    which = t("chat.result_of", place=wanted.place, total=wanted.total) if wanted.total > 1 else ""
    return t("chat.result_title", tool=one_line(wanted.call.function.name), model=model) + which
