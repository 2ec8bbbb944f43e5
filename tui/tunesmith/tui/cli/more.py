"""`tunesmith jobs more`: a new run that trains on from what a finished one exported."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from tunesmith.tui.cli.options import Force, Json, RunId

if TYPE_CHECKING:
    from tunesmith.daemon.api.view import JobView


def more(
    run: RunId,
    epochs: Annotated[int, typer.Option("--epochs", min=1, help="How many epochs more.")],
    wait: Annotated[bool, typer.Option("--wait", help="Follow the run to its end; ctrl-c leaves, it goes on.")] = False,
    force: Force = False,
    as_json: Json = False,
) -> None:
    """Train a finished run on for some epochs more, as a new run.

    It begins with the exported adapter (or, where every weight is trained, the merged model) and has the recipe of the
    finished run otherwise; optimizer and learning-rate schedule start anew. Its own recipe.yaml repeats it.

    Example: tunesmith jobs more last --epochs 2 --wait
    """
    from pathlib import Path

    from tunesmith.daemon.api.client import Client
    from tunesmith.recipes.further import further
    from tunesmith.tui.cli import render
    from tunesmith.tui.cli.run import accompany, submit
    from tunesmith.tui.cli.session import find_run, with_client

    async def act(client: Client) -> JobView:
        return await client.job(await find_run(client, run, finished=True))

    before = finished(with_client(act))
    view = submit(further(Path(before.folder) / "artifacts", epochs), force)
    told = f"run {view.id} trains run {before.id} on for {epochs} epochs, with a new optimizer and schedule"
    render.err().print(f"{told}: {view.folder}")
    accompany(view, wait, as_json)


def finished(view: JobView) -> JobView:
    """`view`, when its run has something to train on from. Raises JobError."""
    from tunesmith.daemon.api.view import FINISHED
    from tunesmith.recipes.errors import JobError

    if view.state != FINISHED:
        raise JobError(
            f"Run {view.id} is {view.state}, so it has exported nothing to train on from",
            f"Let it finish first: `tunesmith resume {view.id}` goes on with one that was stopped.",
            "not_finished",
        )
    return view
