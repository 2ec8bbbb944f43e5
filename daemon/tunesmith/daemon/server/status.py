"""Is the daemon there, which one, and please stop."""

from __future__ import annotations

import collections
import importlib.metadata
import os
import time

from starlette.requests import Request
from starlette.responses import Response

from tunesmith.daemon.api.requests import API_VERSION, DaemonStatus
from tunesmith.daemon.server.guard import reply
from tunesmith.daemon.server.parts import parts_of


async def health(request: Request) -> Response:
    return reply({"ok": True})


async def daemon(request: Request) -> Response:
    parts = parts_of(request)
    return reply(
        DaemonStatus(
            pid=os.getpid(),
            socket=str(parts.home.socket),
            version=importlib.metadata.version("tunesmith"),
            api_version=API_VERSION,
            uptime_s=time.monotonic() - parts.started,
            jobs=dict(collections.Counter(view.state for view in parts.store.jobs())),
            home=str(parts.home.root),
        )
    )


async def stop(request: Request) -> Response:
    """Workers keep running; the next daemon adopts them."""
    parts_of(request).stop()
    return reply({"ok": True})
