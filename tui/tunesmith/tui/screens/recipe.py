"""Step 5: three plans, every value of the recipe explained and checked as it is typed, what it needs; start."""

from __future__ import annotations

import asyncio
import contextlib
from pathlib import Path
from typing import TYPE_CHECKING

from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Vertical, VerticalScroll
from textual.content import Content
from textual.widgets import Button, Select, Static
from textual.worker import Worker, WorkerCancelled

from tunesmith.recipes.errors import RecipeError
from tunesmith.tui import plan_text
from tunesmith.tui.draft import GIVEN, Draft
from tunesmith.tui.explained import told
from tunesmith.tui.forecast_text import FAINT, lift_text, missing
from tunesmith.tui.forms import BENCHMARK, SCORES, SUITES, TUNER, Value
from tunesmith.tui.messages import Done, StartRun
from tunesmith.tui.planning import Planning
from tunesmith.tui.texts import t
from tunesmith.tui.widgets.benchmark_choices import BenchmarkChoices
from tunesmith.tui.widgets.confirm import Confirm
from tunesmith.tui.widgets.export_choices import ExportChoices
from tunesmith.tui.widgets.name_choices import NameChoices
from tunesmith.tui.widgets.plan_cards import KEYS, PlanCard, PlanCards
from tunesmith.tui.widgets.recipe_forecast import RecipeForecast
from tunesmith.tui.widgets.step_parts import StepActions, StepHeading, Trouble
from tunesmith.tui.widgets.value_row import ValueRow
from tunesmith.tui.widgets.ways import Ways

if TYPE_CHECKING:
    from tunesmith.recipes.planner.plans import Choice, Recommendation, Way
    from tunesmith.tui.widgets.recipe_forecast import Found

LOOK_EVERY_S = 2.0  # at what is free: a few milliseconds
SETTLE_S = 0.25  # after the last key, before the plans are made anew: the bar itself does not wait


