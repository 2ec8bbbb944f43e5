"""A job's events as server-sent events: replay of what follows Last-Event-ID, then live to the terminal event."""

from __future__ import annotations

import msgspec
from starlette.types import Receive, Scope, Send

from tunesmith.daemon.api.requests import EventsHeaders, EventsQuery
from tunesmith.daemon.server.broadcast import Streams
from tunesmith.daemon.server.connection import Connection
from tunesmith.daemon.server.endpoint import Call
from tunesmith.daemon.server.guard import BadRequest

HEADERS = [(b"content-type", b"text/event-stream; charset=utf-8"), (b"cache-control", b"no-store")]


class EventStream:
    """The reply: its body is written by `streams`, piece by piece."""

    def __init__(self, streams: Streams, connection: Connection, job_id: int, after: int) -> None:
        self._streams = streams
        self._connection = connection
        self._job_id = job_id
        self._after = after

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": HEADERS})
        await self._streams.follow(self._connection, self._job_id, self._after)
        await send({"type": "http.response.body", "body": b"", "more_body": False})


async def events(call: Call) -> EventStream:
    """Follow a job: the events after Last-Event-ID, then live to the terminal event; at once over if it has ended."""
    view = call.parts.store.get(call.job_id)
    query: EventsQuery = call.query
    headers: EventsHeaders = call.headers
    after = query.after if headers.last_event_id is msgspec.UNSET else headers.last_event_id
    if after > view.last_event:
        raise BadRequest(
            f"Job {view.id} has {view.last_event} events, and those after {after} were asked for",
            "Give the number of the last event seen.",
        )
    call.parts.streams.refuse_too_many()
    return EventStream(call.parts.streams, call.request.state.connection(), view.id, after)
