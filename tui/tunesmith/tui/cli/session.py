"""What every command that talks to the daemon needs: a client, the run a person means, and a way to leave."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import Awaitable, Callable
from typing import TypeVar

from tunesmith.daemon.api.client import Client
from tunesmith.daemon.api.find import ensure_daemon
from tunesmith.daemon.api.home import Home
from tunesmith.daemon.api.view import FINISHED, JobView
from tunesmith.recipes.errors import DaemonError, JobError, TunesmithError
from tunesmith.tui.cli.errors import DETACHED
from tunesmith.tui.cli.progress import follow

T = TypeVar("T")


def with_client(act: Callable[[Client], Awaitable[T]]) -> T:
    """Run `act` with a client of the daemon, which is started when none runs."""

    async def connected() -> T:
        async with await ensure_daemon(Home.find()) as client:
            return await act(client)

    return asyncio.run(connected())


def rebuild_database() -> str:
    """Put the database aside: the daemon that starts next lists the runs from their folders. Where it lies now.

    Raises DaemonError while a daemon runs, for that one can read it.
    """
    done = subprocess.run(
        [sys.executable, "-m", "tunesmith.daemon", "--rebuild"],
        capture_output=True, text=True, errors="replace", env=os.environ | {"TUNESMITH_HOME": str(Home.find().root)},
    )  # fmt: skip
    if done.returncode != 0:
        said = done.stderr.strip().splitlines() or ["error: it said nothing"]
        hint = next((line.removeprefix("hint: ") for line in said if line.startswith("hint: ")), "")
        raise DaemonError(said[0].removeprefix("error: "), hint, "rebuild_refused")
    return done.stdout.strip()


async def find_run(client: Client, run: str, *, finished: bool = False) -> int:
    """The number that `run` means; `last` is the newest run, or the newest finished one. Raises JobError."""
    if run != "last":
        if run.isascii() and run.isdigit():
            return int(run)
        raise JobError(
            f"'{run}' is not a run", "Give a run's number or `last`; `tunesmith jobs list` shows them.", "unknown_job"
        )
    for view in await client.jobs():
        if view.state == FINISHED or not finished:
            return view.id
    raise JobError(
        "There is no finished run yet" if finished else "There is no run yet", "Make one: `tunesmith quickstart`.",
        "unknown_job",
    )  # fmt: skip


def wait_for(job_id: int) -> JobView:
    """Follow a run to its end. Raises its error when it failed or was cancelled, and says how to go on after ctrl-c."""
    try:
        view = with_client(lambda client: follow(client, job_id))
    except KeyboardInterrupt:
        raise TunesmithError(
            f"Left run {job_id}; it goes on",
            f"`tunesmith jobs follow {job_id}` shows it again, `tunesmith jobs cancel {job_id}` stops it.",
            DETACHED,
        ) from None
    return succeeded(view)


def succeeded(view: JobView) -> JobView:
    """`view`, when the run finished. Raises what stopped it otherwise."""
    if view.state == FINISHED:
        return view
    log = f"`tunesmith jobs logs {view.id}` shows what the libraries said."
    hint = (view.error.hint if view.error else "") or log
    if view.checkpoint is not None and "tunesmith resume" not in hint:
        hint += f" `tunesmith resume {view.id}` goes on from step {view.checkpoint.step}."
    if view.error is None:
        raise JobError(f"Run {view.id} was {view.state}", hint, "cancelled")
    raise TunesmithError(view.error.message, hint, view.error.code)
