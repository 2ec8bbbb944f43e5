"""What every step has: a heading with one sentence, and the row of buttons at its foot."""

from __future__ import annotations

from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.widgets import Button, Static

from tunesmith.tui.texts import t


class StepHeading(Vertical):
    """The title and lead of `step`, from its section of the texts."""

    def __init__(self, step: str) -> None:
        super().__init__()
        self.step = step

    def compose(self) -> ComposeResult:
        yield Static(Content(t(f"{self.step}.title")), classes="step-title")
        yield Static(Content(t(f"{self.step}.lead")), classes="step-lead")


class StepActions(Horizontal):
    """Buttons `(id, label, primary)`, the main one first and in colour."""

    def __init__(self, *buttons: tuple[str, str, bool]) -> None:
        super().__init__()
        self.buttons = buttons

    def compose(self) -> ComposeResult:
        for name, label, primary in self.buttons:
            yield Button(Content(label), id=name, classes="-main" if primary else "-other", compact=True)


class Trouble(Static):
    """What went wrong and the next step; empty and hidden when nothing did."""

    def show(self, message: str, hint: str = "") -> None:
        parts: list[str | tuple[str, str]] = [("✗ ", "$error bold"), message]
        if hint:
            parts += ["\n", ("→ ", "$secondary bold"), hint]
        self.update(Content.assemble(*parts))
        self.display = True

    def wait(self, text: str) -> None:
        """Something takes a moment."""
        self.update(Content.assemble(("… ", "$secondary bold"), text))
        self.display = True

    def clear(self) -> None:
        self.update("")
        self.display = False

    def on_mount(self) -> None:
        if not self.content:
            self.display = False
