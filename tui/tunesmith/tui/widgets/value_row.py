"""One recipe value: its name, its editor, and a mark when it is wrong or not the default."""

from __future__ import annotations

from textual.app import ComposeResult
from textual.containers import Horizontal
from textual.content import Content
from textual.message import Message
from textual.widgets import Input, Select, Static

from tunesmith.tui.forms import Value


class ValueRow(Horizontal):
    """Posts `Edited` as the person types and `Entered` when the row gets the focus."""

    class Edited(Message):
        def __init__(self, value: Value, text: str) -> None:
            super().__init__()
            self.value = value
            self.text = text

    class Entered(Message):
        def __init__(self, value: Value) -> None:
            super().__init__()
            self.value = value

    def __init__(self, value: Value, text: str) -> None:
        super().__init__(id="value-" + value.key.replace(".", "-").replace("_", "-"), classes="field")
        self.value = value
        self.text = text

    def compose(self) -> ComposeResult:
        yield Static(Content(self.value.label), classes="field-name")
        if self.value.choices:
            yield Select(
                [(choice, choice) for choice in self.value.choices],
                value=self.text if self.text in self.value.choices else self.value.default_text,
                allow_blank=False,
                compact=True,
            )
        else:
            yield Input(self.text, compact=True, select_on_focus=False)
        yield Static(classes="field-mark")

    def show(self, text: str) -> None:
        """A value that nobody typed just now; what is being typed is left alone when it says the same."""
        self.text = text
        for field in self.query(Input):
            if field.value != text:
                with self.prevent(Input.Changed):
                    field.value = text
        for choice in self.query(Select):
            if choice.value != text and text in self.value.choices:
                with self.prevent(Select.Changed):
                    choice.value = text

    def mark(self, *, wrong: bool, changed: bool) -> None:
        self.set_class(wrong, "-wrong")
        content = Content.styled("✗", "$error bold") if wrong else Content.styled("•" if changed else "", "$primary")
        for mark in self.query(".field-mark").results(Static):
            mark.update(content)

    def on_input_changed(self, event: Input.Changed) -> None:
        event.stop()
        self.post_message(self.Edited(self.value, event.value))

    def on_select_changed(self, event: Select.Changed) -> None:
        event.stop()
        self.post_message(self.Edited(self.value, str(event.value)))

    def on_descendant_focus(self) -> None:
        self.post_message(self.Entered(self.value))
