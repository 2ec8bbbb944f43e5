"""Submit, submit again, list, show, and the libraries' own output."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from pathlib import Path

import msgspec
from starlette.responses import Response

from tunesmith.daemon import submitted
from tunesmith.daemon.api.listing import LinesQuery
from tunesmith.daemon.api.requests import LogQuery, LogText, Retry, Submit
from tunesmith.daemon.server.check import acceptable
from tunesmith.daemon.server.endpoint import Call
from tunesmith.daemon.server.guard import BadRequest, reply
from tunesmith.daemon.server.parts import Parts
from tunesmith.daemon.submitted import Submitted
from tunesmith.recipes.errors import JobError
from tunesmith.recipes.models.source import checked_hub
from tunesmith.recipes.spec import JobSpec, load

LOG_BYTES = 262_144  # the most of a log that is sent: far above what anybody reads at once


async def submit(call: Call) -> Response:
    """Accept a job: 201 when it is new, 200 when `key` was submitted before. It is on disk before the reply."""
    asked: Submit = call.body
    if asked.rows is not None and min(asked.rows.rows, asked.rows.longest, asked.rows.mean) <= 0:
        raise BadRequest("A submit's rows are not above 0", "Leave them out, or send what was counted.")
    if asked.hub:
        checked_hub(asked.hub, "hub")
    said = Submitted(asked.force, asked.rows, hub=asked.hub, offline=asked.offline)
    return await _accept(call.parts, asked.key, lambda: asked.spec, said)


async def retry(call: Call) -> Response:
    """Submit the recipe of a job that rests again, as a new job from the start; the old one stays as it is."""
    asked: Retry = call.body
    old = call.parts.store.get(call.job_id)
    if not old.ended_already:
        raise JobError(f"Job {old.id} is {old.state}", "Wait until it has ended, or cancel it.", "still_living")
    folder = call.parts.home.job(old.id)
    said = msgspec.structs.replace(await asyncio.to_thread(submitted.read, folder), force=asked.force)
    # The person's own recipe: spec.json may have been made smaller when memory ran out.
    return await _accept(call.parts, asked.key, lambda: load(folder / "recipe.yaml"), said)


async def _accept(parts: Parts, key: str, recipe: Callable[[], JobSpec], said: Submitted) -> Response:
    if not 1 <= len(key) <= 200:
        raise BadRequest("The key of a submit has 1 to 200 characters", "Send a UUID.")
    known = parts.store.known(key)
    if known is not None:
        return reply(await parts.store.view(known))
    # In a thread: the files may lie on a slow disk.
    spec = await asyncio.to_thread(
        lambda: acceptable(recipe(), parts.home, parts.settings.free_disk_needed, said.offline)
    )
    view, new = await parts.store.add(key, spec, said)
    parts.scheduler.wake()
    return reply(view, 201 if new else 200)


async def index(call: Call) -> Response:
    """List all jobs, newest first, without their loss curves."""
    return reply(call.parts.store.jobs())


async def lines(call: Call) -> Response:
    """A line of each job, all of them or what changed since `after`: what a list asks for every second."""
    asked: LinesQuery = call.query
    return reply(call.parts.store.lines.since(asked.after))


async def show(call: Call) -> Response:
    """Show one job as it is now: the fold over all its events."""
    view = await call.parts.store.view(call.job_id)
    return reply(call.parts.gauges.shown(view))


async def log(call: Call) -> Response:
    """The last lines of what the libraries printed in the job's newest attempt."""
    view = call.parts.store.get(call.job_id)
    asked: LogQuery = call.query
    path = call.parts.home.job(view.id) / f"worker-{max(view.attempt, 1)}.log"
    return reply(LogText(str(path), await asyncio.to_thread(_tail, path, asked.tail)))


def _tail(path: Path, lines: int) -> str:
    """The last `lines` lines; of a line that a progress bar drew over, what was left standing."""
    try:
        with path.open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(0, size - LOG_BYTES))
            text = file.read(LOG_BYTES).decode("utf-8", "replace")
    except FileNotFoundError:
        return ""
    rows = [row.rstrip("\r").rpartition("\r")[2] for row in text.split("\n")]
    if rows and not rows[-1]:
        rows.pop()
    return "\n".join(rows[-lines:] if lines else [])
