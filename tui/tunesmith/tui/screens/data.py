"""Step 4: what is taught: the starter's persona, or files of any known format, checked row by row as they are named."""

from __future__ import annotations

import asyncio
import contextlib
import shlex
from pathlib import Path
from typing import TYPE_CHECKING

from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.content import Content
from textual.widgets import Button, Input, Static

from tunesmith.daemon.api.home import Home
from tunesmith.recipes.data import shapes
from tunesmith.recipes.data.files import compression, sources
from tunesmith.recipes.errors import TunesmithError
from tunesmith.tui import data_check, mapping_choices
from tunesmith.tui.draft import GIVEN, OWN, Draft
from tunesmith.tui.explained import told
from tunesmith.tui.messages import Done
from tunesmith.tui.planning import Planning
from tunesmith.tui.texts import shown, t
from tunesmith.tui.widgets.choice_card import ChoiceCard
from tunesmith.tui.widgets.data_report import DataReport
from tunesmith.tui.widgets.path_input import PathInput
from tunesmith.tui.widgets.row_preview import RowPreview
from tunesmith.tui.widgets.shape_question import ShapeQuestion
from tunesmith.tui.widgets.step_parts import StepActions, StepHeading, Trouble

if TYPE_CHECKING:
    from tunesmith.recipes.data.checking.report import Report

SETTLE_S = 0.4  # after the last key, so that a half-typed path is not reported as missing
CHECK = "data-check"  # the group of the worker that reads


