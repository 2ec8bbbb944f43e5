"""Step 4: what is taught: the starter's persona, or a file of conversations checked row by row at once."""

from __future__ import annotations

import asyncio
from pathlib import Path

from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.content import Content
from textual.widgets import Button, Input, Static

from tunesmith.recipes.errors import DataError
from tunesmith.tui import data_check
from tunesmith.tui.draft import GIVEN, OWN, Draft
from tunesmith.tui.messages import Done
from tunesmith.tui.texts import t
from tunesmith.tui.widgets.choice_card import ChoiceCard
from tunesmith.tui.widgets.path_input import PathInput
from tunesmith.tui.widgets.row_preview import RowPreview
from tunesmith.tui.widgets.step_parts import StepActions, StepHeading, Trouble

SETTLE_S = 0.4  # after the last key, so that a half-typed path is not reported as missing
REJECTED_SHOWN = 5
SUFFIXES = (".jsonl", ".json", ".ndjson")


class DataStep(Vertical):
    BINDINGS = [Binding("ctrl+n", "go_on", "keys.go_on"), Binding("ctrl+b", "browse", "keys.browse")]

    def __init__(self, draft: Draft) -> None:
        super().__init__(id="step-data", classes="step")
        self.draft = draft

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
                    self.draft.data_file, placeholder="~/data/conversations.jsonl", id="data-file", suffixes=SUFFIXES
                )
                yield Button(Content(t("keys.browse")), id="browse", classes="-other", compact=True)
            yield Trouble(id="data-trouble")
            yield Static(id="data-report", classes="facts")
            yield RowPreview(id="data-preview")
        yield StepActions(("go-on", t("keys.go_on"), True))

    def on_mount(self) -> None:
        self._show_choice()

    def _show_choice(self) -> None:
        own = self.draft.data == OWN
        for card in self.query(ChoiceCard):
            card.chosen = card.key == self.draft.data
        self.query_one("#own-data").display = own
        self.query_one("#given-data").display = not own
        self.check(go_on=False)

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
        self.check(go_on=False)

    @on(Input.Changed, "#data-file")
    def typed(self, event: Input.Changed) -> None:
        if event.value == self.draft.data_file:
            return
        self.draft.data_file = event.value
        self.check(go_on=False, after_s=SETTLE_S)

    @on(Input.Submitted)
    @on(Button.Pressed, "#go-on")
    def action_go_on(self) -> None:
        self.check(go_on=True)

    @work(exclusive=True, group="data-check")
    async def check(self, *, go_on: bool, after_s: float = 0) -> None:
        """Check what is chosen; with `go_on`, go on when it can be trained on."""
        await asyncio.sleep(after_s)
        trouble, shown = self.query_one("#data-trouble", Trouble), self.query_one("#data-report", Static)
        preview = self.query_one("#data-preview", RowPreview)
        empty_path = self.draft.data == OWN and not self.draft.data_file.strip()
        if empty_path and not go_on:
            trouble.clear()
            shown.update("")
            preview.rows = ()
            return
        try:
            report = await (self._own() if self.draft.data == OWN else self._starter())
        except DataError as error:
            shown.update("")
            preview.rows = ()
            trouble.show(error.message, error.hint)
            return
        if report.rows_kept:
            trouble.clear()
        else:
            trouble.show(t("data.nothing_kept", rows=report.rows_read), t("data.nothing_kept_hint"))
        if go_on and report.rows_kept:
            self.post_message(Done("data"))

    async def _own(self) -> data_check.DataReport:
        """The file's report, shown as it grows. Raises DataError."""
        reports = data_check.check(self.draft.data_file)
        while (report := await asyncio.to_thread(next, reports, None)) is not None:
            self._show(report)
            if report.finished:
                return report
        raise AssertionError("a check ends with a finished report")

    async def _starter(self) -> data_check.DataReport:
        """The starter's rows about the persona that is typed. Raises DataError without a name or maker."""
        for key, text in (("name", self.draft.persona_name), ("maker", self.draft.persona_maker)):
            if not text.strip():
                raise DataError(t("data.no_persona", what=t(f"data.{key}")), t("data.no_persona_hint"))
        report = await asyncio.to_thread(
            data_check.starter, self.draft.persona_name.strip(), self.draft.persona_maker.strip()
        )
        self._show(report)
        return report

    def _show(self, report: data_check.DataReport) -> None:
        self.query_one("#data-report", Static).update(report_content(report))
        self.query_one("#data-preview", RowPreview).rows = report.preview

    @on(Button.Pressed, "#browse")
    @work
    async def action_browse(self) -> None:
        from tunesmith.tui.screens.pick import PickScreen

        self.draft.data = OWN
        self._show_choice()
        typed = Path(self.draft.data_file).expanduser().parent
        start = typed if self.draft.data_file and typed.is_dir() else Path.home()
        if (path := await self.app.push_screen_wait(PickScreen(start, SUFFIXES))) is not None:
            self.query_one("#data-file", Input).value = str(path)


def report_content(report: data_check.DataReport) -> Content:
    """Every row accounted for, then the first rejected ones with line and reason."""
    mark = ("✓ ", "$success bold") if report.finished else ("… ", "$secondary bold")
    parts: list[str | tuple[str, str]] = [
        mark,
        (t("data.rows_read", rows=report.rows_read), "bold"),
        "   ",
        (t("data.rows_kept", rows=report.rows_kept), "$success"),
        "   ",
        (t("data.rows_rejected", rows=report.rows_rejected), "$warning bold" if report.rows_rejected else "dim"),
    ]
    for row in report.rejected[:REJECTED_SHOWN]:
        parts += ["\n", (f"▲ {t('data.line', line=row.line)}  ", "$warning"), row.reason]
    if report.rows_rejected > REJECTED_SHOWN:
        parts += ["\n", (t("data.more_rejected", rows=report.rows_rejected - REJECTED_SHOWN), "$foreground 60%")]
    return Content.assemble(*parts)
