"""The rail: seven steps with their state, always at the left; a click opens a step."""

from __future__ import annotations

from textual.app import ComposeResult
from textual.containers import Vertical
from textual.content import Content
from textual.reactive import reactive
from textual.widgets import Static

from tunesmith.tui.messages import GoTo
from tunesmith.tui.texts import t

STEPS = ("machine", "goal", "model", "data", "recipe", "run", "result")


class RailItem(Static):
    """One step: number, name, and a mark that tells its state without colour."""

    def __init__(self, step: str, number: int) -> None:
        super().__init__(id=f"rail-{step}")
        self.step = step
        self.number = number

    def show(self, *, current: bool, done: bool, working: bool) -> None:
        self.set_class(current, "-current")
        self.set_class(done, "-done")
        self.set_class(working, "-working")
        mark = "◐" if working else "✓" if done else "●" if current else "○"
        self.update(Content(f" {self.number} {mark} {t(f'rail.{self.step}')}"))

    def on_click(self) -> None:
        self.post_message(GoTo(self.step))


class Rail(Vertical):
    """`current` is shown, `done` are filled in, `working` is the step where a job runs."""

    current = reactive("machine")
    done: reactive[frozenset[str]] = reactive(frozenset)
    working: reactive[str | None] = reactive(None)

    def compose(self) -> ComposeResult:
        yield Static(Content(t("rail.title")), id="rail-title")
        for number, step in enumerate(STEPS, 1):
            yield RailItem(step, number)
        yield Static(Content(t("rail.hint")), id="rail-hint")

    def on_mount(self) -> None:
        self._show()

    def watch_current(self) -> None:
        self._show()

    def watch_done(self) -> None:
        self._show()

    def watch_working(self) -> None:
        self._show()

    def retranslate(self) -> None:
        self.query_one("#rail-hint", Static).update(Content(t("rail.hint")))
        self._show()

    def _show(self) -> None:
        for item in self.query(RailItem):
            item.show(current=item.step == self.current, done=item.step in self.done, working=item.step == self.working)
