"""What the recipe as it is typed would need: the memory bar, time and disk, and the ways on when it does not fit."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from textual.app import ComposeResult
from textual.containers import Vertical
from textual.content import Content
from textual.widgets import Static

from tunesmith.tui.forecast_text import FAINT, summary
from tunesmith.tui.texts import t
from tunesmith.tui.widgets import memory_bar
from tunesmith.tui.widgets.memory_bar import MemoryBar
from tunesmith.tui.widgets.ways import WayRow, Ways

if TYPE_CHECKING:
    from tunesmith.recipes.planner import Fit, Forecast, Place
    from tunesmith.recipes.planner.plans import Way

ROOMY_ROWS, SHORT_ROWS = 32, 18  # of the terminal, as the frame's breakpoints
Found = tuple["Forecast", "Fit", "Place"]


class RecipeForecast(Vertical):
    DEFAULT_CSS = """
    RecipeForecast { height: auto; padding: 0 0 0 1; border-left: outer $success; }
    RecipeForecast.-tight { border-left: outer $warning; }
    RecipeForecast.-not { border-left: outer $error; }
    RecipeForecast.-unknown { border-left: outer $panel; }
    RecipeForecast > Static { height: auto; text-wrap: nowrap; text-overflow: ellipsis; }
    """

    def compose(self) -> ComposeResult:
        yield MemoryBar()
        yield Static(id="forecast-text")
        yield Ways()

    def show(self, found: Found | None, ways: Sequence[Way] = ()) -> None:
        """`ways` are offered where it does not fit. Small terminals are shown less: the values need the room."""
        if not self.query(WayRow):
            return  # not composed yet
        verdict = "unknown" if found is None else found[1].verdict
        for name in ("tight", "not", "unknown"):
            self.set_class(verdict == name, f"-{name}")
        text = self.query_one("#forecast-text", Static)
        bar = self.query_one(MemoryBar)
        if found is None:
            bar.memory = None
            text.update(Content.styled(t("forecast.unknown"), FAINT))
            self.query_one(Ways).show(())
            return
        forecast, _, place = found
        bar.memory = memory_bar.of(forecast, place)
        rows, lacks = self.app.size.height, verdict == "not"
        bar.legend = None if rows >= ROOMY_ROWS else 0 if rows < SHORT_ROWS else 1 if lacks else 2
        lines = summary(*found, brief=rows < ROOMY_ROWS)
        if rows < SHORT_ROWS:
            lines = lines[:2] if lacks else lines[:1]
        text.update(Content("\n").join(lines))
        self.query_one(Ways).show(ways[: 1 if rows < SHORT_ROWS else None] if lacks else ())
