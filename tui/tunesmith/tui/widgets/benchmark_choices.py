"""Public benchmarks of a training or of a finished run: which suites, how many questions, and what that needs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from textual.app import ComposeResult
from textual.containers import Vertical
from textual.content import Content
from textual.widgets import Static

from tunesmith.recipes.errors import RecipeError
from tunesmith.tui.benchmark_needs import needs
from tunesmith.tui.forms import BENCHMARK, SUITES, Typed
from tunesmith.tui.widgets.name_choices import NameChoices
from tunesmith.tui.widgets.value_row import ValueRow

if TYPE_CHECKING:
    from tunesmith.daemon.api.home import Home
    from tunesmith.recipes.spec import BenchmarkSpec
    from tunesmith.tui.widgets.recipe_forecast import Found


class BenchmarkChoices(Vertical):
    """How they are asked is only shown where there is one to ask."""

    DEFAULT_CSS = """
    BenchmarkChoices { height: auto; }
    BenchmarkChoices #benchmark-needs { height: auto; }
    """

    def __init__(self, typed: Typed, home: Home) -> None:
        super().__init__()
        self.typed, self.home = typed, home

    def compose(self) -> ComposeResult:
        chosen = self._chosen()
        for value in self.typed.values():
            if value.group != BENCHMARK:
                continue
            row = ValueRow(value, self.typed.text(value))
            row.display = chosen or value.key == SUITES
            yield row
            if value.key == SUITES:
                yield NameChoices(self.typed, value)
                needed = Static(id="benchmark-needs")  # above the rows: keys bring into view what can be typed
                needed.display = False
                yield needed

    def _chosen(self) -> bool:
        """What cannot be read counts: nothing typed is hidden for it."""
        value = next(value for value in self.typed.values() if value.key == SUITES)
        try:
            return bool(value.read(self.typed.text(value)))
        except RecipeError:
            return True

    def show(self, asked: BenchmarkSpec | None, found: Found | None) -> None:
        """`asked` is what the recipe has, None while it has none or is wrong."""
        chosen = self._chosen()
        for row in self.query(ValueRow):
            row.display = chosen or row.value.key == SUITES
        for needed in self.query("#benchmark-needs").results(Static):
            needed.display = asked is not None
            if asked is not None:
                lines = needs(asked, None if found is None else found[0], self.home)
                needed.update(Content("\n").join(lines))
