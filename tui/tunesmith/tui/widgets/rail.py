"""The rail: seven steps with their state, always at the left, and the screens beside them; a click opens either."""

from __future__ import annotations

from textual.app import ComposeResult
from textual.containers import Vertical
from textual.content import Content
from textual.reactive import reactive
from textual.widgets import Static

from tunesmith.tui.messages import GoTo
from tunesmith.tui.texts import t

STEPS = ("machine", "goal", "model", "data", "recipe", "run", "result")
BESIDE = (("j", "jobs"), ("m", "models"), ("k", "machines"), (",", "settings"))


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


class RailHint(Static):
    """The key of a screen beside the steps."""

    def __init__(self, screen: str, key: str) -> None:
        super().__init__(markup=False)
        self.screen_name, self.key = screen, key

    def on_mount(self) -> None:
        self.show()

    def show(self) -> None:
        self.update(Content.assemble((f"{self.key} ", "bold"), t(f"side.{self.screen_name}")))

    async def on_click(self) -> None:
        await self.app.run_action(f"app.{self.screen_name}")


class Rail(Vertical):
    """`current` is shown, `done` are filled in, `working` is the step where a job runs."""

    current = reactive("machine")
    done: reactive[frozenset[str]] = reactive(frozenset)
    working: reactive[str | None] = reactive(None)

    def compose(self) -> ComposeResult:
        yield Static(Content(t("rail.title")), id="rail-title")
        for number, step in enumerate(STEPS, 1):
            yield RailItem(step, number)
        with Vertical(id="rail-hints"):
            for key, screen in BESIDE:
                yield RailHint(screen, key)

    def on_mount(self) -> None:
        self._show()

    def watch_current(self) -> None:
        self._show()

    def watch_done(self) -> None:
        self._show()

    def watch_working(self) -> None:
        self._show()

    def retranslate(self) -> None:
        for hint in self.query(RailHint):
            hint.show()
        self._show()

    def _show(self) -> None:
        for item in self.query(RailItem):
            item.show(current=item.step == self.current, done=item.step in self.done, working=item.step == self.working)
