"""`tunesmith jobs compare`: two runs side by side, what differs and what each came to."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from tunesmith.tui.cli.options import Json

if TYPE_CHECKING:
    from rich.table import Table

    from tunesmith.daemon.api.client import Client
    from tunesmith.daemon.api.compare import ChangedAnswer, Comparison
    from tunesmith.daemon.api.view import JobView
    from tunesmith.recipes.spec import JobSpec

CHART_ROWS = 14


def compare(
    first: Annotated[str, typer.Argument(metavar="A", help="A run's number, or `last` for the newest.")],
    second: Annotated[str, typer.Argument(metavar="B", help="The run to compare it with.")],
    as_json: Json = False,
) -> None:
    """Compare two runs: recipe values that differ, loss curves, figures, scores with their intervals, changed answers.

    Example: tunesmith jobs compare 3 4
    """
    from tunesmith.daemon.api import compare as comparing
    from tunesmith.tui.cli import render
    from tunesmith.tui.cli.session import find_run, with_client

    async def act(client: Client) -> tuple[JobView, JobView]:
        runs = [await find_run(client, run) for run in (first, second)]
        return await client.job(runs[0]), await client.job(runs[1])

    a, b = with_client(act)
    found = comparing.compare(a, b, recipe(a), recipe(b))
    if as_json:
        render.print_json(found)
    else:
        show(found)


def recipe(view: JobView) -> JobSpec | None:
    """None, and it is said, where it cannot be read any more: the rest can still be compared."""
    from tunesmith.daemon.api.job_recipe import recipe_of
    from tunesmith.recipes.errors import JobError
    from tunesmith.tui.cli import render

    try:
        return recipe_of(view)
    except JobError as error:
        render.err().print(f"warning: {error.message}")
        return None


def show(found: Comparison) -> None:
    from rich.text import Text

    from tunesmith.tui.cli import render
    from tunesmith.tui.texts import t
    from tunesmith.tui.widgets.compared import names
    from tunesmith.tui.widgets.overlaid_losses import overlaid

    console = render.out()
    if found.a.losses or found.b.losses:
        curve = overlaid(names(found), (found.a.losses, found.b.losses), min(console.width, 100), CHART_ROWS)
        console.print(Text(curve.plain), soft_wrap=True)
    for title, table in (
        (t("compare.figures"), figures(found)),
        *([(t("compare.scores"), scores(found))] if found.scores else []),
        (t("compare.config"), config(found)),
    ):
        console.print(Text(f"\n{title}", "bold"))
        console.print(table if table.row_count else Text(t("compare.same_config")))
    console.print(Text(f"\n{t('compare.answers')}", "bold"))
    if found.answered_by_both:
        console.print(t("compare.changed", changed=len(found.answers), both=found.answered_by_both))
        if found.answers:
            console.print(answers(found))
    else:
        console.print(t("compare.no_shared"))


def figures(found: Comparison) -> Table:
    from rich.table import Table
    from rich.text import Text

    from tunesmith.tui.texts import t
    from tunesmith.tui.widgets.compared import figure_text

    table = Table("", *titles(found), t("compare.column_change"), box=None, header_style="bold", pad_edge=False)
    for figure in found.figures:
        change = "" if figure.change is None else f"{figure.change:+.1%}"
        verdict = t(f"compare.{figure.verdict}") if figure.verdict else ""
        name = t(f"compare.figure_{figure.key}")
        values = [figure_text(figure.key, value) for value in (figure.a, figure.b)]
        table.add_row(name, *values, Text(f"{change} {verdict}".strip()))
    return table


def scores(found: Comparison) -> Table:
    from rich.table import Table
    from rich.text import Text

    from tunesmith.tui.texts import t
    from tunesmith.tui.widgets.compared_scores import how, interval_text, name_of

    change = t("compare.column_change")
    table = Table("", *titles(found), change, "", box=None, header_style="bold", pad_edge=False)
    table.caption, table.caption_justify = how(found.scores), "left"
    for one in found.scores:
        values = [interval_text(side, one.top) for side in (one.a, one.b)]
        told = t(f"scores.{one.verdict}") if one.verdict else ""
        table.add_row(Text(name_of(one)), *map(Text, values), Text(interval_text(one.change, one.top, "+")), Text(told))
    return table


def config(found: Comparison) -> Table:
    from rich.table import Table
    from rich.text import Text

    from tunesmith.tui.cli.render import one_line
    from tunesmith.tui.widgets.compared import value_text

    table = Table("", *titles(found), box=None, header_style="bold", pad_edge=False)
    for one in found.config:
        table.add_row(*(Text(one_line(text)) for text in (one.key, value_text(one.a), value_text(one.b))))
    return table


def answers(found: Comparison) -> Table:
    from rich.table import Table
    from rich.text import Text

    from tunesmith.tui.cli.render import one_line, verdict
    from tunesmith.tui.texts import t

    def cell(text: str, correct: bool | None) -> Text:
        mark = verdict(correct)
        return Text.assemble(mark, ": " if mark.plain else "", one_line(text, 400))

    def line(one: ChangedAnswer) -> tuple[Text, Text, Text]:
        return Text(one_line(one.question, 200)), cell(one.a, one.a_correct), cell(one.b, one.b_correct)

    table = Table(t("result.question"), *titles(found), show_lines=True)
    for one in found.answers:
        table.add_row(*line(one))
    return table


def titles(found: Comparison) -> list[str]:
    from tunesmith.tui.texts import t

    return [t("compare.run", id=side.run) for side in (found.a, found.b)]
