"""`tunesmith data`: look at training data before a run does, and see what the model would see of it."""

from __future__ import annotations

from typing import Annotated

import typer

from tunesmith.tui.cli import data_sets
from tunesmith.tui.cli.options import Json

Model = Annotated[str | None, typer.Option("--model", help="A model's folder, or `starter`: counts its tokens.")]
Shape = Annotated[str | None, typer.Option("--shape", help="What a row is (messages, alpaca, ...); else recognised.")]
Map = Annotated[
    list[str] | None, typer.Option("--map", metavar="COLUMN=FIELD", help="Read a column as a field; may be repeated.")
]
Trained = Annotated[str, typer.Option("--trained", help="Which tokens are learned: assistant, last (turn), all.")]

app = typer.Typer(
    help="Check data sets, see what the model sees of them.",
    epilog="Example: tunesmith data check rows.jsonl",
    no_args_is_help=True,
)
app.command("list")(data_sets.list_sets)
app.command("get")(data_sets.get_set)


@app.callback()
def group() -> None:
    """Check data sets, see what the model sees of them."""


@app.command()
def check(
    files: Annotated[list[str], typer.Argument(metavar="FILE", help="Files, folders or globs.", show_default=False)],
    model: Model = None,
    shape: Shape = None,
    mapping: Map = None,
    trained: Trained = "assistant",
    max_length: Annotated[int | None, typer.Option("--max-length", min=1, help="Most tokens a row may have.")] = None,
    over_long: Annotated[
        str, typer.Option("--over-long", help="What is done with longer ones: error, drop, cut_left, cut_right, split.")
    ] = "error",
    evaluation: Annotated[
        list[str] | None, typer.Option("--evaluation", metavar="FILE", help="Look for rows that are also in these.")
    ] = None,
    fix: Annotated[
        list[str] | None,
        typer.Option("--fix", metavar="FIX,...", help="Write a clean file: dedup, map, strip-empty; needs -o."),
    ] = None,
    output: Annotated[str | None, typer.Option("--output", "-o", help="The clean file: a new JSONL file.")] = None,
    rejected: Annotated[
        str | None, typer.Option("--rejected", metavar="PATH", help="Where all rejected rows are written.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Read every row and say what is wrong, odd, too long or there twice.

    Unusable rows go to FILE.rejected.jsonl with file, line and reason.

    Exit code 0 when the data can be trained on, 1 when it cannot.

    --fix dedup leaves out rows that say what an earlier one says;

    --fix map renames columns to those of the shape;

    --fix strip-empty takes out exchanges that lack a question or an answer.

    Example: tunesmith data check train.jsonl --model starter --fix dedup,map -o clean.jsonl
    """
    from tunesmith.recipes.data.checking import rejected_file
    from tunesmith.recipes.data.checking.check import Options
    from tunesmith.recipes.data.checking.check import check as reports_of
    from tunesmith.tui.cli import data_arguments, data_progress, data_text

    options = Options(
        files=tuple(files),
        model=data_arguments.model_folder(model),
        shape=shape,
        mapping=data_arguments.mapping(mapping),
        trained=data_arguments.trained(trained),
        max_length=max_length,
        over_long=data_arguments.over_long(over_long),
        evaluation=tuple(evaluation or ()),
        rejected=rejected or rejected_file.default_path(files),
        fixes=data_arguments.listed(fix),
        output=output,
    )
    report = data_progress.follow(reports_of(options))
    if as_json:
        data_text.print_report_json(report)
    else:
        data_text.print_report(report, model)
    if not report.usable:
        raise typer.Exit(1)


@app.command()
def preview(
    file: Annotated[str, typer.Argument(metavar="FILE", show_default=False)],
    model: Annotated[str, typer.Option("--model", help="A model's folder, or `starter`.")] = "starter",
    row: Annotated[
        int | None, typer.Option("--row", min=1, help="The row's number as reports give it; else the first usable.")
    ] = None,
    shape: Shape = None,
    mapping: Map = None,
    trained: Trained = "assistant",
    tokens: Annotated[bool, typer.Option("--tokens", help="Also list every token.")] = False,
    as_json: Json = False,
) -> None:
    """Show a row exactly as the trainer sees it: the text, its tokens, and which of them are learned.

    Learned text is green and underlined on a terminal, in ⟦ ⟧ elsewhere and with NO_COLOR.

    Example: tunesmith data preview train.jsonl --model starter --row 3
    """
    from tunesmith.recipes.data.checking.preview import preview as preview_of
    from tunesmith.tui.cli import data_arguments, data_text

    found = preview_of(
        file,
        data_arguments.model_folder(model) or model,
        row,
        shape,
        data_arguments.mapping(mapping),
        data_arguments.trained(trained),
    )
    if as_json:
        data_text.print_preview_json(found)
    else:
        data_text.print_preview(found, tokens)
