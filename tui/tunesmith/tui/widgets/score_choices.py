"""Which scores a run takes of its answers: a box each; what needs more than a name is typed in the row above."""

from __future__ import annotations

from textual import on
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.content import Content
from textual.widgets import Checkbox

from tunesmith.recipes.errors import RecipeError
from tunesmith.tui.draft import Draft
from tunesmith.tui.forms import Value
from tunesmith.tui.score_list import joined, split
from tunesmith.tui.texts import shown
from tunesmith.tui.widgets.tick_box import TickBox
from tunesmith.tui.widgets.value_row import ValueRow

SCORES_BLURB = "scores.blurb_"


class ScoreChoices(Vertical):
    """The boxes say what the row of `value` says; posts `ValueRow.Edited` for it when a person ticks or clears one."""

    DEFAULT_CSS = """
    ScoreChoices { height: auto; }
    """

    def __init__(self, draft: Draft, value: Value) -> None:
        super().__init__()
        self.draft, self.value = draft, value

    def compose(self) -> ComposeResult:
        chosen = self._chosen()
        for name, blurb in named():
            label = Content.assemble(name, (f"  {blurb}", "$foreground 60%"))
            box_id = "score-" + name.replace("_", "-")
            yield TickBox(label, name in (chosen or ()), id=box_id, name=name, compact=True, disabled=chosen is None)

    def _chosen(self) -> tuple[str, ...] | None:
        """None while what is typed cannot be read: the row is marked then, and boxes would lose it."""
        try:
            return split(self.draft.text(self.value))
        except RecipeError:
            return None

    def show(self) -> None:
        """What the draft says now."""
        chosen = self._chosen()
        with self.prevent(Checkbox.Changed):
            for box in self.query(Checkbox):
                box.disabled, box.value = chosen is None, box.name in (chosen or ())

    @on(Checkbox.Changed)
    def changed(self, event: Checkbox.Changed) -> None:
        event.stop()
        name, chosen = event.checkbox.name, self._chosen()
        if name is None or chosen is None:
            return
        others = [score for score in chosen if score != name]
        self.post_message(ValueRow.Edited(self.value, joined([*others, name] if event.value else others)))

    def on_descendant_focus(self) -> None:
        self.post_message(ValueRow.Entered(self.value))


def named() -> list[tuple[str, str]]:
    """Scores that need nothing after their name, and what each is."""
    from tunesmith.recipes.evals import OWN_CODE, cards

    found = []
    for card in cards().values():
        try:
            card.check("")
        except RecipeError:
            continue
        if card.key != OWN_CODE:
            text = shown(f"{SCORES_BLURB}{card.key}")
            found.append((card.key, card.blurb if text.startswith(SCORES_BLURB) else text))
    return found
