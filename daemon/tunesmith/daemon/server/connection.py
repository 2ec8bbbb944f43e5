"""One client's connection: uvicorn's HTTP/1.1, with limits on how slowly a client may send and read."""

from __future__ import annotations

import asyncio
import http
import weakref
from collections.abc import Callable, Collection

import h11
import msgspec
from uvicorn import Config
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.server import ServerState

from tunesmith.daemon.api.requests import API_VERSION, VERSION_HEADER
from tunesmith.recipes.errors import ErrorBody

REQUEST_WITHIN_S = 30  # for a whole request to arrive; on a local socket 1 MB takes milliseconds
READ_WITHIN_S = 60  # for what waits to be read to be read; a stopped terminal comes back with Last-Event-ID
LOOK_EVERY_S = 1.0
HEAD_LIMIT_BYTES = 16_384
BAD_HTTP = ErrorBody(
    "bad_http",
    f"The request is no HTTP/1.1, or its head is larger than {HEAD_LIMIT_BYTES} bytes",
    "Use the tunesmith command, or curl.",
)
TOO_SLOW = ErrorBody("too_slow", f"The request did not arrive within {REQUEST_WITHIN_S} s", "Send it again.")


class Connection(H11Protocol):
    """`request.state.connection()` of a request. `on_change` is called when it can be written again, or is lost."""

    def __init__(self, config: Config, server_state: ServerState) -> None:
        # Weak: in a cycle it would keep its buffers until the collector comes by.
        super().__init__(config, server_state, {"connection": weakref.ref(self)})
        self.on_change: Callable[[], None] | None = None
        self._waiting_since = self.loop.time()
        self._clogged_since: float | None = None

    # What uvicorn's protocol is told

    def on_response_complete(self) -> None:
        self._waiting_since = self.loop.time()
        super().on_response_complete()

    def pause_writing(self) -> None:
        self._clogged_since = self.loop.time()
        super().pause_writing()

    def resume_writing(self) -> None:
        self._clogged_since = None
        super().resume_writing()
        self._changed()

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self._changed()

    def send_400_response(self, msg: str) -> None:
        """In our words instead of uvicorn's."""
        self.refuse(400, BAD_HTTP)

    # What streams do with it

    @property
    def lost(self) -> bool:
        return self.transport.is_closing()

    @property
    def clogged(self) -> bool:
        return self._clogged_since is not None

    def begin_stream(self) -> None:
        """From now on nothing is written while anything waits: a reader that never reads costs one piece."""
        self.transport.set_write_buffer_limits(high=0)

    def push(self, chunk: bytes) -> None:
        """A piece of a streamed body, chunk-encoded already, past h11, which would copy it once for every follower."""
        if not self.lost:
            self.transport.write(chunk)

    async def drained(self) -> None:
        """Until it can be written, or is lost."""
        await self.flow.drain()

    # Limits

    def overdue(self, now: float) -> bool:
        """Whether a request began too long ago and is not here yet."""
        waits = self.conn.their_state in (h11.IDLE, h11.SEND_BODY)
        return waits and now - self._waiting_since > REQUEST_WITHIN_S

    def stuck(self, now: float) -> bool:
        return self._clogged_since is not None and now - self._clogged_since > READ_WITHIN_S

    def refuse(self, status: int, why: ErrorBody) -> None:
        """Say so if no reply has begun, and close."""
        answerable = self.conn.our_state in (h11.IDLE, h11.SEND_RESPONSE) and not self.clogged
        if self.cycle is not None and not self.cycle.response_complete:
            self.cycle.disconnected = True  # what the handler still says goes nowhere
            self.cycle.message_event.set()
        if not answerable:
            self.transport.abort()
            return
        body = msgspec.json.encode(why)
        head = (
            f"HTTP/1.1 {status} {http.HTTPStatus(status).phrase}\r\n{VERSION_HEADER}: {API_VERSION}\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
        )
        self.transport.write(head.encode() + body)
        self.transport.close()

    def _changed(self) -> None:
        if self.on_change is not None:
            self.on_change()


async def end_slow(connections: Collection[object]) -> None:
    """For ever: close connections that send too slowly, or do not read."""
    loop = asyncio.get_running_loop()
    while True:
        await asyncio.sleep(LOOK_EVERY_S)
        for connection in list(connections):
            if not isinstance(connection, Connection) or connection.lost:
                continue
            if connection.stuck(loop.time()):
                connection.transport.abort()
            elif connection.overdue(loop.time()):
                connection.refuse(408, TOO_SLOW)
