"""`tunesmith daemon`: the background process that owns the runs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from tunesmith.tui.cli.options import Json

if TYPE_CHECKING:
    from tunesmith.daemon.api.requests import DaemonStatus

app = typer.Typer(help="Start, stop or look at the background process that owns the runs.", no_args_is_help=True)


@app.command()
def start(as_json: Json = False) -> None:
    """Start the daemon, if none runs.

    Other commands do this by themselves.

    Example: tunesmith daemon start
    """
    from tunesmith.tui.cli.session import with_client

    show(with_client(lambda client: client.status()), as_json)


@app.command()
def stop(as_json: Json = False) -> None:
    """Stop the daemon.

    A run at work goes on; the next daemon takes it up again.

    Example: tunesmith daemon stop
    """
    import asyncio

    from tunesmith.daemon.api.find import running
    from tunesmith.daemon.api.home import Home
    from tunesmith.tui.cli.render import print_json

    async def act() -> bool:
        client = await running(Home.find())
        if client is None:
            return False
        async with client:
            await client.stop()
        return True

    stopped = asyncio.run(act())
    if as_json:
        print_json({"running": False, "stopped": stopped})
    else:
        print("stopped" if stopped else "no daemon was running")


@app.command()
def status(as_json: Json = False) -> None:
    """Say whether a daemon runs and what it does.

    Exit code 0 only when one runs; starts none.

    Example: tunesmith daemon status --json
    """
    import asyncio

    from tunesmith.daemon.api.find import running
    from tunesmith.daemon.api.home import Home
    from tunesmith.tui.cli.render import print_json

    home = Home.find()

    async def act() -> DaemonStatus | None:
        client = await running(home)
        if client is None:
            return None
        async with client:
            return await client.status()

    found = asyncio.run(act())
    if found is not None:
        show(found, as_json)
        return
    if as_json:
        print_json({"running": False, "socket": str(home.socket)})
    else:
        print("not running (start it: tunesmith daemon start)")
    raise typer.Exit(1)


def show(status: DaemonStatus, as_json: bool) -> None:
    """As JSON or in four lines."""
    import msgspec

    from tunesmith.recipes.units import duration_text
    from tunesmith.tui.cli.render import print_json

    if as_json:
        print_json({"running": True} | msgspec.to_builtins(status))
        return
    jobs = ", ".join(f"{count} {state}" for state, count in status.jobs.items() if count) or "none"
    print(f"running    pid {status.pid}, version {status.version}, up {duration_text(status.uptime_s)}")
    print(f"runs       {jobs}")
    print(f"socket     {status.socket}")
    print(f"home       {status.home}")
