"""A finished run evaluated again, by public benchmarks or on rows: what is asked, what it needs, and the command."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.content import Content
from textual.events import DescendantFocus
from textual.widgets import Button, Input, Static

from tunesmith.recipes.errors import TunesmithError
from tunesmith.recipes.spec import JobSpec
from tunesmith.tui import evaluating
from tunesmith.tui.benchmark_needs import asking, seconds_range
from tunesmith.tui.evaluation_form import BENCHMARKS, KINDS, ROWS, EvaluationForm
from tunesmith.tui.explained import told
from tunesmith.tui.forecast_text import FAINT, of_job
from tunesmith.tui.forms import GATE, SCORES, SUITES
from tunesmith.tui.plain import one_line, plain
from tunesmith.tui.planning import Planning
from tunesmith.tui.screens.composed import composed
from tunesmith.tui.screens.data import suffixes
from tunesmith.tui.screens.submitting import SubmittingScreen
from tunesmith.tui.texts import t
from tunesmith.tui.watch import Clients
from tunesmith.tui.widgets.benchmark_choices import BenchmarkChoices
from tunesmith.tui.widgets.choice_row import ChoiceRow
from tunesmith.tui.widgets.key_bar import HELP, KeyBar
from tunesmith.tui.widgets.name_choices import NameChoices
from tunesmith.tui.widgets.path_input import PathInput
from tunesmith.tui.widgets.step_parts import StepActions, Trouble
from tunesmith.tui.widgets.value_row import ValueRow

if TYPE_CHECKING:
    from tunesmith.recipes.planner import Fit, Forecast, Place

SETTLE_S = 0.4  # after the last key, so that a half-typed path is not reported as missing
FILES = "files"  # the group of the worker that looks for them
DATA, KIND = "data", "kind"  # what has no value of the recipe's form
PARTS = ("#evaluate-explanation", "#evaluate-needs", "#evaluate-command", "#evaluate-trouble", "#evaluate", "#copy")


class EvaluateScreen(SubmittingScreen):
    COPIED = "evaluate.command"

    DEFAULT_CSS = """
    EvaluateScreen Checkbox { background: transparent; padding: 0; width: 1fr; }
    EvaluateScreen Checkbox:focus > .toggle--label { background: $panel; color: $foreground; text-style: bold; }
    EvaluateScreen ChoiceRow { padding: 0; margin-bottom: 1; }
    EvaluateScreen ChoiceRow > .choice-name { width: 22; }
    EvaluateScreen.-narrow ChoiceRow > .choice-name { width: 14; }
    EvaluateScreen #by-benchmarks, EvaluateScreen #by-rows { height: auto; }
    EvaluateScreen #evaluate-explanation { height: auto; min-height: 2; max-height: 2; padding: 0 1; margin-top: 1;
                                           border-left: outer $secondary; }
    EvaluateScreen #evaluate-needs { height: auto; }
    EvaluateScreen #evaluate-command { height: auto; background: $panel; padding: 0 1; }
    """
    VERTICAL_BREAKPOINTS = [(0, "-short"), (18, "-tall"), (32, "-roomy")]
    HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (60, "-normal")]
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("ctrl+n", "evaluate", "evaluate.key"),
        Binding("escape", "leave", "keys.back"),
        Binding("ctrl+b", "browse", "keys.browse"),
        Binding("ctrl+y", "copy", "evaluate.copy"),
        HELP,
    ]

    def __init__(self, clients: Clients, form: EvaluationForm, planning: Planning) -> None:
        super().__init__(clients)
        self.form = form
        self.planning = planning
        self.spec: JobSpec | None = None  # of what is typed, while nothing is wrong with it
        self.looked_at = KIND

    def compose(self) -> ComposeResult:
        form, run = self.form, self.form.found.run
        with Vertical(classes="window"):
            yield Static(Content(t("evaluate.title", run=run.id, name=one_line(run.name))), classes="step-title")
            yield ChoiceRow(KIND, t("evaluate.kind"), [(kind, t(f"evaluate.kind_{kind}")) for kind in KINDS])
            with VerticalScroll(can_focus=False):
                with Vertical(id="by-benchmarks"):
                    yield BenchmarkChoices(form, self.planning.home)
                with Vertical(id="by-rows"):
                    with Horizontal(classes="field"):
                        yield Static(Content(t("evaluate.data")), classes="field-name")
                        hint = t("evaluate.data_placeholder")
                        yield PathInput(form.data, placeholder=hint, id="evaluate-data", suffixes=suffixes())
                        yield Button(Content(t("keys.browse")), id="browse", classes="-other", compact=True)
                    yield ValueRow(form.value(SCORES), form.text(form.value(SCORES)))
                    yield NameChoices(form, form.value(SCORES))
                yield ValueRow(form.value(GATE), form.text(form.value(GATE)))
            yield Static(id="evaluate-explanation", markup=False)
            yield Static(id="evaluate-needs", markup=False)
            yield Static(id="evaluate-command", markup=False)
            yield Trouble(id="evaluate-trouble")
            yield StepActions(("evaluate", t("evaluate.key"), True), ("copy", t("evaluate.copy"), False))
        yield KeyBar()

    def on_mount(self) -> None:
        self._look_at_machine()

    def begin(self) -> None:
        self.query_one(ChoiceRow).focus()
        self.draw()

    @work(exclusive=True, group="look")
    async def _look_at_machine(self) -> None:
        """What is free now."""
        await asyncio.to_thread(self.planning.look)
        self.draw()

    @on(ChoiceRow.Chosen)
    def _choose(self, event: ChoiceRow.Chosen) -> None:
        self.form.kind = event.value
        self._row(GATE).show(self.form.text(self.form.value(GATE)))
        self._changed()

    @on(ValueRow.Edited)
    def _edited(self, event: ValueRow.Edited) -> None:
        if event.text == self.form.text(event.value):
            return
        self.form.set(event.value, event.text)
        if event.value.key in (SCORES, SUITES):
            self._row(event.value.key).show(event.text)  # it may have been a box
        self._changed()

    @on(Input.Changed, "#evaluate-data")
    def _named(self, event: Input.Changed) -> None:
        if event.value != self.form.data:
            self.form.data = event.value
            self._changed()

    def _row(self, key: str) -> ValueRow:
        return next(row for row in self.query(ValueRow) if row.value.key == key)

    def _changed(self) -> None:
        self.refusal = None
        self.workers.cancel_group(self, FILES)
        self.draw()
        if self.spec is not None:
            self._look_at_files(self.spec)

    @work(exclusive=True, group=FILES)
    async def _look_at_files(self, spec: JobSpec) -> None:
        await asyncio.sleep(SETTLE_S)
        try:
            await asyncio.to_thread(evaluating.look_at_files, spec)
        except TunesmithError as error:
            self.refusal = error
            self.draw()

    @on(ValueRow.Entered)
    @on(ChoiceRow.Entered)
    def _entered(self, event: ValueRow.Entered | ChoiceRow.Entered) -> None:
        self._explain(event.value.key if isinstance(event, ValueRow.Entered) else event.key)

    @on(DescendantFocus)
    def _focused(self, event: DescendantFocus) -> None:
        if event.widget.id in ("evaluate-data", "browse"):
            self._explain(DATA)

    def _explain(self, key: str) -> None:
        self.looked_at = key
        if composed(self, *PARTS):
            self.query_one("#evaluate-explanation", Static).update(self._explanation())

    def _explanation(self) -> Content:
        if self.looked_at in (DATA, KIND):
            label, said = t(f"evaluate.{self.looked_at}"), t(f"evaluate.help_{self.looked_at}")
            return Content.assemble((label, "bold"), "  ", said)
        value = self.form.value(self.looked_at)
        default = t("recipe.default", value=value.default_text or t("recipe.nothing"))
        return Content.assemble((value.label, "bold"), f"  {self.form.explanation(value)} ", (default, FAINT))

    def draw(self) -> None:
        """What is typed: whether it can be started, what that needs, and the command."""
        if not composed(self, *PARTS):
            return
        form, error = self.form, None
        try:
            self.spec = form.spec()
        except TunesmithError as wrong:
            self.spec, error = None, wrong
        self.query_one(ChoiceRow).value = form.kind
        for kind in KINDS:
            self.query_one(f"#by-{kind}").display = form.kind == kind
        for row in self.query(ValueRow):
            self._mark(row, form.changed(row.value))
            if row.value.key == GATE:
                row.display = not form.nothing_chosen
        for boxes in self.query(NameChoices):
            boxes.show()
        found = self._forecast()
        asked = None if self.spec is None else self.spec.benchmark
        self.query_one(BenchmarkChoices).show(asked, found)
        self.query_one("#evaluate-explanation", Static).update(self._explanation())
        self._draw_needs(found)
        said = self.said()
        bar, trouble = self.query_one("#evaluate-command", Static), self.query_one("#evaluate-trouble", Trouble)
        bar.update(Content(plain(said)))
        bar.display = bool(said)
        error = self.refusal if self.spec is not None else error
        if error is None or form.nothing_chosen:
            trouble.clear()
        else:
            trouble.show(*map(plain, told(error)))
        self.enable("evaluate", "copy")

    def _mark(self, row: ValueRow, changed: bool) -> None:
        row.mark(wrong=changed and self.form.error(row.value) is not None, changed=changed)

    def _forecast(self) -> tuple[Forecast, Fit, Place] | None:
        if (spec := self.spec) is None:
            return None
        found = self.form.found
        return self.planning.forecast_here(spec, found.facts, found.rows(self.form.data.strip()))

    def _draw_needs(self, found: tuple[Forecast, Fit, Place] | None) -> None:
        needed = self.query_one("#evaluate-needs", Static)
        if self.form.nothing_chosen:
            needed.update(Content(f"{t('evaluate.no_suite')} {t('evaluate.no_suite_hint')}"))
        elif self.spec is None:
            needed.update("")
        elif found is None:
            needed.update(Content.styled(t("forecast.unknown"), FAINT))
        else:
            stage = asking(found[0]) if self.form.kind == BENCHMARKS else None
            seconds = found[0].seconds_range if stage is None else seconds_range(stage)
            needed.update(Content("\n").join(of_job(*found, seconds)))
        needed.display = self.form.nothing_chosen or self.spec is not None

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        match action:
            case "evaluate":
                return True if self.spec is not None and not self.busy else None
            case "copy":
                return True if self.said() else None
            case "browse":
                return self.form.kind == ROWS
        return True

    @on(Button.Pressed, "#browse")
    @work
    async def action_browse(self) -> None:
        from tunesmith.tui.screens.pick import PickScreen

        typed = Path(self.form.data).expanduser().parent
        start = typed if self.form.data and typed.is_dir() else Path.home()
        if (path := await self.app.push_screen_wait(PickScreen(start, suffixes(), folders=True))) is not None:
            self.query_one("#evaluate-data", Input).value = str(path)

    def said(self) -> str:
        return "" if self.spec is None else evaluating.command(self.form.found, self.spec)

    @on(Button.Pressed, "#evaluate")
    @work(group="submit", exclusive=True)
    async def action_evaluate(self) -> None:
        if (spec := self.spec) is not None:
            await self.hand_over(lambda: spec)
