"""`tunesmith jobs remove`, `clean` and `recover`: what runs take on the disk, what a daemon found at its start."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Annotated

import typer

from tunesmith.tui.cli.options import Json, RunId

if TYPE_CHECKING:
    from tunesmith.daemon.api.client import Client
    from tunesmith.daemon.api.report import Report
    from tunesmith.daemon.api.retention import Cleaned, Sizes
    from tunesmith.daemon.api.view import JobView

Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]
UNIT_SECONDS = {"m": 60, "h": 3600, "d": 86_400, "w": 604_800}


def remove(run: RunId, yes: Yes = False, as_json: Json = False) -> None:
    """Remove a run that has ended with all its files, exported models too.

    Example: tunesmith jobs remove 3 --yes
    """
    from tunesmith.recipes.units import bytes_text
    from tunesmith.tui.cli import render
    from tunesmith.tui.cli.session import find_run, with_client

    async def look(client: Client) -> tuple[JobView, Sizes]:
        view = await client.job(await find_run(client, run))
        return view, next(found for found in await client.sizes() if found.job == view.id)

    view, found = with_client(look)
    kept = f", {bytes_text(found.artifacts)} of them exported models" if found.artifacts else ""
    _confirm(f"Remove run {view.id} {view.name!r} ({view.state}): {bytes_text(found.total)}{kept}?", yes, as_json)
    with_client(lambda client: client.remove(view.id))
    if as_json:
        render.print_json({"run": view.id, "removed": True, "bytes": found.total})
    else:
        print(f"run {view.id} removed, {bytes_text(found.total)} freed")


def clean(
    keep: Annotated[int, typer.Option("--keep", min=0, help="How many of the newest runs are left alone.")] = 3,
    older_than: Annotated[
        str, typer.Option("--older-than", metavar="TIME", help="Only runs that ended so long ago: 12h, 30d, 8w.")
    ] = "0d",
    journals: Annotated[bool, typer.Option("--journals", help="Records and logs too.")] = False,
    artifacts: Annotated[bool, typer.Option("--artifacts", help="Exported models too: the only copies.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would be removed.")] = False,
    yes: Yes = False,
    as_json: Json = False,
) -> None:
    """Free space: remove work folders and checkpoints of runs that have ended, after showing what they take.

    Runs that wait, work or are paused are left alone. A failed run without its checkpoints begins anew when resumed.

    Example: tunesmith jobs clean --keep 5 --older-than 30d --dry-run
    """
    import msgspec

    from tunesmith.daemon.api.retention import Clean
    from tunesmith.recipes.units import bytes_text
    from tunesmith.tui.cli import render
    from tunesmith.tui.cli.session import with_client

    asked = Clean(keep, seconds_of(older_than), journals, artifacts)
    found: Cleaned = with_client(lambda client: client.clean(asked))
    if not as_json:
        render.err().print(render.cleaning_table(found))
    if found.items and not dry_run:
        _confirm(f"Remove {bytes_text(found.bytes)}?", yes, as_json)
        found = with_client(lambda client: client.clean(msgspec.structs.replace(asked, dry_run=False)))
    if as_json:
        render.print_json(found)
    else:
        print(f"{bytes_text(found.bytes)} {'would be freed' if found.dry_run else 'freed'}")


def recover(
    resume: Annotated[bool, typer.Option("--resume", help="Let every interrupted run go on.")] = False,
    rebuild: Annotated[
        bool, typer.Option("--rebuild", help="Put a damaged database aside and list the runs from their folders.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Tell what the daemon found when it started (adopted, queued again, interrupted, cleaned) and what can be done.

    Example: tunesmith jobs recover --resume
    """
    from tunesmith.daemon.api.view import INTERRUPTED
    from tunesmith.tui.cli import render
    from tunesmith.tui.cli.session import rebuild_database, with_client

    if rebuild and (aside := rebuild_database()):
        render.err().print(f"put aside: {aside}")

    async def act(client: Client) -> tuple[Report, list[JobView]]:
        stopped = [view for view in await client.jobs() if view.state == INTERRUPTED]
        if resume:
            stopped = [await client.resume(view.id) for view in stopped]
        return await client.recovery(), stopped

    report, stopped = with_client(act)
    if as_json:
        runs = [render.summary(view) for view in stopped]
        render.print_json({"starts": report.starts, ("resumed" if resume else "interrupted"): runs})
        return
    render.print_recovery(report)
    for view in stopped:
        if resume:
            print(f"run {view.id} {view.state}")
        elif view.error is not None:
            print(f"run {view.id} is interrupted: {view.error.message}. {view.error.hint}")
    if stopped and not resume:
        print("All of them go on with: tunesmith jobs recover --resume")


def seconds_of(text: str) -> float:
    """Of `90m`, `12h`, `30d` or `8w`. Raises RecipeError."""
    from tunesmith.recipes.errors import RecipeError

    found = re.fullmatch(r"(\d{1,9})([mhdw])", text)
    if found is None:
        raise RecipeError(f"'{text}' is no length of time", "Give a number and a unit: 90m, 12h, 30d, 8w.", "usage")
    return int(found[1]) * UNIT_SECONDS[found[2]]


def _confirm(question: str, yes: bool, as_json: bool) -> None:
    """Raises TunesmithError (code not_confirmed) where nobody can be asked, or the answer is no."""
    import sys

    from tunesmith.recipes.errors import TunesmithError

    if yes:
        return
    asked = not as_json and sys.stdin.isatty()
    if not (asked and typer.confirm(question, err=True)):
        raise TunesmithError("Nothing was removed", "Say --yes to remove it.", "not_confirmed")
