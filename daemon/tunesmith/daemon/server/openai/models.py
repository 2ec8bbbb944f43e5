"""GET /v1/models: what can be asked."""

from __future__ import annotations

from starlette.responses import Response

from tunesmith.daemon.server import guard
from tunesmith.daemon.server.endpoint import Call
from tunesmith.daemon.server.openai.told import Model, ModelList
from tunesmith.daemon.serving.subjects import Subject


async def models(call: Call) -> Response:
    """List what can be asked: what is served, and over the socket every run that has a model."""
    return guard.reply(ModelList([said(one) for one in call.parts.served.listed(call.remote)]))


def said(subject: Subject) -> Model:
    try:
        created = int(subject.path.stat().st_mtime)
    except OSError:  # a base that is made when it is first asked
        created = 0
    return Model(id=subject.name, created=created)
