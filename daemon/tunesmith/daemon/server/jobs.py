"""Submit, list, show, cancel, resume, and the libraries' own output."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

from starlette.responses import Response

from tunesmith.daemon.api.requests import LogQuery, LogText, Resume, Submit
from tunesmith.daemon.server.check import acceptable
from tunesmith.daemon.server.endpoint import Call
from tunesmith.daemon.server.guard import BadRequest, reply
from tunesmith.daemon.submitted import Submitted

LOG_BYTES = 262_144  # the most of a log that is sent: far above what anybody reads at once


async def submit(call: Call) -> Response:
    """Accept a job: 201 when it is new, 200 when `key` was submitted before. It is on disk before the reply."""
    asked: Submit = call.body
    parts = call.parts
    if not 1 <= len(asked.key) <= 200:
        raise BadRequest("The key of a submit has 1 to 200 characters", "Send a UUID.")
    if asked.rows is not None and min(asked.rows.rows, asked.rows.longest, asked.rows.mean) <= 0:
        raise BadRequest("A submit's rows are not above 0", "Leave them out, or send what was counted.")
    known = parts.store.known(asked.key)
    if known is not None:
        return reply(await parts.store.view(known))
    # In a thread: the files may lie on a slow disk.
    spec = await asyncio.to_thread(acceptable, asked.spec, parts.home, parts.settings.free_disk_needed)
    view, new = await parts.store.add(asked.key, spec, Submitted(asked.force, asked.rows))
    parts.scheduler.wake()
    return reply(view, 201 if new else 200)


async def index(call: Call) -> Response:
    """List all jobs, newest first, without their loss curves."""
    return reply(call.parts.store.jobs())


async def show(call: Call) -> Response:
    """Show one job as it is now: the fold over all its events."""
    view = await call.parts.store.view(call.job_id)
    return reply(call.parts.gauges.shown(view))


async def cancel(call: Call) -> Response:
    """Cancel a job: at once while it waits, through its worker while it runs. Twice is as good as once."""
    await call.parts.scheduler.cancel(call.job_id)
    return reply(await call.parts.store.view(call.job_id))


async def resume(call: Call) -> Response:
    """Queue a failed or cancelled job for another attempt, from its last checkpoint on if there is one."""
    asked: Resume = call.body
    await call.parts.scheduler.resume(call.job_id, asked.force)
    return reply(await call.parts.store.view(call.job_id))


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
