"""One setting on one line: its name and all that can be chosen; left and right, or a click, choose."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal
from textual.content import Content
from textual.message import Message
from textual.reactive import reactive
from textual.widgets import Static


class Choice(Static):
    """Marked by a filled circle, so not by colour alone."""

    def __init__(self, value: str, label: str) -> None:
        super().__init__(markup=False)
        self.value, self.label = value, label

    def show(self, *, chosen: bool) -> None:
        mark = ("● ", "$primary bold") if chosen else ("○ ", "$foreground 50%")
        self.update(Content.assemble(mark, (self.label, "bold" if chosen else "")))


class ChoiceRow(Horizontal, can_focus=True):
    """Posts `Chosen`; whoever gets it says what is chosen then. `note` stands at the end of the line."""

    DEFAULT_CSS = """
    ChoiceRow { height: 1; padding: 0 1; }
    ChoiceRow > .choice-name { width: 14; }
    ChoiceRow > Choice { width: auto; margin-right: 2; }
    ChoiceRow > .choice-note { width: 1fr; color: $warning; text-wrap: nowrap; text-overflow: ellipsis; }
    ChoiceRow:focus { background: $panel; }
    ChoiceRow:focus > .choice-name { color: $primary; text-style: bold; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("left", "step(-1)", "settings.key_previous", show=False),
        Binding("right,space,enter", "step(1)", "settings.key_next"),
    ]

    class Chosen(Message):
        def __init__(self, key: str, value: str) -> None:
            super().__init__()
            self.key, self.value = key, value

    class Entered(Message):
        """The focus is here now."""

        def __init__(self, key: str) -> None:
            super().__init__()
            self.key = key

    value = reactive("")
    note = reactive("")

    def __init__(self, key: str, label: str, choices: Sequence[tuple[str, str]]) -> None:
        super().__init__(id=f"setting-{key}")
        self.key, self.label, self.choices = key, label, choices

    def compose(self) -> ComposeResult:
        yield Static(Content(self.label), classes="choice-name")
        for value, label in self.choices:
            yield Choice(value, label)
        yield Static(classes="choice-note", markup=False)

    def on_mount(self) -> None:
        self.watch_value()
        self.watch_note()

    def watch_value(self) -> None:
        for choice in self.query(Choice):
            choice.show(chosen=choice.value == self.value)

    def watch_note(self) -> None:
        for note in self.query(".choice-note").results(Static):
            note.update(self.note)

    def on_focus(self) -> None:
        self.post_message(self.Entered(self.key))

    def on_click(self, event: object) -> None:
        target = getattr(event, "widget", None)
        if isinstance(target, Choice):
            self.post_message(self.Chosen(self.key, target.value))

    def action_step(self, by: int) -> None:
        values = [value for value, _ in self.choices]
        at = values.index(self.value) if self.value in values else 0
        self.post_message(self.Chosen(self.key, values[(at + by) % len(values)]))
