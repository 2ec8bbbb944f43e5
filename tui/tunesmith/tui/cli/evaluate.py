"""`tunesmith eval`: evaluate a finished run again, on its held-out rows, on others, or by public benchmarks."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated

import typer

from tunesmith.tui.cli.export import Wait, trained_run
from tunesmith.tui.cli.options import Force, Json, Offline, go_offline


def evaluate(
    run: Annotated[
        str,
        typer.Argument(metavar="RUN", help="A finished run's number, or `last`; with --suite :f16 and the like too."),
    ] = "last",
    data: Annotated[
        str | None,
        typer.Option("--data", metavar="FILE", help="Rows to evaluate on. Without: those the run held out."),
    ] = None,
    scores: Annotated[
        list[str] | None,
        typer.Option("--scores", metavar="SCORES", help="exact_match,chrf,scorer.py:FUNCTION. Without: the run's own."),
    ] = None,
    fail_if: Annotated[
        str | None,
        typer.Option(
            "--fail-if", metavar="CONDITION", help="End as failed if so: 'chrf < before.chrf'; 'gsm8k < 0.4'."
        ),
    ] = None,
    suite: Annotated[
        list[str] | None,
        typer.Option("--suite", metavar="SUITES", help="Public benchmarks: gsm8k,mmlu; or task.yaml, questions.jsonl."),
    ] = None,
    limit: Annotated[
        int | None, typer.Option("--limit", min=1, help="With --suite: questions of each of a suite's parts at most.")
    ] = None,
    tool: Annotated[
        str | None, typer.Option("--tool", help="With --suite: lm-eval or evalscope. Without: what suits each.")
    ] = None,
    base: Annotated[bool, typer.Option("--base", help="With --suite: ask the untuned model too.")] = False,
    offline: Offline = False,
    wait: Wait = False,
    force: Force = False,
    as_json: Json = False,
) -> None:
    """Evaluate a finished run again: loss, perplexity, answers and scores of them; or with --suite public benchmarks.

    Rows with `answer` and `accept` are graded. Scores: exact_match, contains, rouge_l, bleu, chrf, json,
    json:SCHEMA.json, regex:PATTERN (last, as it may hold commas) and scorer.py:FUNCTION, which is your own code.
    Suites: mmlu, ceval, cmmlu, gsm8k, ifeval, arc, hellaswag, truthfulqa, winogrande, boolq, piqa; a task file of
    lm-eval (.yaml); or a file of questions (.jsonl). Their tool is installed into an environment of its own.
    Exit code 0 means accepted; with --wait it means finished.

    Example: tunesmith eval last --data questions.jsonl --scores exact_match,chrf --wait

    Example: tunesmith eval last --suite gsm8k,mmlu --limit 50 --base --wait
    """
    from tunesmith.recipes.spec import BenchmarkSpec
    from tunesmith.tui import evaluating
    from tunesmith.tui.cli import render
    from tunesmith.tui.cli.run import accompany, submit
    from tunesmith.tui.cli.scores import given

    if suite is None and (limit is not None or tool is not None or base):
        raise typer.BadParameter("--limit, --tool and --base go with --suite")
    if suite is not None and (data or scores):
        raise typer.BadParameter("--suite has questions and scores of its own: leave out --data and --scores")
    go_offline(offline)
    number, _, variant = run.partition(":") if suite is not None else (run, "", "")
    before = trained_run(number)
    if suite is None:
        spec = evaluating.on_rows(before, data, given(scores), fail_if)
    else:
        asked = BenchmarkSpec(suites=named(suite), tool=tool, limit=limit, variant=variant, base=base)
        spec = evaluating.benchmarks(before, asked, fail_if)
    view = submit(spec, force)
    render.err().print(f"run {view.id} evaluates run {before.id}: {view.folder}")
    accompany(view, wait, as_json)


def named(options: Iterable[str]) -> tuple[str, ...]:
    """Of `--suite A,B --suite c.yaml`."""
    return tuple(name.strip() for option in options for name in option.split(",") if name.strip())