class RecipeStep(Vertical):
    BINDINGS = [
        Binding("ctrl+r", "start", "keys.start", priority=True),
        Binding("ctrl+f", "ways", "keys.ways", priority=True),
        Binding("ctrl+y", "yaml", "keys.yaml", priority=True),
        Binding("ctrl+s", "save", "keys.save", priority=True),
        Binding("ctrl+d", "default", "keys.default", priority=True),
        *(Binding(str(number), f"plan('{key}')", f"keys.plan_{key}", show=False) for number, key in enumerate(KEYS, 1)),
    ]

    def __init__(self, draft: Draft, planning: Planning) -> None:
        super().__init__(id="step-recipe", classes="step")
        self.draft = draft
        self.planning = planning
        self.looked_at: Value | None = None
        self.plans: Recommendation | None = None
        self.found: Found | None = None
        self.ways: tuple[Way, ...] = ()  # of the recipe before the last key, while it does not fit
        self.drawn = False  # while it is drawn anew nothing can be shown

    def compose(self) -> ComposeResult:
        yield StepHeading("recipe")
        yield Static(self._summary(), id="recipe-summary")
        with VerticalScroll(classes="step-body", can_focus=False):
            yield PlanCards()
            yield Static(id="plan-note")
            group = ""
            for value in self.draft.values():
                if value.group == BENCHMARK:
                    continue
                if value.group != group:
                    group = value.group
                    yield Static(Content(t(f"recipe.group_{group}")), classes="section")
                yield ValueRow(value, self.draft.text(value))
                if value.key == SCORES:
                    yield NameChoices(self.draft, value)
            yield Static(Content(t("recipe.group_exports")), classes="section")
            yield ExportChoices(self.draft)
            yield Static(Content(t("recipe.group_benchmark")), classes="section")
            yield BenchmarkChoices(self.draft, self.planning.home)
        yield RecipeForecast()
        yield Static(id="explanation")
        yield Trouble(id="recipe-trouble")
        yield StepActions(
            ("start", t("recipe.start"), True), ("yaml", t("keys.yaml"), False), ("save", t("keys.save"), False)
        )

    def on_mount(self) -> None:
        self.drawn = True
        self.on_show()  # it may have been shown before it was there
        self.looking()

    async def recompose(self) -> None:
        self.drawn = False
        await super().recompose()
        self.drawn = True

    def on_show(self) -> None:
        """The model and data may have changed in an earlier step."""
        if not self.drawn:
            return
        self.planning.forget_model()
        self.query_one("#recipe-summary", Static).update(self._summary())
        self._show_values()
        self._check()
        self.replan()

    def on_recomposed(self) -> None:
        self._check()
        self._show_plans()

    @work(exclusive=True, group="look")
    async def looking(self) -> None:
        """What is free now, again every few seconds while this step is shown."""
        while True:
            if self.display and self.is_on_screen:
                first = self.planning.machine is None
                await asyncio.to_thread(self.planning.look)
                self._check()
                if first:
                    self.replan()
            if not self.planning.live:
                return
            await asyncio.sleep(LOOK_EVERY_S)

    def _summary(self) -> Content:
        draft = self.draft
        model = t("recipe.starter_model") if draft.model == GIVEN else draft.model_folder
        data = (
            t("recipe.starter_data", name=draft.persona_name, maker=draft.persona_maker)
            if draft.data == GIVEN
            else draft.data_file
        )
        return Content.assemble((t("rail.model"), FAINT), f" {model}   ", (t("rail.data"), FAINT), f" {data}")

    @on(ValueRow.Edited)
    async def edited(self, event: ValueRow.Edited) -> None:
        """Another tuner has other values and other defaults: the form is drawn anew, what was typed is kept."""
        if event.text == self.draft.text(event.value):
            return
        self.draft.set(event.value, event.text)
        if event.value.key in (SCORES, SUITES):
            self._row(event.value.key).show(event.text)  # it may have been a box
        if event.value.key == TUNER:
            await self._draw_anew()
            self._row(TUNER).query_one(Select).focus()
        self._check()
        self.replan(SETTLE_S)

    async def _draw_anew(self) -> None:
        await self.recompose()
        self._show_plans()

    @on(ValueRow.Entered)
    def entered(self, event: ValueRow.Entered) -> None:
        self.looked_at = event.value
        self._explain()

    @on(ExportChoices.Changed)
    def exports_changed(self, event: ExportChoices.Changed) -> None:
        self.draft.choose_exports(event.targets)
        self._check()
        self.replan(SETTLE_S)

    @work(exclusive=True, group="plan")
    async def replan(self, after_s: float = 0) -> None:
        """The plans for what is typed now; the values of the chosen one follow."""
        await asyncio.sleep(after_s)
        draft = self.draft
        try:
            self.plans = plans = await asyncio.to_thread(self.planning.recommend)
            wanted = draft.plan
            if plans is not None and not wanted and not draft.of_starter and not draft.opened:
                wanted = plans.recommended
            if plans is not None and wanted:
                await self._follow(wanted)
            self._show_plans()
            self._check()
            if self.short:
                self.ways = await asyncio.to_thread(self.planning.ways, draft.spec())
                self._check()
        except RecipeError:
            return  # a wrong value is named below; the plans stay as they were

    async def _follow(self, key: str) -> None:
        plan = None if self.plans is None else next((plan for plan in self.plans.plans if plan.key == key), None)
        if plan is None:
            return
        tuner = self.draft.tuner
        self.draft.follow(key, plan.spec)
        if self.draft.tuner != tuner:
            await self._draw_anew()
            return
        if not self.drawn:
            return
        self._show_values()
        self.query_one(ExportChoices).show()

    def _show_plans(self) -> None:
        if not self.drawn:
            return
        plans = self.plans
        cards, note = self.query_one(PlanCards), self.query_one("#plan-note", Static)
        note.display = False
        if plans is None:
            cards.show((), None, chosen="", recommended="")
            return
        cards.show(plans.plans, self.planning.place(), chosen=self.draft.plan, recommended=plans.recommended)
        said = [Content.styled(lift_text(lift), FAINT) for lift in plans.lift[:1]]
        if plans.refusal is not None:
            said = [Content.styled(plan_text.reason(plans.refusal), "$error")]
        elif not self.draft.plan and self.draft.of_starter:
            said = [Content.styled(t("forecast.preset"), FAINT)]
        note.display = bool(said)
        note.update(Content("\n").join(said))

    @on(PlanCard.Picked)
    async def picked(self, event: PlanCard.Picked) -> None:
        """Picking the chosen plan again goes on to the start."""
        if event.card.key == self.draft.plan:
            self.query_one("#start").focus()
            return
        await self._follow(event.card.key)
        self._show_plans()
        self._check()
        self.query_one(f"#plan-{event.card.key}").focus()

    def action_plan(self, key: str) -> None:
        self.query_one(PlanCards).action_pick(key)

    @on(Ways.Taken)
    async def way_taken(self, event: Ways.Taken) -> None:
        """It counts as typed: a person chose it."""
        taken = {change.key: change.after for change in event.way.changes}
        for key, text in taken.items():
            self.draft.set(self._value(key), text)
        if TUNER in taken:
            await self._draw_anew()
        self._show_values()
        self._check()
        self.replan()

    def _value(self, key: str) -> Value:
        return next(value for value in self.draft.values() if value.key == key)

    def _row(self, key: str) -> ValueRow:
        return next(row for row in self.query(ValueRow) if row.value.key == key)

    def _show_values(self) -> None:
        for row in self.query(ValueRow):
            row.show(self.draft.text(row.value))

    def action_ways(self) -> None:
        """To the first way to make it fit."""
        first = next((row for row in self.query("WayRow") if row.display), None)
        if first is not None and self.query_one(Ways).display:
            first.focus()

    def _check(self) -> RecipeError | None:
        """Mark every wrong value, and return what stands in the way of a start."""
        if not self.drawn:
            return None
        for row in self.query(ValueRow):
            changed = row.value.key in self.draft.typed
            row.mark(wrong=changed and self.draft.error(row.value) is not None, changed=changed)
        for boxes in self.query(NameChoices):
            boxes.show()
        self._explain()
        trouble = self.query_one("#recipe-trouble", Trouble)
        benchmarks = self.query_one(BenchmarkChoices)
        try:
            spec = self.draft.spec()
        except RecipeError as error:
            trouble.show(*told(error))
            benchmarks.show(None, None)
            return error
        trouble.clear()
        self.found = self.planning.forecast(spec)
        benchmarks.show(spec.benchmark, self.found)
        self.query_one(RecipeForecast).show(self.found, self.ways)
        start = self.query_one("#start", Button)
        label = t("recipe.start_anyway") if self.short else t("recipe.start")
        if str(start.label) != label:
            start.label = Content(label)
            start.refresh(layout=True)  # the label's length is the button's
        return None

    @property
    def short(self) -> bool:
        """Whether the recipe does not fit what is free."""
        return self.found is not None and not self.found[1].holds

    def _explain(self) -> None:
        value = self.looked_at
        box = self.query_one("#explanation", Static)
        if value is None:
            box.update(Content(t("recipe.explain_nothing")))
            return
        parts: list[str | tuple[str, str]] = [(value.label, "bold"), "  "]
        choice = self._choice(value.key)
        if value.key in self.draft.typed:
            parts.append((f"{t('forecast.typed')} ", "$primary"))
        elif choice is not None:
            parts.append((f"{plan_text.reason(choice.reason)} ", "$secondary"))
        parts += [
            f"{value.explanation} ",
            (t("recipe.default", value=value.default_text or t("recipe.nothing")), FAINT),
        ]
        box.update(Content.assemble(*parts))

    def _choice(self, key: str) -> Choice | None:
        """What the chosen plan says of a value."""
        for plan in self.plans.plans if self.plans is not None else ():
            if plan.key == self.draft.plan:
                return next((choice for choice in plan.choices if choice.key == key), None)
        return None

    @on(Button.Pressed, "#start")
    @work
    async def action_start(self) -> None:
        """What does not fit is started only by who insists; who is quick waits for the plan of what was just given."""
        await self._until_planned()
        if self._check() is not None:
            return
        if self.planning.simulated:
            self.post_message(StartRun())  # which is refused, with the way back
            return
        force = self.short
        if force and self.found is not None:
            question = t("forecast.anyway_question", what=missing(self.found[1]))
            asked = Confirm(question, t("forecast.anyway_yes"), t("forecast.anyway_no"))
            if not await self.app.push_screen_wait(asked):
                return
        self.post_message(Done("recipe"))
        self.post_message(StartRun(force=force))

    async def _until_planned(self) -> None:
        """Another plan may take the place of one that was begun."""

        def at_work() -> Worker[object] | None:
            ours = (one for one in self.workers if one.group == "plan" and one.node is self)
            return next((one for one in ours if not one.is_finished), None)

        while (planning := at_work()) is not None:
            with contextlib.suppress(WorkerCancelled):
                await planning.wait()

    def action_default(self) -> None:
        """Give the value with the focus its automatic value back: the plan's, else the default."""
        if (value := self.looked_at) is not None:
            self.draft.typed.pop(value.key, None)
            self._row(value.key).show(self.draft.text(value))
            self._check()
            self.replan()

    @on(Button.Pressed, "#yaml")
    def action_yaml(self) -> None:
        from tunesmith.recipes.spec import to_yaml
        from tunesmith.tui.screens.yaml_view import YamlScreen

        if self._check() is None:
            self.app.push_screen(YamlScreen(to_yaml(self.draft.spec())))

    @on(Button.Pressed, "#save")
    @work
    async def action_save(self) -> None:
        from tunesmith.recipes.spec import to_yaml
        from tunesmith.tui.screens.save import SaveScreen

        if self._check() is not None:
            return
        spec = self.draft.spec()
        path = await self.app.push_screen_wait(SaveScreen(Path.cwd() / f"{spec.name}.yaml", to_yaml(spec)))
        if path is not None:
            self.notify(t("recipe.saved", path=path), markup=False)
