"""A job's events as server-sent events: replay of what follows Last-Event-ID, then live to the terminal event."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator

import msgspec
from starlette.responses import Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from tunesmith.daemon.api import events as e
from tunesmith.daemon.api.requests import EventsHeaders, EventsQuery
from tunesmith.daemon.server.endpoint import Call
from tunesmith.daemon.server.parts import Parts

HEARTBEAT_S = 10.0
BATCH = 500  # events read at once: what a slow reader can cost us in memory, about 200 kB


class EventStream(StreamingResponse):
    """Closes its generator when the client has gone, at once."""

    def __init__(self, content: AsyncGenerator[bytes, None]) -> None:
        super().__init__(content, media_type="text/event-stream", headers={"Cache-Control": "no-store"})
        self._content = content

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            await self._content.aclose()


async def events(call: Call) -> Response:
    """Follow a job: the events after Last-Event-ID, then live to the terminal event; at once over if it has ended."""
    job_id = call.parts.store.get(call.job_id).id
    query: EventsQuery = call.query
    headers: EventsHeaders = call.headers
    after = query.after if headers.last_event_id is msgspec.UNSET else headers.last_event_id
    return EventStream(_frames(call.parts, job_id, after))


async def _frames(parts: Parts, job_id: int, after: int) -> AsyncGenerator[bytes, None]:
    """No queue a client: each reads the store at its own pace, so a slow one holds nothing up and misses nothing.

    Gauges have no id, so that a client that comes back asks for what follows the last event; a slow one gets the newest
    only.
    """
    store, gauges = parts.store, parts.gauges
    shown: e.Gauged | None = None
    stopping = asyncio.create_task(parts.stopping.wait())
    try:
        while not parts.stopping.is_set():
            rows = await store.events(job_id, after, BATCH)
            if rows:
                after = rows[-1][0]
                yield b"".join(b"id: %d\ndata: %s\n\n" % row for row in rows)
                continue
            view = store.get(job_id)
            if view.ended_already and view.last_event <= after:
                return
            if (newest := gauges.newest(job_id)) is not None and newest is not shown:
                shown = newest
                yield b"data: %s\n\n" % e.encode(newest)
                continue
            grown = asyncio.create_task(store.wait_beyond(job_id, after, HEARTBEAT_S))
            gauged = asyncio.create_task(gauges.changed(job_id))
            try:
                await asyncio.wait((grown, gauged, stopping), return_when=asyncio.FIRST_COMPLETED)
            finally:
                grown.cancel()
                gauged.cancel()
            if grown.done() and not grown.cancelled() and not grown.result():
                yield b": still here\n\n"
    finally:
        stopping.cancel()
