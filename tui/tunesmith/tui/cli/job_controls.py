"""`tunesmith jobs pause`, `resume`, `finish`, `retry`, `move` and `cancel`: what a person asks of one run."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Annotated

import typer

from tunesmith.tui.cli.options import Force, Json, RunId

if TYPE_CHECKING:
    from tunesmith.daemon.api.client import Client
    from tunesmith.daemon.api.view import JobView


def pause(run: RunId, as_json: Json = False) -> None:
    """Pause a run: one that works saves a checkpoint and makes room for the next; resume goes on exactly there.

    Example: tunesmith jobs pause last
    """
    _act(run, as_json, lambda client, number: client.pause(number))


def resume(run: RunId, force: Force = False, as_json: Json = False) -> None:
    """Go on with a paused, interrupted, failed or cancelled run from its last checkpoint.

    Example: tunesmith jobs resume 3
    """
    _act(run, as_json, lambda client, number: client.resume(number, force))


def finish(run: RunId, as_json: Json = False) -> None:
    """Stop and keep: training ends after this step; what was learned is evaluated and exported.

    Example: tunesmith jobs finish last
    """
    _act(run, as_json, lambda client, number: client.finish(number))


def cancel(run: RunId, as_json: Json = False) -> None:
    """Stop a run that waits or works; nothing is exported.

    Example: tunesmith jobs cancel 3
    """
    _act(run, as_json, lambda client, number: client.cancel(number))


def retry(run: RunId, force: Force = False, as_json: Json = False) -> None:
    """Run the recipe of a run that has ended again, from the start, as a new run.

    Example: tunesmith jobs retry 3
    """
    import uuid

    _act(run, as_json, lambda client, number: client.retry(number, uuid.uuid4().hex, force))


def move(
    run: RunId,
    before: Annotated[
        str | None, typer.Option("--before", metavar="RUN", help="Right before that run; else it starts next.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Move a run that waits: to the front of the queue, or before another that waits.

    Example: tunesmith jobs move 7 --before 5
    """
    from tunesmith.tui.cli.session import find_run

    async def act(client: Client, number: int) -> JobView:
        return await client.move(number, None if before is None else await find_run(client, before))

    _act(run, as_json, act)


def _act(run: str, as_json: bool, ask: Callable[[Client, int], Awaitable[JobView]]) -> None:
    """Ask it of the run and say how that is now."""
    from tunesmith.tui.cli import render
    from tunesmith.tui.cli.session import find_run, with_client

    async def act(client: Client) -> JobView:
        return await ask(client, await find_run(client, run))

    view = with_client(act)
    if as_json:
        render.print_json(render.summary(view))
    else:
        print(f"run {view.id} {view.state}")
