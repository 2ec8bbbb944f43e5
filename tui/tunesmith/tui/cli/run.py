"""`tunesmith run`: hand a recipe to the daemon, and follow it if asked to."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from tunesmith.tui.cli.options import Force, Json, Offline, go_offline

if TYPE_CHECKING:
    from tunesmith.daemon.api.view import JobView
    from tunesmith.recipes.spec import JobSpec


def run(
    recipe: Annotated[str, typer.Argument(metavar="RECIPE", help="A recipe file (YAML), or a preset: starter.")],
    wait: Annotated[bool, typer.Option("--wait", help="Follow the run to its end; ctrl-c leaves, it goes on.")] = False,
    force: Force = False,
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="Change a value of the recipe, for example training.epochs=2."),
    ] = None,
    offline: Offline = False,
    as_json: Json = False,
) -> None:
    """Run a recipe.

    A model that is not on this machine is fetched first. Exit code 0 means accepted; with --wait it means finished.

    Example: tunesmith run recipe.yaml --wait --set tuner.rank=32
    """
    from pathlib import Path

    from tunesmith.tui.cli import render
    from tunesmith.tui.cli.overrides import read

    go_offline(offline)
    view = submit(read(Path(recipe), settings or []), force)
    render.err().print(f"run {view.id} accepted: {view.folder}")
    accompany(view, wait, as_json)


def accompany(view: JobView, wait: bool, as_json: bool) -> None:
    """Follow an accepted run to its end and show the result, or say how to."""
    from tunesmith.tui.cli import render
    from tunesmith.tui.cli.session import wait_for

    if wait:
        view = wait_for(view.id)
    if as_json:
        render.print_json(render.result(view) if wait else render.summary(view))
    elif wait:
        render.print_result(view)
    else:
        print(f"run {view.id}")
        render.err().print(f"follow it: tunesmith jobs follow {view.id}")


def submit(spec: JobSpec, force: bool = False) -> JobView:
    """Give `spec` to the daemon, which is started when none runs."""
    import uuid

    from tunesmith.tui.cli.session import with_client
    from tunesmith.tui.submission import submission

    request = submission(uuid.uuid4().hex, spec, force=force)
    return with_client(lambda client: client.submit(request))
