"""A card that is one of several choices: the arrows lead from one to the next; enter, space or a click picks it."""

from __future__ import annotations

from textual.binding import Binding
from textual.content import Content
from textual.message import Message
from textual.reactive import reactive
from textual.widgets import Static


class ChoiceCard(Static, can_focus=True):
    """`title` and `detail` beside a mark; `coming` says that it cannot be picked yet."""

    BINDINGS = [
        Binding("enter,space", "pick", "keys.pick"),
        Binding("up", "beside(-1)", show=False),
        Binding("down", "beside(1)", show=False),
    ]
    chosen = reactive(False)

    class Picked(Message):
        def __init__(self, card: ChoiceCard) -> None:
            super().__init__()
            self.card = card

        @property
        def control(self) -> ChoiceCard:
            return self.card

    def __init__(self, key: str, title: str, detail: str, *, chosen: bool = False, note: str = "") -> None:
        super().__init__(id=f"card-{key}")
        self.key = key
        self.title_text = title
        self.detail = detail
        self.note = note
        self.set_reactive(ChoiceCard.chosen, chosen)
        self.set_class(chosen, "-chosen")

    def render(self) -> Content:
        mark = ("● ", "$primary bold") if self.chosen else ("○ ", "$foreground 50%")
        parts: list[str | tuple[str, str]] = [mark, (self.title_text, "bold")]
        if self.note:
            parts.append((f"  {self.note}", "$secondary"))
        return Content.assemble(*parts, ("\n  " + self.detail, "$foreground 65%"))

    def watch_chosen(self, chosen: bool) -> None:
        self.set_class(chosen, "-chosen")

    def on_click(self) -> None:
        self.action_pick()

    def action_pick(self) -> None:
        self.post_message(self.Picked(self))

    def action_beside(self, step: int) -> None:
        """The card above or below has the focus, where there is one."""
        cards = [card for card in self.screen.query(ChoiceCard) if card.focusable]
        place = cards.index(self) + step
        if 0 <= place < len(cards):
            cards[place].focus()
