"""Three plans side by side: their memory, time and verdict; a digit, enter or a click takes one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal
from textual.content import Content
from textual.message import Message
from textual.reactive import reactive
from textual.widgets import Static

from tunesmith.tui.forecast_text import FAINT, bytes_range, time_range, verdict
from tunesmith.tui.texts import t
from tunesmith.tui.widgets import memory_bar

if TYPE_CHECKING:
    from tunesmith.recipes.planner import Place
    from tunesmith.recipes.planner.plans import Plan

KEYS = ("lean", "balanced", "best")
NARROW_COLUMNS = 60  # of the terminal; below, a plan is two lines over the whole width


class PlanCard(Static, can_focus=True):
    """`plan` None: not known yet, or there is none."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("enter,space", "pick", "keys.take_plan")]
    plan: reactive[Plan | None] = reactive(None, layout=True)
    chosen = reactive(False)
    recommended = reactive(False)

    class Picked(Message):
        def __init__(self, card: PlanCard) -> None:
            super().__init__()
            self.card = card

        @property
        def control(self) -> PlanCard:
            return self.card

    def __init__(self, key: str, number: int) -> None:
        super().__init__(id=f"plan-{key}")
        self.key = key
        self.number = number
        self.place: Place | None = None

    def render(self) -> Content:
        mark = ("● ", "$primary bold") if self.chosen else ("○ ", "$foreground 50%")
        star = ("★", "$primary") if self.recommended else ("", "")
        title = Content.assemble((f"{self.number} ", FAINT), mark, (f"{t(f'forecast.{self.key}')} ", "bold"), star)
        plan, width = self.plan, max(4, self.content_size.width)
        if plan is None or self.place is None:
            return Content.assemble(title, "\n", (t("forecast.not_known"), FAINT))
        memory = bytes_range(*plan.forecast.range)
        time = time_range(*plan.forecast.seconds_range)
        if self.app.size.width < NARROW_COLUMNS:
            return Content.assemble(title, "  ", verdict(plan.fit.verdict), "\n  ", memory, (f" · {time}", FAINT))
        drawn = memory_bar.bar(memory_bar.of(plan.forecast, self.place), width)
        return Content.assemble(title, "\n", drawn, "\n", memory, "\n", time, "\n", verdict(plan.fit.verdict))

    def watch_chosen(self, chosen: bool) -> None:
        self.set_class(chosen, "-chosen")

    def on_click(self) -> None:
        self.action_pick()

    def action_pick(self) -> None:
        self.post_message(self.Picked(self))


class PlanCards(Horizontal):
    """Posts PlanCard.Picked."""

    DEFAULT_CSS = """
    PlanCards { height: auto; }
    PlanCard { width: 1fr; height: auto; padding: 0 1; margin-right: 1; background: $surface;
               text-wrap: nowrap; text-overflow: ellipsis; }
    PlanCard.-last { margin-right: 0; }
    PlanCard.-chosen { background: $panel; }
    PlanCard:focus { background: $panel; text-style: bold; }
    PlanCard:hover { background: $panel-lighten-1; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("right,down", "move(1)", show=False),
        Binding("left,up", "move(-1)", show=False),
    ]

    def compose(self) -> ComposeResult:
        for number, key in enumerate(KEYS, 1):
            yield PlanCard(key, number).set_class(number == len(KEYS), "-last")

    def show(self, plans: Sequence[Plan], place: Place | None, *, chosen: str, recommended: str) -> None:
        """The plans as they are now."""
        by_key = {plan.key: plan for plan in plans}
        for card in self.query(PlanCard):
            card.place = place
            card.plan = by_key.get(card.key)
            card.chosen = card.key == chosen
            card.recommended = card.key == recommended and card.plan is not None

    def action_pick(self, key: str) -> None:
        self.query_one(f"#plan-{key}", PlanCard).action_pick()

    def action_move(self, by: int) -> None:
        cards = list(self.query(PlanCard))
        at = next((number for number, card in enumerate(cards) if card.has_focus), 0)
        cards[max(0, min(len(cards) - 1, at + by))].focus()
