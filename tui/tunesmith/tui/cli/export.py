"""`tunesmith export`: write more of what a finished run made, in another type or format, as a job of its own."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tunesmith.tui.cli.options import Force, Json

if TYPE_CHECKING:
    from tunesmith.daemon.api.view import JobView

Finished = Annotated[str, typer.Argument(metavar="RUN", help="A finished run's number, or `last`.")]
Rows = Annotated[
    str | None, typer.Option("--data", metavar="FILE", help="Rows to verify with, where those of the run are gone.")
]
Wait = Annotated[bool, typer.Option("--wait", help="Follow it to its end; ctrl-c leaves, it goes on.")]


def export(
    run: Finished = "last",
    to: Annotated[
        str | None,
        typer.Option("--to", metavar="TARGETS", help="What to write: gguf:q4_k_m,awq,fp8. Without: a list."),
    ] = None,
    data: Rows = None,
    wait: Wait = False,
    force: Force = False,
    as_json: Json = False,
) -> None:
    """Export a finished run again; each file is loaded and compared with the trained model.

    Without --to it lists what can be written, with the size to expect and what suits a model of this size.
    Exit code 0 means accepted; with --wait it means finished.

    Example: tunesmith export last --to gguf:q4_k_m,gguf:q6_k --wait
    """
    from tunesmith.recipes.again import exporting
    from tunesmith.tui.cli import render
    from tunesmith.tui.cli.run import accompany, submit
    from tunesmith.tui.taken_up import absolute, artifacts

    before = trained_run(run)
    if to is None:
        show_targets(before, as_json)
        return
    view = submit(exporting(artifacts(before), targets_of(to), absolute(data)), force)
    render.err().print(f"run {view.id} exports run {before.id}: {view.folder}")
    accompany(view, wait, as_json)


def targets_of(to: str) -> tuple[str, ...]:
    """Raises typer.BadParameter."""
    targets = tuple(dict.fromkeys(target.strip() for target in to.split(",") if target.strip()))
    if not targets:
        raise typer.BadParameter("--to names nothing: give for example --to gguf:q8_0")
    return targets


def trained_run(run: str) -> JobView:
    """The finished run or merge that is meant, by its number or `last`. Raises JobError."""
    from tunesmith.daemon.api.client import Client
    from tunesmith.tui.cli.session import find_run, with_client
    from tunesmith.tui.taken_up import trained

    async def act(client: Client) -> JobView:
        return await trained(client, await find_run(client, run, finished=True))

    return with_client(act)


def show_targets(view: JobView, as_json: bool) -> None:
    """Everything that can be written of this run, with its size."""
    from tunesmith.tui.cli import render

    found = possible(Path(view.folder))
    if as_json:
        render.print_json({"run": view.id, "targets": found})
        return
    from rich.table import Table

    from tunesmith.recipes.units import bytes_text

    table = Table("target", "size", "what it is", box=None)
    for one in found:
        size = "" if one["bytes"] is None else bytes_text(one["bytes"])
        table.add_row(one["target"] + (" *" if one["recommended"] else ""), size, one["about"])
    render.out().print(table)
    print("\n* recommended for a model of this size")
    for note in notes():
        print(note)


def possible(job: Path) -> list[dict[str, Any]]:
    from tunesmith.recipes import exports, models, tuners
    from tunesmith.recipes.again import folders
    from tunesmith.recipes.further import RECIPE
    from tunesmith.recipes.planner import stages
    from tunesmith.recipes.spec import load

    adapter, merged = folders(job / "artifacts")
    base = (job / "base.txt").read_text("utf-8").strip() if (job / "base.txt").is_file() else ""
    facts = models.read(merged if merged.is_dir() else Path(base)) if merged.is_dir() or base else None
    spec = load(job / "artifacts" / RECIPE)
    known = None if facts is None else stages.known(spec, facts)
    has_adapter = adapter.is_dir() and tuners.cards()[spec.tuner["kind"]].adapter
    found = []
    for card in exports.cards().values():
        if (card.of_adapter and not has_adapter) or (facts is not None and card.unsuited(facts)):
            continue
        found += [
            {
                "target": exports.named(card, variant),
                "bytes": None if known is None else card.planned(variant, known),
                "recommended": known is not None and card.suits(variant, known.facts.parameters),
                "about": card.about(variant) or card.blurb,
            }
            for variant in card.listed or card.variants
        ]
    return found


def notes() -> list[str]:
    """What stands below the list."""
    from tunesmith.recipes import exports

    return [card.note for card in exports.cards().values() if card.note]
