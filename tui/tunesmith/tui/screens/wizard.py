"""The frame: the rail at the left, the step that is shown beside it, the keys below."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.reactive import reactive
from textual.screen import Screen
from textual.widget import Widget
from textual.widgets import ContentSwitcher, Static

from tunesmith.tui.messages import Done, GoTo
from tunesmith.tui.texts import t
from tunesmith.tui.widgets.key_bar import KeyBar
from tunesmith.tui.widgets.rail import STEPS, Rail
from tunesmith.tui.widgets.step_parts import Trouble

if TYPE_CHECKING:
    from tunesmith.tui.app import TunesmithApp

JOB_STEPS = ("run", "result")


class WizardScreen(Screen[None]):
    """Steps are made when first opened and kept from then on, so nothing typed is lost."""

    HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (60, "-normal"), (110, "-wide")]
    VERTICAL_BREAKPOINTS = [(0, "-short"), (18, "-tall"), (32, "-roomy")]
    BINDINGS = [
        *(
            Binding(f"f{number},{number}", f"open('{step}')", f"rail.{step}", show=False)
            for number, step in enumerate(STEPS, 1)
        ),
        Binding("escape", "back", "keys.back"),
    ]
    # Textual's own paints the whole screen anew; what has the focus, and who had it, are painted without that.
    focused: reactive[Widget | None] = reactive(None, repaint=False)

    def compose(self) -> ComposeResult:
        with Horizontal(id="frame"):
            yield Rail()
            with Vertical(id="content"):
                yield Static(id="place")
                yield Static(id="simulated", markup=False)
                yield ContentSwitcher(id="steps")
                yield Trouble(id="trouble")
        yield KeyBar()

    async def on_mount(self) -> None:
        await self.open(self.wizard.first_step)

    @property
    def wizard(self) -> TunesmithApp:
        return cast("TunesmithApp", self.app)

    @property
    def current(self) -> str:
        return self.query_one(Rail).current

    async def open(self, step: str) -> None:
        """Show `step`, with the focus where one would go on."""
        steps = self.query_one("#steps", ContentSwitcher)
        name = f"step-{step}"
        if not steps.query(f"#{name}"):
            await steps.mount(self._make(step))
        if step in JOB_STEPS and self.wizard.job_id is not None:
            steps.query_one(f"#{name}").show_job(self.wizard.job_id)  # type: ignore[attr-defined]
        steps.current = name
        self.query_one(Rail).current = step
        self.query_one("#trouble", Trouble).clear()
        self._show_place()
        self._focus(steps.query_one(f"#{name}"))

    def _make(self, step: str) -> Widget:
        """Imports wait until a step is opened: the first paint needs only the first one."""
        app = self.wizard
        match step:
            case "machine":
                from tunesmith.tui.screens.machine import MachineStep

                return MachineStep(app.home.root, app.machine, live=app.live)
            case "goal":
                from tunesmith.tui.screens.goal import GoalStep

                return GoalStep(app.draft)
            case "model":
                from tunesmith.tui.screens.model import ModelStep

                return ModelStep(app.draft, app.planning)
            case "data":
                from tunesmith.tui.screens.data import DataStep

                return DataStep(app.draft, app.home, app.planning)
            case "recipe":
                from tunesmith.tui.screens.recipe import RecipeStep

                return RecipeStep(app.draft, app.planning)
            case "run":
                from tunesmith.tui.screens.run import RunStep

                return RunStep(app.daemon, id="step-run")
            case _:
                from tunesmith.tui.screens.result import ResultStep

                return ResultStep(app.daemon, app.planning, id="step-result")

    def _focus(self, step: Widget) -> None:
        """The chosen card or the first field; a step without one takes the focus itself, so that its keys work."""
        for query in (".-chosen", "#go-on", "#start", "Input"):
            for widget in step.query(query):
                if takes_focus(widget):
                    widget.focus(scroll_visible=False)
                    return
        inner = next((widget for widget in step.query("*") if takes_focus(widget)), None)
        if inner is not None:
            inner.focus(scroll_visible=False)
        else:
            step.can_focus = True
            step.focus(scroll_visible=False)

    def _show_place(self) -> None:
        number = STEPS.index(self.current) + 1
        self.query_one("#place", Static).update(
            Content.assemble((f"{number}/{len(STEPS)} ", "$primary bold"), (t(f"rail.{self.current}"), "bold"))
        )

    def replanned(self) -> None:
        """Plans are for another machine now, or for this one again: the step that is shown plans anew."""
        self._show_simulated()
        if (again := getattr(self.query_one(f"#step-{self.current}"), "on_show", None)) is not None:
            again()

    def _show_simulated(self) -> None:
        """Over every step, while plans are for another machine."""
        banner, key = self.query_one("#simulated", Static), self.wizard.planning.simulated
        banner.display = bool(key)
        if key:
            from tunesmith.tui import machine_text

            banner.update(machine_text.banner(key))

    def mark_done(self, *steps: str) -> None:
        rail = self.query_one(Rail)
        rail.done = rail.done | frozenset(steps)

    async def retranslate(self) -> None:
        """Every step anew in the current language; what was typed is in the draft."""
        for step in self.query_one("#steps", ContentSwitcher).children:
            await step.recompose()
            if (again := getattr(step, "on_recomposed", None)) is not None:
                again()
        self._focus(self.query_one(f"#step-{self.current}"))
        self.query_one(Rail).refresh()
        self._show_place()
        self._show_simulated()
        self.query_one(KeyBar).bindings_changed(self)

    @on(GoTo)
    async def go_to(self, event: GoTo) -> None:
        await self.open(event.step)

    @on(Done)
    async def done(self, event: Done) -> None:
        self.mark_done(event.step)
        await self.open(STEPS[STEPS.index(event.step) + 1])

    async def action_open(self, step: str) -> None:
        await self.open(step)

    async def action_back(self) -> None:
        """One step back; from the first step there is nowhere to go."""
        if (number := STEPS.index(self.current)) > 0:
            await self.open(STEPS[number - 1])


def takes_focus(widget: Widget) -> bool:
    """Whether it takes the focus and is seen: Textual gives it to what lies in a hidden part, too."""
    return widget.focusable and all(node.display for node in widget.ancestors_with_self if isinstance(node, Widget))