class DataStep(Vertical):
    BINDINGS = [
        Binding("ctrl+n", "go_on", "keys.go_on"),
        Binding("ctrl+b", "browse", "keys.browse"),
        Binding("ctrl+o", "public_sets", "keys.public_sets"),
        Binding("ctrl+e", "columns", "keys.columns"),
    ]

    def __init__(self, draft: Draft, home: Home, planning: Planning) -> None:
        super().__init__(id="step-data", classes="step")
        self.draft = draft
        self.home = home
        self.planning = planning
        self.asked: data_check.Asked | None = None  # what is being checked, or was
        self.report: Report | None = None  # of `asked`
        self.go_on_when_read = False

    def compose(self) -> ComposeResult:
        own = self.draft.data == OWN
        yield StepHeading("data")
        with VerticalScroll(classes="step-body", can_focus=False):
            yield ChoiceCard(GIVEN, t("data.starter_title"), t("data.starter_detail"), chosen=not own)
            with Vertical(id="given-data", classes="own"):
                for key, text in (("name", self.draft.persona_name), ("maker", self.draft.persona_maker)):
                    with Horizontal(classes="field"):
                        yield Static(Content(t(f"data.{key}")), classes="field-name")
                        yield Input(text, id=f"persona-{key}", compact=True, max_length=80, select_on_focus=False)
            yield ChoiceCard(OWN, t("data.own_title"), t("data.own_detail"), chosen=own)
            with Vertical(id="own-data", classes="own"), Horizontal(classes="field"):
                yield Static(Content(t("data.file")), classes="field-name")
                yield PathInput(
                    self.draft.data_file, placeholder="~/data/conversations.jsonl", id="data-file", suffixes=suffixes()
                )
                yield Button(Content(t("keys.browse")), id="browse", classes="-other", compact=True)
            yield Trouble(id="data-trouble")
            yield ShapeQuestion(id="data-question")
            yield DataReport(id="data-report")
            yield RowPreview(id="data-preview")
        yield StepActions(("go-on", t("keys.go_on"), True), ("public-sets", t("keys.public_sets"), False))

    def on_mount(self) -> None:
        self._show_choice()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        return self.draft.data == OWN if action == "columns" else True

    async def recompose(self) -> None:
        """Nothing may be shown in widgets that are being replaced."""
        for group in (CHECK, "data-columns"):
            self.workers.cancel_group(self, group)
        self.asked = None
        await super().recompose()

    def on_recomposed(self) -> None:
        self._show_choice()

    def on_show(self) -> None:
        """The model or a length may have changed in another step."""
        self.check()

    def on_hide(self) -> None:
        """Someone who has gone elsewhere is not to be taken on from there."""
        self.go_on_when_read = False

    def _show_choice(self) -> None:
        own = self.draft.data == OWN
        for card in self.query(ChoiceCard):
            card.chosen = card.key == self.draft.data
        self.query_one("#own-data").display = own
        self.query_one("#given-data").display = not own
        self.refresh_bindings()
        self.check()

    @on(ChoiceCard.Picked)
    def pick(self, event: ChoiceCard.Picked) -> None:
        again, self.draft.data = event.card.chosen, event.card.key
        self._show_choice()
        if event.card.key == OWN:
            self.query_one("#data-file").focus()
        elif again:
            self.action_go_on()

    @on(Input.Changed, "#persona-name")
    @on(Input.Changed, "#persona-maker")
    def named(self, event: Input.Changed) -> None:
        if event.input.id == "persona-name":
            self.draft.persona_name = event.value
        else:
            self.draft.persona_maker = event.value
        self.check(after_s=SETTLE_S)

    @on(Input.Changed, "#data-file")
    def typed(self, event: Input.Changed) -> None:
        if event.value == self.draft.data_file:
            return
        self.draft.data_file = event.value
        self.draft.data_shape, self.draft.data_map = "", {}
        self.go_on_when_read = False
        self.check(after_s=SETTLE_S)

    @on(ShapeQuestion.Answered)
    def answered(self, event: ShapeQuestion.Answered) -> None:
        self.draft.data_shape, self.draft.data_map = event.choice.shape, event.choice.mapping
        self.check()
        self.query_one("#go-on").focus()

    @on(Input.Submitted)
    @on(Button.Pressed, "#go-on")
    def action_go_on(self) -> None:
        self.go_on_when_read = True
        self.check()

    def check(self, after_s: float = 0) -> None:
        """Check what is chosen, unless just that is being checked or was."""
        asked = data_check.asked(self.draft, self.home)
        if asked != self.asked:
            self.asked, self.report = asked, None
            self.follow(asked, after_s)
        elif self.report is not None:
            self._judge(self.report)
        elif not self.go_on_when_read:
            return
        elif any(worker.group == CHECK and not worker.is_finished for worker in self.workers):
            self.query_one("#data-trouble", Trouble).wait(t("data.going_on"))
        else:  # which column is what was asked, and there is no answer yet
            self.go_on_when_read = False
            self.query_one(ShapeQuestion).focus_first()

    @work(exclusive=True, group=CHECK)
    async def follow(self, asked: data_check.Asked, after_s: float) -> None:
        """Show the reports as they grow; what was followed before ends."""
        self.query_one("#data-trouble", Trouble).clear()
        await asyncio.sleep(after_s)
        self.query_one(ShapeQuestion).leave()
        if asked.persona is None:
            self._show(None)  # a name being typed changes little; other files have nothing to do with the last
        try:
            if data_check.nothing_typed(self.draft) and not self.go_on_when_read:
                self._forget()
                return
            data_check.refuse_empty(self.draft)
            self.query_one(DataReport).reading = True
            async for found in data_check.follow(asked):
                self._show(found)
                if found.report.shape is None and await self._ask(asked):
                    return
        except TunesmithError as error:
            self._forget()
            self.query_one("#data-trouble", Trouble).show(*told(error))
            if asked.shape or asked.mapping:  # a wrong answer: ask again
                await self._ask(asked, trouble=False)
            return
        self.report = found.report
        self.planning.checked(found.report)
        self._judge(found.report)

    def _forget(self) -> None:
        """Nothing is checked and nothing shown."""
        self.asked, self.report, self.go_on_when_read = None, None, False
        self._show(None)

    async def _ask(self, asked: data_check.Asked, *, trouble: bool = True) -> bool:
        """Ask which column is what; False when there is no row to ask about. Raises DataError."""
        rows = await asyncio.to_thread(data_check.first_rows, asked.files)
        if not rows:
            return False
        choices = await asyncio.to_thread(mapping_choices.choices, rows)
        answered = bool(self.draft.data_shape or self.draft.data_map)
        await self.query_one(ShapeQuestion).ask(rows[0].value, choices, answered=answered)
        self.go_on_when_read = False
        if trouble:
            self._show(None)  # that no row fits is no news then
            hint = t("data.which_column_hint" if choices else "data.type_column_hint")
            self.query_one("#data-trouble", Trouble).show(t("data.which_column"), hint)
        return True

    @work(exclusive=True, group="data-columns")
    async def action_columns(self) -> None:
        """Ask which column is what though the shape was recognised."""
        if self.draft.data != OWN or self.asked is None:
            return
        with contextlib.suppress(TunesmithError):  # what is wrong with the files is on screen already
            if await self._ask(self.asked, trouble=False):
                self.query_one(ShapeQuestion).query(ChoiceCard).first().focus()

    def _judge(self, report: Report) -> None:
        """Say what stands in the way; go on when that was asked for and nothing does."""
        trouble, go_on = self.query_one("#data-trouble", Trouble), self.go_on_when_read
        self.go_on_when_read = False
        if not report.rows_read:
            trouble.show(t("data.empty_file", path=self.draft.data_file.strip()), t("data.empty_file_hint"))
        elif not report.rows_kept:
            trouble.show(t("data.nothing_kept", rows=report.rows_read), t("data.nothing_kept_hint"))
        elif report.shape is not None and self.draft.method not in shapes.cards()[report.shape].methods:
            shape = shown(f"data.shape_{report.shape}")
            trouble.show(t("data.cannot_train", shape=shape), t("data.cannot_train_hint"))
        else:
            trouble.clear()
            if go_on:
                self.post_message(Done("data"))

    def _show(self, found: data_check.Found | None) -> None:
        report = self.query_one(DataReport)
        report.typed_path = shlex.quote(self.draft.data_file.strip())
        report.starter = self.draft.model == GIVEN
        report.report, report.reading = None if found is None else found.report, False
        self.query_one(RowPreview).rows = () if found is None else found.preview

    @on(Button.Pressed, "#browse")
    @work
    async def action_browse(self) -> None:
        from tunesmith.tui.screens.pick import PickScreen

        self.draft.data = OWN
        self._show_choice()
        typed = Path(self.draft.data_file).expanduser().parent
        start = typed if self.draft.data_file and typed.is_dir() else Path.home()
        if (path := await self.app.push_screen_wait(PickScreen(start, suffixes(), folders=True))) is not None:
            self.query_one("#data-file", Input).value = str(path)

    @on(Button.Pressed, "#public-sets")
    @work
    async def action_public_sets(self) -> None:
        """A set of the catalogue: fetched, and read as the catalogue says its rows are."""
        from tunesmith.tui.screens.public_sets import PublicSetsScreen

        if (found := await self.app.push_screen_wait(PublicSetsScreen(self.home, self.draft.method))) is None:
            return
        self.draft.data, self.draft.data_file = OWN, str(self.home.data / found.key)
        self.draft.data_shape, self.draft.data_map = found.shape, dict(found.mapping)
        self.query_one("#data-file", Input).value = self.draft.data_file
        self._show_choice()


def suffixes() -> tuple[str, ...]:
    """How names of data files end, packed or not."""
    return tuple(suffix + packed for suffix in sources.suffixes() for packed in ("", *compression.SUFFIXES))
