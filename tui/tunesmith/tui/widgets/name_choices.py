"""A value that is a list of names, as boxes: a run's scores, its public benchmarks; more is typed in the row above."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

from textual import on
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.content import Content
from textual.widgets import Checkbox

from tunesmith.recipes.errors import RecipeError
from tunesmith.tui.forms import SCORES, SUITES, Typed, Value
from tunesmith.tui.name_list import joined
from tunesmith.tui.texts import shown
from tunesmith.tui.widgets.tick_box import TickBox
from tunesmith.tui.widgets.value_row import ValueRow


class NameChoices(Vertical):
    """The boxes say what the row of `value` says; posts `ValueRow.Edited` for it when a person ticks or clears one."""

    DEFAULT_CSS = """
    NameChoices { height: auto; }
    """

    def __init__(self, typed: Typed, value: Value) -> None:
        super().__init__()
        self.typed, self.value = typed, value

    def compose(self) -> ComposeResult:
        chosen = self._chosen()
        kind, offered = OFFERED[self.value.key]
        for name, blurb in offered():
            label = Content.assemble(name, (f"  {blurb}", "$foreground 60%"))
            box_id = f"{kind}-{name.replace('_', '-')}"
            yield TickBox(label, name in (chosen or ()), id=box_id, name=name, compact=True, disabled=chosen is None)

    def _chosen(self) -> tuple[str, ...] | None:
        """None while what is typed cannot be read: the row is marked then, and boxes would lose it."""
        try:
            return tuple(self.value.read(self.typed.text(self.value)))
        except RecipeError:
            return None

    def show(self) -> None:
        """What is typed now."""
        chosen = self._chosen()
        with self.prevent(Checkbox.Changed):
            for box in self.query(Checkbox):
                box.disabled, box.value = chosen is None, box.name in (chosen or ())

    @on(Checkbox.Changed)
    def changed(self, event: Checkbox.Changed) -> None:
        event.stop()
        chosen = self._chosen()
        if chosen is None:
            return
        boxes = {box.name: box.value for box in self.query(Checkbox) if box.name}  # the last may not be typed yet
        kept = [one for one in chosen if boxes.get(one, True)]
        more = [name for name, ticked in boxes.items() if ticked and name not in kept]
        self.post_message(ValueRow.Edited(self.value, joined([*kept, *more])))

    def on_descendant_focus(self) -> None:
        self.post_message(ValueRow.Entered(self.value))


def scores() -> list[tuple[str, str]]:
    """Those that need nothing after their name, and what each is."""
    from tunesmith.recipes.evals import OWN_CODE, cards

    found = []
    for card in cards().values():
        try:
            card.check("")
        except RecipeError:
            continue
        if card.key != OWN_CODE:
            found.append((card.key, _said(f"scores.blurb_{card.key}", card.blurb)))
    return found


def suites() -> list[tuple[str, str]]:
    """Every public benchmark that is known by name, and what it measures."""
    from tunesmith.recipes.suites import cards

    return [(name, _said(f"suites.blurb_{name}", card.blurb)) for name, card in cards().items()]


def _said(key: str, otherwise: str) -> str:
    """A card that came alone has its own words."""
    text = shown(key)
    return otherwise if text == key else text


OFFERED: Mapping[str, tuple[str, Callable[[], list[tuple[str, str]]]]] = MappingProxyType(
    {SCORES: ("score", scores), SUITES: ("suite", suites)}
)
