"""`tunesmith jobs report`: all that is known of a run as one file to keep or to send."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tunesmith.tui.cli.options import Json, RunId

if TYPE_CHECKING:
    from tunesmith.daemon.api.client import Client
    from tunesmith.daemon.api.view import JobView


def report(
    run: RunId,
    to: Annotated[
        Path | None, typer.Option("--to", metavar="FILE", help="report.html, or report.md with its charts beside it.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Write a run's report: recipe, machine, data, curves, before and after, exports, the command that repeats it.

    Without --to it is tunesmith-run-N.html in this folder, next to an earlier one. Its language is the terminal's.

    Example: tunesmith jobs report last --to report.html
    """
    import os

    from tunesmith.daemon.api.home import Home
    from tunesmith.recipes.errors import MachineError
    from tunesmith.tui import texts
    from tunesmith.tui.cli import render
    from tunesmith.tui.cli.session import find_run, with_client
    from tunesmith.tui.kept_files import free_path
    from tunesmith.tui.report import write
    from tunesmith.tui.reproduce import command

    texts.use(texts.from_environment(os.environ))
    if to is not None:
        write.refuse_other_suffix(to)

    async def act(client: Client) -> JobView:
        return await client.job(await find_run(client, run))

    view = with_client(act)
    try:
        written = write.write(view, to or free_path(Home.find().root, f"tunesmith-run-{view.id}", ".html"))
    except OSError as error:
        raise MachineError(f"The report cannot be written: {error}", "Give another place with --to.") from error
    if as_json:
        files = [str(path.absolute()) for path in written]
        recipe = write.known_recipe(view)
        render.print_json({"files": files, "command": command(view), "recipe": recipe, "run": view})
    else:
        for path in written:
            render.out().print(str(path), soft_wrap=True)
