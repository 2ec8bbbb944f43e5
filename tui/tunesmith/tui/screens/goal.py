"""Step 2: what the model is to learn; one card a method, those to come said to be so."""

from __future__ import annotations

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Vertical, VerticalScroll
from textual.content import Content
from textual.widgets import Button, Static

from tunesmith.tui.draft import Draft
from tunesmith.tui.messages import Done
from tunesmith.tui.texts import shown, t
from tunesmith.tui.widgets.choice_card import ChoiceCard
from tunesmith.tui.widgets.step_parts import StepActions, StepHeading

COMING = ("prefer", "reward", "pretrain", "classify", "quantize")  # the goals of WIZARD.md without a card yet


class GoalStep(Vertical):
    BINDINGS = [Binding("ctrl+n", "go_on", "keys.go_on")]

    def __init__(self, draft: Draft) -> None:
        super().__init__(id="step-goal", classes="step")
        self.draft = draft

    def compose(self) -> ComposeResult:
        from tunesmith.recipes.methods import cards

        yield StepHeading("goal")
        with VerticalScroll(classes="step-body", can_focus=False):
            for key, card in cards().items():
                yield ChoiceCard(
                    key,
                    said(f"goal.{key}_title", card.title),
                    said(f"goal.{key}_blurb", card.blurb),
                    chosen=self.draft.method == key,
                    note=card.key.upper(),
                )
                wants = Content.assemble((t("goal.wants"), "bold"), "  ", said(f"goal.shape_{card.data_shape}", ""))
                yield Static(wants, classes="example")
                yield Static(Content(card.example), classes="example code")
            yield Static(Content(t("goal.coming")), classes="section")
            for key in COMING:
                yield Static(
                    Content.assemble(("◌ ", "$foreground 40%"), t(f"goal.{key}_title"), f"  {t(f'goal.{key}_blurb')}"),
                    classes="coming",
                )
        yield StepActions(("go-on", t("keys.go_on"), True))

    @on(ChoiceCard.Picked)
    def pick(self, event: ChoiceCard.Picked) -> None:
        """Picking what is chosen already goes on: enter, enter is enough."""
        if event.card.chosen:
            self.action_go_on()
            return
        self.draft.method = event.card.key
        for card in self.query(ChoiceCard):
            card.chosen = card is event.card

    @on(Button.Pressed, "#go-on")
    def action_go_on(self) -> None:
        self.post_message(Done("goal"))


def said(key: str, otherwise: str) -> str:
    text = shown(key)
    return otherwise if text == key else text
