"""Several finished runs merged into one base: how much of each, what is written, and the command that does the same."""

from __future__ import annotations

from typing import ClassVar

from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.content import Content
from textual.events import Key
from textual.widgets import Button, Checkbox, Input, Static

from tunesmith.recipes.errors import RecipeError
from tunesmith.tui.explained import SAID, told
from tunesmith.tui.merging import Mergeable, Part, command, recipe, weight
from tunesmith.tui.plain import one_line, plain
from tunesmith.tui.screens.composed import composed
from tunesmith.tui.screens.submitting import SubmittingScreen
from tunesmith.tui.texts import t
from tunesmith.tui.watch import Clients
from tunesmith.tui.widgets.export_choices import export_box
from tunesmith.tui.widgets.key_bar import HELP, KeyBar
from tunesmith.tui.widgets.step_parts import StepActions, Trouble

NUMBER = frozenset("0123456789.,-+")
NO_RUN = 0  # what is wrong with none of them


class WeightInput(Input):
    """Takes what numbers are made of; other letters are keys of the window, as they are anywhere else in it."""

    def __init__(self, run: int, text: str) -> None:
        super().__init__(text, compact=True, id=f"weight-{run}")
        self.run = run

    async def _on_key(self, event: Key) -> None:
        if event.is_printable and event.character not in NUMBER:
            event.prevent_default()  # Input's own handler would write it

    def check_consume_key(self, key: str, character: str | None) -> bool:
        return character in NUMBER


class MergeScreen(SubmittingScreen):
    COPIED = "merge.command"

    DEFAULT_CSS = """
    MergeScreen .run { height: 1; }
    MergeScreen .run Static { width: 1fr; text-wrap: nowrap; text-overflow: ellipsis; }
    MergeScreen .run .mark { width: 2; }
    MergeScreen .run Input { width: 12; height: 1; border: none; background: $panel; padding: 0 1; }
    MergeScreen .run Input:focus { border: none; background: $panel-lighten-2; }
    MergeScreen .run Input.-wrong { background: $error 20%; }
    MergeScreen Checkbox { background: transparent; padding: 0; width: 1fr; }
    MergeScreen Checkbox:focus > .toggle--label { background: $panel; color: $foreground; text-style: bold; }
    MergeScreen #merge-command { background: $panel; padding: 0 1; margin: 1 0; height: auto; }
    """
    VERTICAL_BREAKPOINTS = [(0, "-short"), (18, "-tall")]
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("ctrl+n", "merge", "merge.key"),
        Binding("escape", "leave", "keys.back"),
        Binding("y", "copy", "merge.copy"),
        Binding("down", "app.focus_next", show=False),
        Binding("up", "app.focus_previous", show=False),
        HELP,
    ]

    def __init__(self, clients: Clients, found: Mergeable) -> None:
        super().__init__(clients)
        self.found = found
        self.typed = {run.id: "1" for run in found.runs}
        self.ticked = set(found.ticked)
        self.parts: list[Part] = []
        self.wrong: dict[int, RecipeError] = {}

    def compose(self) -> ComposeResult:
        runs = self.found.runs
        with Vertical(classes="window"):
            yield Static(Content(t("merge.title", count=len(runs), base=self.found.base)), classes="step-title")
            with VerticalScroll(can_focus=False):
                yield Static(Content(t("merge.lead", first=runs[0].id)), classes="muted")
                for run in runs:
                    name = Content.assemble(t("compare.run", id=run.id), "  ", (one_line(run.name), "$foreground 60%"))
                    with Horizontal(classes="run"):
                        yield Static(name, markup=False)
                        yield Static(classes="mark", id=f"mark-{run.id}", markup=False)
                        yield WeightInput(run.id, self.typed[run.id])
                yield Static(Content(t("merge.targets")), classes="section")
                for target in self.found.targets:
                    yield export_box(target, target in self.ticked)
            yield Static(id="merge-command", markup=False)
            yield Trouble(id="merge-trouble")
            yield StepActions(("merge", t("merge.do"), True), ("copy", t("merge.copy"), False))
        yield KeyBar()

    def begin(self) -> None:
        self.query(WeightInput).first().focus()
        self.draw()

    @on(Input.Changed)
    def _weighed(self, event: Input.Changed) -> None:
        if isinstance(event.input, WeightInput):
            self.typed[event.input.run] = event.value
            self._changed()

    @on(Checkbox.Changed)
    def _chosen(self, event: Checkbox.Changed) -> None:
        if event.checkbox.name:
            (self.ticked.add if event.value else self.ticked.discard)(event.checkbox.name)
            self._changed()

    def _changed(self) -> None:
        self.refusal = None
        self.draw()

    @property
    def targets(self) -> tuple[str, ...]:
        """In the order in which they are offered."""
        return tuple(target for target in self.found.targets if target in self.ticked)

    def _read(self) -> None:
        """`parts` of what is typed, and what is `wrong`, the first thing first."""
        self.parts, self.wrong = [], {}
        for run in self.found.runs:
            try:
                self.parts.append(Part(run, weight(run.id, self.typed[run.id])))
            except RecipeError as error:
                self.wrong[run.id] = error
        if not self.targets:
            self.wrong[NO_RUN] = RecipeError(t("merge.no_target"), t("merge.no_target_hint"), SAID)

    def draw(self) -> None:
        """The command of what is chosen, or what is wrong with it."""
        if not composed(self, "#merge-command", "#merge-trouble", "#merge"):
            return
        self._read()
        for run in self.found.runs:
            wrong = run.id in self.wrong
            self.query_one(f"#weight-{run.id}").set_class(wrong, "-wrong")
            self.query_one(f"#mark-{run.id}", Static).update(Content.styled("✗" if wrong else "", "$error bold"))
        said, trouble = self.query_one("#merge-command", Static), self.query_one(Trouble)
        said.display = not self.wrong
        if self.wrong:
            error = next(iter(self.wrong.values()))
            trouble.show(error.message, error.hint)
        else:
            said.update(Content(self.said()))
            if self.refusal is None:
                trouble.clear()
            else:
                trouble.show(*map(plain, told(self.refusal)))
        self.enable("merge", "copy")

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        if (action in ("merge", "copy") and self.wrong) or (action == "merge" and self.busy):
            return None
        return True

    def said(self) -> str:
        return command(self.parts, self.targets)

    @on(Button.Pressed, "#merge")
    @work(group="submit", exclusive=True)
    async def action_merge(self) -> None:
        await self.hand_over(lambda: recipe(self.parts, self.targets))
