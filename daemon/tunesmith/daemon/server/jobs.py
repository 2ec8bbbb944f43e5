"""Submit, list, show, cancel, resume, and the libraries' own output."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

from starlette.requests import Request
from starlette.responses import Response

from tunesmith.daemon.api.requests import LogText, Resume, Submit
from tunesmith.daemon.server.check import acceptable
from tunesmith.daemon.server.guard import BadRequest, body, reply
from tunesmith.daemon.server.parts import parts_of
from tunesmith.daemon.submitted import Submitted

LOG_BYTES = 262_144  # the most of a log that is sent: far above what anybody reads at once
LOG_LINES = 10_000


async def submit(request: Request) -> Response:
    parts = parts_of(request)
    asked = await body(request, Submit)
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


async def index(request: Request) -> Response:
    return reply(parts_of(request).store.jobs())


async def show(request: Request) -> Response:
    parts = parts_of(request)
    view = await parts.store.view(request.path_params["id"])
    return reply(parts.gauges.shown(view))


async def cancel(request: Request) -> Response:
    parts = parts_of(request)
    job_id = request.path_params["id"]
    await parts.scheduler.cancel(job_id)
    return reply(await parts.store.view(job_id))


async def resume(request: Request) -> Response:
    parts = parts_of(request)
    job_id = request.path_params["id"]
    await parts.scheduler.resume(job_id, (await body(request, Resume)).force)
    return reply(await parts.store.view(job_id))


async def log(request: Request) -> Response:
    parts = parts_of(request)
    view = parts.store.get(request.path_params["id"])
    tail = request.query_params.get("tail", "200")
    if not (tail.isdecimal() and tail.isascii() and len(tail) < 10):
        raise BadRequest(f"tail is {tail[:40]!r}", "Give a number of lines.")
    path = parts.home.job(view.id) / f"worker-{max(view.attempt, 1)}.log"
    return reply(LogText(str(path), await asyncio.to_thread(_tail, path, min(int(tail), LOG_LINES))))


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
