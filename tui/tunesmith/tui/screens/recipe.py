"""Step 5: every value of the recipe, explained and checked as it is typed; the recipe file; start."""

from __future__ import annotations

from pathlib import Path

from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Vertical, VerticalScroll
from textual.content import Content
from textual.widgets import Button, Checkbox, Input, Select, Static

from tunesmith.recipes.errors import RecipeError
from tunesmith.tui.draft import GIVEN, Draft
from tunesmith.tui.forms import TUNER, Value
from tunesmith.tui.messages import Done, StartRun
from tunesmith.tui.texts import shown, t
from tunesmith.tui.widgets.step_parts import StepActions, StepHeading, Trouble
from tunesmith.tui.widgets.value_row import ValueRow


class RecipeStep(Vertical):
    BINDINGS = [
        Binding("ctrl+r", "start", "keys.start", priority=True),
        Binding("ctrl+y", "yaml", "keys.yaml", priority=True),
        Binding("ctrl+s", "save", "keys.save", priority=True),
        Binding("ctrl+d", "default", "keys.default", priority=True),
    ]

    def __init__(self, draft: Draft) -> None:
        super().__init__(id="step-recipe", classes="step")
        self.draft = draft
        self.looked_at: Value | None = None

    def compose(self) -> ComposeResult:
        from tunesmith.recipes.exports import cards

        yield StepHeading("recipe")
        yield Static(self._summary(), id="recipe-summary")
        with VerticalScroll(classes="step-body", can_focus=False):
            group = ""
            for value in self.draft.values():
                if value.group != group:
                    group = value.group
                    yield Static(Content(t(f"recipe.group_{group}")), classes="section")
                yield ValueRow(value, self.draft.text(value))
            yield Static(Content(t("recipe.group_exports")), classes="section")
            for card in cards().values():
                for variant in card.variants:
                    target = f"{card.key}:{variant}" if variant else card.key
                    label = Content.assemble(target, (f"  {_blurb(card.key, card.blurb)}", "$foreground 60%"))
                    name = "export-" + target.replace(":", "-")
                    possible = self.draft.possible(target)
                    chosen = possible and target in self.draft.exports
                    yield Checkbox(label, chosen, id=name, name=target, compact=True, disabled=not possible)
        yield Static(id="explanation")
        yield Trouble(id="recipe-trouble")
        yield StepActions(
            ("start", t("recipe.start"), True), ("yaml", t("keys.yaml"), False), ("save", t("keys.save"), False)
        )

    def on_mount(self) -> None:
        self._check()

    def on_show(self) -> None:
        """The model and data may have changed in an earlier step."""
        self.query_one("#recipe-summary", Static).update(self._summary())
        self._check()

    def _summary(self) -> Content:
        draft = self.draft
        model = t("recipe.starter_model") if draft.model == GIVEN else draft.model_folder
        data = (
            t("recipe.starter_data", name=draft.persona_name, maker=draft.persona_maker)
            if draft.data == GIVEN
            else draft.data_file
        )
        return Content.assemble(
            (t("rail.model"), "$foreground 60%"), f" {model}   ", (t("rail.data"), "$foreground 60%"), f" {data}"
        )

    def on_recomposed(self) -> None:
        self._check()

    @on(ValueRow.Edited)
    async def edited(self, event: ValueRow.Edited) -> None:
        """Another tuner has other values and other defaults: the form is drawn anew, what was typed is kept."""
        changed = event.text != self.draft.text(event.value)
        self.draft.set(event.value, event.text)
        if changed and event.value.key == TUNER:
            await self.recompose()
            next(row for row in self.query(ValueRow) if row.value.key == TUNER).query_one(Select).focus()
        self._check()

    @on(ValueRow.Entered)
    def entered(self, event: ValueRow.Entered) -> None:
        self.looked_at = event.value
        self._explain()

    @on(Checkbox.Changed)
    def export_changed(self, event: Checkbox.Changed) -> None:
        boxes = {box.name: box for box in self.query(Checkbox) if box.name}
        kept = [name for name, box in boxes.items() if box.disabled and name in self.draft.exports]
        self.draft.exports = [name for name, box in boxes.items() if box.value or name in kept]
        self._check()

    def _check(self) -> RecipeError | None:
        """Mark every wrong value, and return what stands in the way of a start."""
        for row in self.query(ValueRow):
            changed = row.value.key in self.draft.typed
            row.mark(wrong=changed and self.draft.error(row.value) is not None, changed=changed)
        self._explain()
        try:
            self.draft.spec()
        except RecipeError as error:
            self.query_one("#recipe-trouble", Trouble).show(error.message, error.hint)
            return error
        self.query_one("#recipe-trouble", Trouble).clear()
        return None

    def _explain(self) -> None:
        value = self.looked_at
        if value is None:
            self.query_one("#explanation", Static).update(Content(t("recipe.explain_nothing")))
            return
        text = Content.assemble(
            (value.label, "bold"), f"  {value.explanation} ",
            (t("recipe.default", value=value.default_text), "$foreground 60%"),
        )  # fmt: skip
        self.query_one("#explanation", Static).update(text)

    @on(Button.Pressed, "#start")
    def action_start(self) -> None:
        if self._check() is None:
            self.post_message(Done("recipe"))
            self.post_message(StartRun())

    def action_default(self) -> None:
        """Give the value with the focus its default back."""
        if (value := self.looked_at) is not None and not value.choices:
            row = next(row for row in self.query(ValueRow) if row.value.key == value.key)
            row.query_one(Input).value = value.default_text

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


def _blurb(key: str, otherwise: str) -> str:
    text = shown(f"recipe.export_{key}")
    return otherwise if text == f"recipe.export_{key}" else text
