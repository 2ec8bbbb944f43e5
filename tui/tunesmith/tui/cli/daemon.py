"""`tunesmith daemon`: the background process that owns the runs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from tunesmith.tui.cli.options import Json

if TYPE_CHECKING:
    from tunesmith.daemon.api.home import Home
    from tunesmith.daemon.api.requests import DaemonStatus

app = typer.Typer(
    help="Start, stop, install or look at the background process that owns the runs.",
    epilog="Example: tunesmith daemon status --json",
    no_args_is_help=True,
)
DryRun = Annotated[bool, typer.Option("--dry-run", help="Print what would be written, and do nothing.")]


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
        print_json({"running": False, "socket": str(home.socket), "service": service_of(home)})
    else:
        print("not running (start it: tunesmith daemon start)")
        print(f"service    {service_text(home)}")
    raise typer.Exit(1)


@app.command()
def install(dry_run: DryRun = False, as_json: Json = False) -> None:
    """Start the daemon at every login, and again after a crash: a systemd user unit, a launchd agent on macOS.

    Runs at work go on meanwhile. Installing twice is as good as once.

    Example: tunesmith daemon install --dry-run
    """
    import asyncio

    from tunesmith.daemon.api import service
    from tunesmith.daemon.api.find import answering, ended
    from tunesmith.daemon.api.home import Home
    from tunesmith.tui.cli.render import print_json

    home, chosen = Home.find(), service.manager()
    place = chosen.place(home)
    if dry_run:
        text = chosen.text(home).decode("utf-8", "replace")
        if as_json:
            print_json({"installed": False, "manager": chosen.key, "file": str(place.file), "text": text})
        else:
            print(f"# {place.file}\n{text}", end="")
        return
    written = service.write(home)

    async def begin() -> None:
        await ended(home)
        await asyncio.to_thread(chosen.enable, place)
        await (await answering(home)).close()

    if written or not chosen.active(place):
        asyncio.run(begin())
    advice = chosen.advice()
    if as_json:
        print_json({"installed": True, "changed": written, "advice": advice} | service_of(home))
        return
    print(f"{'installed' if written else 'installed already'} ({chosen.key}): {place.file}")
    if advice:
        print(advice)


@app.command()
def uninstall(as_json: Json = False) -> None:
    """Stop the daemon and no longer start it at login.

    A run at work goes on; the next daemon takes it up again.

    Example: tunesmith daemon uninstall
    """
    from tunesmith.daemon.api import service
    from tunesmith.daemon.api.home import Home
    from tunesmith.tui.cli.render import print_json

    removed = service.remove(Home.find())
    if as_json:
        print_json({"installed": False, "removed": removed})
    else:
        print("uninstalled" if removed else "was not installed")


def service_of(home: Home) -> dict[str, object]:
    """Whether the daemon is installed as a service, by which manager, and where that is written."""
    from tunesmith.daemon.api import service

    place = service.installed(home)
    if place is None:
        return {"installed": False}
    return {"installed": True, "manager": service.manager().key, "name": place.name, "file": str(place.file)}


def service_text(home: Home) -> str:
    found = service_of(home)
    if not found["installed"]:
        return "not installed (start it at login: tunesmith daemon install)"
    return f"starts at login ({found['manager']}, {found['name']})"


def show(status: DaemonStatus, as_json: bool) -> None:
    """As JSON or in five lines."""
    from pathlib import Path

    import msgspec

    from tunesmith.daemon.api.home import Home
    from tunesmith.recipes.units import duration_text
    from tunesmith.tui.cli.render import print_json

    home = Home(Path(status.home)) if status.home else Home.find()
    if as_json:
        print_json({"running": True} | msgspec.to_builtins(status) | {"service": service_of(home)})
        return
    jobs = ", ".join(f"{count} {state}" for state, count in status.jobs.items() if count) or "none"
    print(f"running    pid {status.pid}, version {status.version}, up {duration_text(status.uptime_s)}")
    print(f"runs       {jobs}")
    print(f"clients    {status.connections} connected, {status.streams} following runs")
    print(f"socket     {status.socket}")
    print(f"home       {status.home}")
    print(f"service    {service_text(home)}")
