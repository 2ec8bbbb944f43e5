"""The question which column is what, asked when rows may mean several things or have no shape that is known."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from textual import on
from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.message import Message
from textual.widgets import Input, Static

from tunesmith.tui.mapping_choices import Choice, typed
from tunesmith.tui.plain import one_line
from tunesmith.tui.texts import shown, t
from tunesmith.tui.widgets.choice_card import ChoiceCard

COLUMNS_SHOWN = 8
CELL_CHARACTERS = 60  # of an example value
NO_CHOICE = Choice("", {})  # the shape is recognised, as before any answer


class ShapeQuestion(Vertical):
    """Posts `Answered`; hidden until asked."""

    DEFAULT_CSS = """
    ShapeQuestion { height: auto; display: none; margin-bottom: 1; }
    ShapeQuestion #question-columns { height: auto; margin-bottom: 1; }
    ShapeQuestion #question-choices { height: auto; }
    ShapeQuestion ChoiceCard { margin-bottom: 0; }
    ShapeQuestion .field { margin-top: 1; }
    """

    class Answered(Message):
        def __init__(self, choice: Choice) -> None:
            super().__init__()
            self.choice = choice

    def compose(self) -> ComposeResult:
        yield Static(id="question-columns")
        yield Vertical(id="question-choices")
        with Horizontal(classes="field"):
            yield Static(Content(t("data.own_mapping")), classes="field-name")
            yield Input(placeholder="question=query answer=response", id="question-typed", compact=True)

    async def ask(self, row: Mapping[str, Any], choices: Sequence[Choice], *, answered: bool) -> None:
        """Show the columns with the values of one row, and a card a choice; `answered` offers to take it back."""
        self.choices = [*choices, *[NO_CHOICE] * answered]
        self.query_one("#question-columns", Static).update(columns_content(row))
        place = self.query_one("#question-choices", Vertical)
        await place.remove_children()
        await place.mount_all(
            ChoiceCard(f"mapping-{number}", title(choice), detail(choice)) for number, choice in enumerate(self.choices)
        )
        self.display = True

    def focus_first(self) -> None:
        """Of the choices; where there are none, what is typed."""
        self.query("ChoiceCard, Input").first().focus()

    def leave(self) -> None:
        self.display = False

    @on(ChoiceCard.Picked)
    def picked(self, event: ChoiceCard.Picked) -> None:
        event.stop()
        self.post_message(self.Answered(self.choices[int(event.card.key.rpartition("-")[2])]))

    @on(Input.Submitted)
    def entered(self, event: Input.Submitted) -> None:
        event.stop()
        try:
            mapping = typed(event.value)
        except ValueError as error:
            self.notify(t("data.not_a_pair", text=str(error)), severity="warning", markup=False)
            return
        if mapping:
            self.post_message(self.Answered(Choice("", mapping)))


def columns_content(row: Mapping[str, Any]) -> Content:
    parts: list[str | tuple[str, str]] = [(t("data.columns_found"), "bold")]
    for name, value in list(row.items())[:COLUMNS_SHOWN]:
        text = one_line(value if isinstance(value, str) else repr(value))
        text = text if len(text) <= CELL_CHARACTERS else text[: CELL_CHARACTERS - 1] + "…"
        parts += ["\n  ", (one_line(name), "$secondary"), "  ", text]
    if len(row) > COLUMNS_SHOWN:
        parts += ["\n  ", (t("data.more_columns", count=len(row) - COLUMNS_SHOWN), "$foreground 60%")]
    return Content.assemble(*parts)


def title(choice: Choice) -> str:
    """What is learned when this is chosen."""
    if choice == NO_CHOICE:
        return t("data.recognise")
    pairs = {field: column for column, field in choice.mapping.items()}
    match pairs:
        case {"query": query, "response": response}:
            return t("data.learn_answer", query=one_line(query), response=one_line(response))
        case {"response": response}:
            return t("data.learn_response", response=one_line(response))
        case {"text": text}:
            return t("data.learn_text", text=one_line(text))
        case _:
            return shown(f"data.shape_{choice.shape}")


def detail(choice: Choice) -> str:
    """The same as on a command line."""
    if choice == NO_CHOICE:
        return t("data.recognise_detail")
    pairs = " ".join(f"--map {one_line(column)}={field}" for column, field in choice.mapping.items())
    return f"--shape {choice.shape} {pairs}".rstrip()
