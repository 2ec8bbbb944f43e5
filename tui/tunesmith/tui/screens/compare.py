"""Two runs compared: their curves over each other, what each came to, what differs, which answers changed."""

from __future__ import annotations

import asyncio
from typing import ClassVar

from textual import work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.content import Content
from textual.reactive import reactive
from textual.screen import Screen
from textual.widgets import Static

from tunesmith.daemon.api.compare import Comparison, compare
from tunesmith.daemon.api.job_recipe import recipe_of
from tunesmith.daemon.api.view import JobView
from tunesmith.recipes.errors import JobError, TunesmithError
from tunesmith.recipes.spec import JobSpec
from tunesmith.tui.explained import sentences
from tunesmith.tui.plain import plain
from tunesmith.tui.screens.composed import composed
from tunesmith.tui.texts import t
from tunesmith.tui.watch import Clients
from tunesmith.tui.widgets import compared, compared_scores
from tunesmith.tui.widgets.job_head import state_text
from tunesmith.tui.widgets.key_bar import KeyBar
from tunesmith.tui.widgets.overlaid_losses import OverlaidLosses

CHART_ROWS = 12
CHART_ROWS_SHORT = 7  # on a terminal of less than SHORT_ROWS
SHORT_ROWS = 20


class CompareScreen(Screen[None]):
    """Of the runs `first` and `second`; `x` takes them the other way round."""

    DEFAULT_CSS = """
    CompareScreen #compare-title { height: 1; padding: 0 1; background: $panel; text-wrap: nowrap;
                                   text-overflow: ellipsis; }
    CompareScreen VerticalScroll { padding: 1 2; scrollbar-size-vertical: 1; scrollbar-gutter: stable; }
    CompareScreen VerticalScroll > * { width: 1fr; height: auto; }
    CompareScreen OverlaidLosses { height: 12; }
    CompareScreen .title { text-style: bold; color: $primary; margin: 1 0 0 0; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("x", "swap", "compare.key_swap"),
        Binding("escape", "close_screen", "compare.key_leave"),
    ]

    comparison: reactive[Comparison | None] = reactive(None)
    error: reactive[TunesmithError | None] = reactive(None)

    def __init__(self, clients: Clients, first: int, second: int) -> None:
        super().__init__()
        self._clients = clients
        self.runs = (first, second)
        self._note = ""

    def compose(self) -> ComposeResult:
        yield Static(id="compare-title", markup=False)
        with VerticalScroll():
            yield Static(id="compare-note", markup=False)
            yield OverlaidLosses()
            yield Static(t("compare.figures"), classes="title")
            yield Static(id="compare-figures", markup=False)
            yield Static(t("compare.scores"), classes="title")
            yield Static(id="compare-scores", markup=False)
            yield Static(t("compare.config"), classes="title")
            yield Static(id="compare-config", markup=False)
            yield Static(t("compare.answers"), classes="title")
            yield Static(id="compare-answers", markup=False)
        yield KeyBar()

    def on_mount(self) -> None:
        self.query_one(VerticalScroll).focus()
        self._draw()
        self._read()

    async def recompose(self) -> None:
        """A change of language."""
        await super().recompose()
        self.query_one(VerticalScroll).focus()
        self._draw()

    def on_resize(self) -> None:
        self.call_after_refresh(self._draw)

    @work(exclusive=True)
    async def _read(self) -> None:
        try:
            client = await self._clients()
            views = [await client.job(run) for run in self.runs]
        except TunesmithError as error:
            self.error = error
            return
        recipes = [await asyncio.to_thread(_recipe, view) for view in views]
        self._note = "\n".join(sentences(error) for error in recipes if isinstance(error, JobError))
        known = [recipe if isinstance(recipe, JobSpec) else None for recipe in recipes]
        found = await asyncio.to_thread(compare, views[0], views[1], known[0], known[1])
        self.error, self.comparison = None, found

    def watch_comparison(self) -> None:
        self._draw()

    def watch_error(self) -> None:
        self._draw()

    def _draw(self) -> None:
        if not composed(self, "#compare-title", "#compare-note"):
            return
        note = self.query_one("#compare-note", Static)
        said = sentences(self.error) if self.error is not None else self._note
        note.display = bool(said)
        note.update(Content.assemble(("! ", "$warning bold"), plain(said)))
        found = self.comparison
        for child in self.query("VerticalScroll > *"):
            if child.id != "compare-note":
                child.display = found is not None
        title = self.query_one("#compare-title", Static)
        if found is None:
            title.update(Content(t("compare.loading", a=self.runs[0], b=self.runs[1])))
            return
        titles = compared.names(found)
        title.update(Content.assemble(
            (t("compare.title"), "bold"), "   ", titles[0], " ", state_text(found.a.state), "   ⇄   ",
            titles[1], " ", state_text(found.b.state),
        ))  # fmt: skip
        chart = self.query_one(OverlaidLosses)
        chart.names, chart.curves = titles, (found.a.losses, found.b.losses)
        chart.styles.height = CHART_ROWS_SHORT if self.size.height < SHORT_ROWS else CHART_ROWS
        width = max(20, self.query_one(VerticalScroll).scrollable_content_region.width)
        short = tuple(t("compare.run", id=side.run) for side in (found.a, found.b))
        for place, lines in (
            ("figures", compared.figures(found.figures, (short[0], short[1]), width)),
            ("scores", compared_scores.lines(found.scores, (short[0], short[1]), width)),
            ("config", compared.differences(found.config, (short[0], short[1]), width)),
            ("answers", compared.answers(found, (short[0], short[1]), width)),
        ):
            self.query_one(f"#compare-{place}", Static).update(Content("\n").join(lines))

    def action_swap(self) -> None:
        self.runs = self.runs[::-1]
        self._read()

    def action_close_screen(self) -> None:
        self.dismiss(None)


def _recipe(view: JobView) -> JobSpec | JobError:
    try:
        return recipe_of(view)
    except JobError as error:
        return error
