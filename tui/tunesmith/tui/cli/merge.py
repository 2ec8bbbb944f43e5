"""`tunesmith merge`: several adapters in one base, each with a weight, exported and verified as a job of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from tunesmith.tui.cli.export import Rows, Wait
from tunesmith.tui.cli.options import Force, Json

if TYPE_CHECKING:
    from tunesmith.recipes.spec import AdapterSpec


def merge(
    adapters: Annotated[
        list[str],
        typer.Argument(
            metavar="ADAPTER[=WEIGHT]...", help="A finished run first; then runs, or folders with an adapter of peft's."
        ),
    ],
    to: Annotated[str, typer.Option("--to", metavar="TARGETS", help="What to write: merged,gguf:q8_0.")] = "merged",
    data: Rows = None,
    wait: Wait = False,
    force: Force = False,
    as_json: Json = False,
) -> None:
    """Merge several adapters into one base: the sum of what each changes, times its weight (else 1).

    All were trained on the base of the first, whose rows verify what is written. A weight of 0.5 takes half of an
    adapter, -1 the opposite of it. Exit code 0 means accepted; with --wait it means finished.

    Example: tunesmith merge 7=0.7 9=0.3 --to merged,gguf:q4_k_m --wait
    """
    from tunesmith.recipes.again import merging
    from tunesmith.tui.cli import render
    from tunesmith.tui.cli.export import targets_of, trained_run
    from tunesmith.tui.cli.run import accompany, submit
    from tunesmith.tui.taken_up import absolute, artifacts

    wanted = [weighted(one) for one in adapters]
    first = trained_run(wanted[0][0])
    found = tuple(located(name, weight) for name, weight in wanted)
    view = submit(merging(artifacts(first), found, targets_of(to), absolute(data)), force)
    render.err().print(f"run {view.id} merges {len(found)} adapters into the base of run {first.id}: {view.folder}")
    accompany(view, wait, as_json)


def weighted(text: str) -> tuple[str, float]:
    """A run or folder, and the number behind its last `=`. Raises typer.BadParameter."""
    name, equals, number = text.rpartition("=")
    if not equals:
        return text, 1.0
    try:
        return name, float(number)
    except ValueError as error:
        raise typer.BadParameter(f"'{number}' in '{text}' is no weight: give a number such as 0.5") from error


def located(name: str, weight: float) -> AdapterSpec:
    """The adapter that a run exported, or the folder of that name. Raises JobError, ModelError."""
    from tunesmith.recipes.again import folders, no_adapter
    from tunesmith.recipes.spec import MERGE, AdapterSpec
    from tunesmith.tui.cli.export import trained_run
    from tunesmith.tui.taken_up import absolute, artifacts

    if name.isdecimal() or name == "last":
        run = trained_run(name)
        if run.task == MERGE:
            raise no_adapter(f"Run {run.id}")
        adapter, _ = folders(artifacts(run))
        return AdapterSpec(path=str(adapter), weight=weight)
    return AdapterSpec(path=str(absolute(name)), weight=weight)
