"""The rail: seven steps with their state, always at the left, and the screens beside them; a click opens either."""

from __future__ import annotations

import msgspec
from rich.segment import Segment
from rich.style import Style
from textual.events import Click, MouseMove
from textual.reactive import reactive
from textual.strip import Strip
from textual.widget import Widget

from tunesmith.tui.messages import GoTo
from tunesmith.tui.texts import t

STEPS = ("machine", "goal", "model", "data", "recipe", "run", "result")
BESIDE = (("j", "jobs"), ("m", "models"), ("k", "machines"), (",", "settings"))


class Row(msgspec.Struct, frozen=True):
    """One line: `key` is drawn bold before `text`; a click opens the step or the screen beside that it names."""

    kind: str
    text: str
    key: str = ""
    step: str = ""
    beside: str = ""


class Rail(Widget, can_focus=False):
    """`current` is shown, `done` are filled in, `working` is the step where a job runs.

    One widget that draws its lines: with one a line, a third of what a change of step lays out and draws was the rail.
    """

    ALLOW_SELECT = False
    COMPONENT_CLASSES = {
        "rail--title", "rail--step", "rail--done", "rail--working", "rail--current", "rail--hint", "rail--step-pointed",
        "rail--hint-pointed",
    }  # fmt: skip

    current = reactive("machine")
    done: reactive[frozenset[str]] = reactive(frozenset)
    working: reactive[str | None] = reactive(None)
    pointed: reactive[int | None] = reactive(None)

    def rows(self) -> dict[int, Row]:
        """By their line: steps from the top, apart where there is room, and screens beside them at the bottom."""
        short = self.screen.has_class("-short")
        apart = 1 if short else 2
        found = {0: Row("title", f"  {t('rail.title')}")}
        found |= {apart * number: self._step(step, number) for number, step in enumerate(STEPS, 1)}
        first = self.size.height - len(BESIDE)
        hints = [Row("hint", t(f"side.{screen}"), key=f"  {key} ", beside=screen) for key, screen in BESIDE]
        return found | {first + place: hint for place, hint in enumerate(hints)}

    def line_of(self, name: str) -> int:
        """Where a step, or a screen beside, is."""
        return next(line for line, row in self.rows().items() if name in (row.step, row.beside))

    def _step(self, step: str, number: int) -> Row:
        """A mark tells its state without colour."""
        working, done, current = step == self.working, step in self.done, step == self.current
        mark = "◐" if working else "✓" if done else "●" if current else "○"
        kind = "current" if current else "working" if working else "done" if done else "step"
        return Row(kind, f" {number} {mark} {t(f'rail.{step}')}", step=step)

    def render_line(self, y: int) -> Strip:
        row = self.rows().get(y)
        if row is None:
            return Strip.blank(self.size.width, self.rich_style)
        pointed = y == self.pointed and row.kind in ("step", "done", "working", "hint")
        style = self.get_component_rich_style(f"rail--{row.kind}")
        if pointed:
            style += self.get_component_rich_style(f"rail--{'hint' if row.beside else 'step'}-pointed")
        parts = [Segment(row.key, style + Style(bold=True))] if row.key else []
        return Strip([*parts, Segment(row.text, style)]).adjust_cell_length(self.size.width, style)

    def on_mouse_move(self, event: MouseMove) -> None:
        self.pointed = event.get_content_offset_capture(self).y

    def on_leave(self) -> None:
        self.pointed = None

    async def on_click(self, event: Click) -> None:
        row = self.rows().get(event.get_content_offset_capture(self).y)
        if row is not None and row.step:
            self.post_message(GoTo(row.step))
        elif row is not None and row.beside:
            await self.app.run_action(f"app.{row.beside}")
