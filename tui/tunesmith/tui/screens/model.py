"""Step 3: which model is tuned: the starter, a folder that is checked as it is named, or one of the catalogue."""

from __future__ import annotations

import asyncio
from pathlib import Path

from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.content import Content
from textual.widgets import Button, Input, Static

from tunesmith.recipes.errors import TunesmithError
from tunesmith.recipes.units import bytes_text, count_text
from tunesmith.tui import model_check
from tunesmith.tui.draft import GIVEN, OWN, Draft
from tunesmith.tui.explained import told
from tunesmith.tui.forecast_text import badge_text
from tunesmith.tui.messages import Done
from tunesmith.tui.planning import Planning
from tunesmith.tui.texts import t
from tunesmith.tui.widgets.choice_card import ChoiceCard
from tunesmith.tui.widgets.model_catalogue import ModelCatalogue
from tunesmith.tui.widgets.path_input import PathInput
from tunesmith.tui.widgets.step_parts import StepActions, StepHeading, Trouble

SETTLE_S = 0.4  # after the last key, so that a half-typed path is not reported as missing
CATALOGUE = "catalogue"  # the card that opens the list; no model yet


class ModelStep(Vertical):
    BINDINGS = [Binding("ctrl+n", "go_on", "keys.go_on"), Binding("ctrl+b", "browse", "keys.browse")]

    def __init__(self, draft: Draft, planning: Planning) -> None:
        super().__init__(id="step-model", classes="step")
        self.draft = draft
        self.planning = planning
        self.listing = False

    def compose(self) -> ComposeResult:
        own = self.draft.model == OWN
        yield StepHeading("model")
        with VerticalScroll(classes="step-body", can_focus=False):
            yield ChoiceCard(
                GIVEN, t("model.starter_title"), t("model.starter_detail"), chosen=not own, note="SmolLM2-135M-Instruct"
            )
            yield ChoiceCard(OWN, t("model.own_title"), t("model.own_detail"), chosen=own)
            with Vertical(id="own-model", classes="own"):
                with Horizontal(classes="field"):
                    yield Static(Content(t("model.folder")), classes="field-name")
                    yield PathInput(
                        self.draft.model_folder, placeholder="~/models/Qwen2.5-0.5B-Instruct", id="model-folder"
                    )
                    yield Button(Content(t("keys.browse")), id="browse", classes="-other", compact=True)
                yield Trouble(id="model-trouble")
                yield Static(id="model-facts", classes="facts")
            yield ChoiceCard(CATALOGUE, t("model.catalogue_title"), t("model.catalogue_detail"), chosen=self.listing)
            yield ModelCatalogue(self.planning)
        yield StepActions(("go-on", t("keys.go_on"), True))

    def on_show(self) -> None:
        self.query_one(ModelCatalogue).judge()

    def on_recomposed(self) -> None:
        self.on_mount()
        self.on_show()

    def on_mount(self) -> None:
        self._show_choice()
        if self.draft.model == OWN and self.draft.model_folder:
            self.check(go_on=False)

    def _show_choice(self) -> None:
        chosen = CATALOGUE if self.listing else self.draft.model
        for card in self.query(ChoiceCard):
            card.chosen = card.key == chosen
        self.query_one("#own-model").display = chosen == OWN
        self.query_one(ModelCatalogue).display = self.listing

    @on(ChoiceCard.Picked)
    def pick(self, event: ChoiceCard.Picked) -> None:
        again, self.listing = event.card.chosen, event.card.key == CATALOGUE
        if not self.listing:
            self.draft.model = event.card.key
        self._show_choice()
        if self.listing:
            self.query_one("#model-filter").focus(scroll_visible=False)  # one scroll, not two that race
            self.call_after_refresh(self.query_one(ModelCatalogue).scroll_visible, top=True, animate=False)
        elif event.card.key == OWN:
            self.query_one("#model-folder").focus()
        elif again:
            self.action_go_on()

    @on(Input.Changed, "#model-folder")
    def typed(self, event: Input.Changed) -> None:
        if event.value == self.draft.model_folder:
            return
        self.draft.model_folder = event.value
        self.check(go_on=False, after_s=SETTLE_S)

    @on(Input.Submitted, "#model-folder")
    @on(Button.Pressed, "#go-on")
    def action_go_on(self) -> None:
        if self.listing:
            self.query_one(ModelCatalogue).take()
        elif self.draft.model == OWN:
            self.check(go_on=True)
        else:
            self.post_message(Done("model"))

    @work(exclusive=True, group="model-check")
    async def check(self, *, go_on: bool, after_s: float = 0) -> None:
        await asyncio.sleep(after_s)
        trouble, shown = self.query_one("#model-trouble", Trouble), self.query_one("#model-facts", Static)
        if not self.draft.model_folder.strip() and not go_on:
            trouble.clear()
            shown.update("")
            return
        self.planning.forget_model()
        try:
            found = await asyncio.to_thread(self._found)
        except TunesmithError as error:
            shown.update("")
            trouble.show(*told(error))
            return
        trouble.clear()
        shown.update(Content("\n").join([found, *await asyncio.to_thread(self._badge)]))
        if go_on:
            self.post_message(Done("model"))

    def _found(self) -> Content:
        """What the folder holds, or what will be fetched. Raises TunesmithError."""
        if (asked := model_check.no_folder(self.draft.model_folder)) is not None:
            return model_check.way_to(asked, self.planning.home)
        return facts_content(model_check.check(self.draft.model_folder))

    def _badge(self) -> list[Content]:
        """How the model of the named folder fits here."""
        self.planning.look()
        found = self.planning.facts()
        planning = self.planning
        badge = None if found is None else planning.badge(found)
        return badge_text(badge, planning.place(), there=bool(planning.simulated))

    @on(ModelCatalogue.Chosen)
    def model_chosen(self, event: ModelCatalogue.Chosen) -> None:
        """Its id or folder is named and checked."""
        self.listing, self.draft.model, self.draft.model_folder = False, OWN, event.source
        self._show_choice()
        field = self.query_one("#model-folder", Input)
        field.value = self.draft.model_folder
        field.focus()
        self.check(go_on=False)

    @on(Button.Pressed, "#browse")
    @work
    async def action_browse(self) -> None:
        from tunesmith.tui.screens.pick import PickScreen

        self.draft.model = OWN
        self._show_choice()
        typed = Path(self.draft.model_folder).expanduser()
        start = typed if self.draft.model_folder and typed.is_dir() else Path.home()
        if (path := await self.app.push_screen_wait(PickScreen(start))) is not None:
            self.query_one("#model-folder", Input).value = str(path)


def facts_content(facts: model_check.ModelFacts) -> Content:
    """What is in the folder, a line a fact, and what would surprise later."""
    lines = [
        (t("model.architecture"), facts.architecture),
        (t("model.parameters"), count_text(facts.parameters)),
        (t("model.size"), f"{bytes_text(facts.bytes)} ({facts.dtype})"),
        (t("model.context"), str(facts.context) if facts.context else t("model.unknown")),
        (t("model.layers"), str(facts.layers) if facts.layers else t("model.unknown")),
    ]
    width = max(Content(name).cell_length for name, _ in lines) + 2
    parts: list[str | tuple[str, str]] = [("✓ ", "$success bold"), (t("model.usable"), "bold"), "\n"]
    for name, value in lines:
        parts += [("  " + name + " " * (width - Content(name).cell_length), "$foreground 60%"), value, "\n"]
    if not facts.chat_template:
        parts += [("▲ ", "$warning bold"), t("model.no_template")]
    return Content.assemble(*parts)
