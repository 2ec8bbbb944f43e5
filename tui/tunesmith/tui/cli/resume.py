"""`tunesmith resume`: another attempt at a failed or cancelled run, from its last checkpoint on."""

from __future__ import annotations

from typing import Annotated

import typer

from tunesmith.tui.cli.options import Force, Json, RunId


def resume(
    run: RunId,
    wait: Annotated[bool, typer.Option("--wait", help="Follow the run to its end; ctrl-c leaves, it goes on.")] = False,
    force: Force = False,
    as_json: Json = False,
) -> None:
    """Go on with a failed or cancelled run from its last checkpoint, or from the start where it has none.

    Exit code 0 means accepted; with --wait it means finished.

    Example: tunesmith resume last --wait
    """
    from tunesmith.daemon.api.client import Client
    from tunesmith.daemon.api.view import JobView
    from tunesmith.tui.cli import render
    from tunesmith.tui.cli.run import accompany
    from tunesmith.tui.cli.session import find_run, with_client

    async def act(client: Client) -> JobView:
        return await client.resume(await find_run(client, run), force)

    view = with_client(act)
    begin = f"after step {view.checkpoint.step}" if view.checkpoint is not None else "from the start"
    render.err().print(f"run {view.id} goes on {begin}: {view.folder}")
    accompany(view, wait, as_json)
