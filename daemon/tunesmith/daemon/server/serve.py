"""What is served: shown, begun and ended. Only over the socket: who has the token can ask models and nothing else."""

from __future__ import annotations

import os
from pathlib import Path

from starlette.responses import Response

from tunesmith.daemon.api.requests import Serve, ServedModel, Serving
from tunesmith.daemon.server.endpoint import Call
from tunesmith.daemon.server.guard import BadRequest, reply
from tunesmith.daemon.server.parts import Parts
from tunesmith.recipes.models import source

NAME_LIMIT = 200  # characters


async def serving(call: Call) -> Response:
    """Say what is served, and where."""
    return reply(said(call.parts))


async def serve(call: Call) -> Response:
    """Load a model and serve it under its name; the reply comes when it answers."""
    asked: Serve = call.body
    for name in (asked.name, *asked.adapters):
        if len(name) > NAME_LIMIT or not name.isprintable():
            raise BadRequest("A name is too long or cannot be printed", f"Give at most {NAME_LIMIT} characters.")
    await call.parts.served.add(asked, source.preferred(os.environ))
    if asked.port is not None:
        await call.parts.tcp.listen(asked.port)
    return reply(said(call.parts))


async def unserve(call: Call) -> Response:
    """End all of it: nothing listens on TCP any more, and what was loaded for it is unloaded."""
    await call.parts.tcp.close()
    await call.parts.served.clear()
    return reply(said(call.parts))


def said(parts: Parts) -> Serving:
    models = []
    for name, one in parts.served.subjects.items():
        ready = parts.engines.loaded(one.path)
        engine = ready.engine if ready is not None else ""
        models.append(ServedModel(name, str(one.path), one.adapter, ready is not None, engine))
    token_file = str(Path(parts.tcp.token_file)) if parts.tcp.url else ""
    loading = tuple(parts.engines.loading())
    return Serving(str(parts.home.socket), tuple(models), parts.tcp.url, token_file, loading)
