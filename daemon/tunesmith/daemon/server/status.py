"""Is the daemon there, which one, what does it speak, and please stop."""

from __future__ import annotations

import collections
import functools
import importlib.metadata
import os
import time

from starlette.responses import Response

from tunesmith.daemon.api.requests import API_VERSION, DaemonStatus, Done
from tunesmith.daemon.server.endpoint import Call
from tunesmith.daemon.server.guard import reply


async def health(call: Call) -> Response:
    """Say that the daemon is there. Answers within a quarter of a second whatever else is going on."""
    return reply(Done())


async def daemon(call: Call) -> Response:
    """Say which daemon this is: process, version, home, and how many jobs are in which state."""
    parts = call.parts
    return reply(
        DaemonStatus(
            pid=os.getpid(),
            socket=str(parts.home.socket),
            version=_version(),
            api_version=API_VERSION,
            uptime_s=time.monotonic() - parts.started,
            jobs=dict(collections.Counter(view.state for view in parts.store.jobs())),
            home=str(parts.home.root),
            connections=len(call.request.state.connection().connections),
            streams=parts.streams.open,
        )
    )


@functools.cache
def _version() -> str:
    """Read from the disk once."""
    return importlib.metadata.version("tunesmith")


async def stop(call: Call) -> Response:
    """End the daemon. Workers keep running; the next daemon adopts them."""
    call.parts.stop()
    return reply(Done())


async def recovery(call: Call) -> Response:
    """What this daemon found when it started (adopted, queued again, interrupted, cleaned), and those before it."""
    return reply(call.parts.restart.report())


async def openapi(call: Call) -> Response:
    """This description, as an OpenAPI 3.1 document."""
    document: bytes = call.request.app.state.openapi()
    return Response(document, media_type="application/json")
