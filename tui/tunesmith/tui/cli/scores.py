"""What a command shows of a run's scores: a table with intervals, the rows that changed most, and whose code it was."""

from __future__ import annotations

from collections.abc import Iterable

from rich.console import Console
from rich.table import Table
from rich.text import Text

from tunesmith.daemon.api.view import JobView
from tunesmith.recipes.errors import RecipeError
from tunesmith.tui.plain import one_line, plain
from tunesmith.tui.scores_text import changed_rows, figure, label, number, verdict

ROWS_SHOWN = 3  # of each score; `--json` and the report have more
CHARACTERS = 60
TAKES_ALL = "regex:"  # a pattern may hold commas
STYLES = {"better": "green", "worse": "red", "unclear": ""}


def scores_table(view: JobView) -> Table:
    table = Table(title="scores of the held-out answers, with 95 % intervals", box=None, header_style="bold",
                  title_justify="left", pad_edge=False)  # fmt: skip
    for name in ("score", "before", "after", "change", ""):
        table.add_column(name, no_wrap=name != "score")
    for one in view.measured:
        cells = (figure(one.before, one.top), figure(one.after, one.top), figure(one.change, one.top, "+"))
        told = verdict(one)
        table.add_row(Text(label(one)), *map(Text, cells), Text(told, STYLES[told]))
    return table


def print_scores(view: JobView, console: Console) -> None:
    """Nothing where the recipe asked for none."""
    if not view.measured:
        return
    console.print(scores_table(view))
    for one in view.measured:
        for row, before, after in list(changed_rows(view, one))[:ROWS_SHOWN]:
            question = before.question if before else ""
            said = f"{_short(before.answer) if before else '-'} → {_short(after.answer) if after else '-'}"
            values = f"{number(row.before, one.top)} → {number(row.after, one.top)}"
            console.print(Text(plain(f"  {one.name} {values}  {_short(question)}: {said}")), soft_wrap=True)
    for path in dict.fromkeys(one.own_code for one in view.measured if one.own_code):
        console.print(Text(plain(f"computed by your own code: {path}")), soft_wrap=True)


def _short(text: str) -> str:
    flat = one_line(text)
    return flat if len(flat) <= CHARACTERS else f"{flat[: CHARACTERS - 1]}…"


def given(options: Iterable[str] | None) -> tuple[str, ...] | None:
    """The scores of `--scores A,B --scores regex:P`. None where none were given."""
    from tunesmith.recipes import evals

    if options is None:
        return None
    found: list[str] = []
    for option in options:
        rest = option
        while rest and not rest.startswith(TAKES_ALL):
            one, _, rest = rest.partition(",")
            found += [one.strip()] if one.strip() else []
            rest = rest.lstrip()
        found += [rest] if rest else []
    if not found:
        raise RecipeError("--scores names nothing", f"Known: {', '.join(evals.cards())}.")
    return tuple(found)
