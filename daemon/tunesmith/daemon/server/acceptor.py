"""Takes connections: of our own user only, before a byte is read, and only as many as there are descriptors for.

asyncio's own server, out of descriptors, logs every connection it could not take, thousands a second.
"""

from __future__ import annotations

import asyncio
import collections
import contextlib
import logging
import os
import socket
from collections.abc import Callable, Collection

import msgspec

from tunesmith.daemon.api.requests import API_VERSION, VERSION_HEADER
from tunesmith.daemon.server.listen import peer_uid
from tunesmith.recipes.errors import ErrorBody

CONNECTIONS = 1200  # a thousand followers and room for requests
RESERVED_DESCRIPTORS = 96  # database, logs, journals, pipes of workers and chats, downloads
WAITING = 1024  # connections that the kernel holds until we take them
AT_ONCE = 32  # taken in one turn of the loop: those that are open already want their turn too
PAUSE_S = 0.5  # until we look again when the system gave us no descriptor
LEAVING = 16  # that were turned away and may still be writing
LEAVE_AFTER_S = 1.0
RETRY_AFTER_S = 2  # most connections are gone within a second
BUSY = msgspec.json.encode(
    ErrorBody("too_many_connections", "The daemon has as many connections as it takes", "Try again in a moment.")
)
log = logging.getLogger("tunesmith.server")


def of_our_user(connection: socket.socket) -> bool:
    return peer_uid(connection) == os.getuid()


class Acceptor:
    """`opened` are the connections that live; `mine` says of a new one whether it may be."""

    def __init__(
        self,
        listener: socket.socket,
        protocol: Callable[[], asyncio.Protocol],
        opened: Collection[object],
        limit: int = CONNECTIONS,
        mine: Callable[[socket.socket], bool] = of_our_user,
    ) -> None:
        self._listener = listener
        self._protocol = protocol
        self._opened = opened
        self._limit = limit
        self._mine = mine
        self._loop = asyncio.get_running_loop()
        self._opening: dict[asyncio.Protocol, asyncio.Task[None]] = {}
        self._leaving: collections.deque[socket.socket] = collections.deque()
        self._told: set[str] = set()
        self._stopped = False

    def start(self) -> None:
        self._listener.setblocking(False)
        self._listener.listen(WAITING)
        self._loop.add_reader(self._listener, self._accept)

    def stop(self) -> None:
        self._stopped = True
        self._loop.remove_reader(self._listener)
        self._listener.close()

    def _accept(self) -> None:
        for _ in range(AT_ONCE):
            try:
                connection, _ = self._listener.accept()
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                return
            except OSError as error:
                self._tell("descriptors", f"no more connections can be taken for now: {error}")
                self._loop.remove_reader(self._listener)
                self._loop.call_later(PAUSE_S, self._go_on)
                return
            self._admit(connection)

    def _admit(self, connection: socket.socket) -> None:
        if not self._mine(connection):
            connection.close()
            self._tell("stranger", "a connection of another user was refused")
        elif self._count() >= self._limit:
            self._turn_away(connection)
            self._tell("busy", f"{self._limit} connections: more are turned away")
        else:
            protocol = self._protocol()
            self._opening[protocol] = self._loop.create_task(self._open(protocol, connection))
            if len(self._opened) < self._limit // 2:
                self._told.clear()

    def _turn_away(self, connection: socket.socket) -> None:
        """Say why, and stay a moment: a client still writing to a closed socket would not read it."""
        with contextlib.suppress(OSError):  # it went away
            connection.send(_busy(), socket.MSG_DONTWAIT)
            connection.shutdown(socket.SHUT_WR)
        self._leaving.append(connection)
        while len(self._leaving) > LEAVING:
            self._leaving.popleft().close()
        self._loop.call_later(LEAVE_AFTER_S, connection.close)

    def _count(self) -> int:
        return len(self._opened) + sum(protocol not in self._opened for protocol in self._opening)

    async def _open(self, protocol: asyncio.Protocol, connection: socket.socket) -> None:
        try:
            await self._loop.connect_accepted_socket(lambda: protocol, connection)
        except OSError as error:
            connection.close()
            log.warning("a connection broke while it was taken: %s", error)
        finally:
            del self._opening[protocol]

    def _go_on(self) -> None:
        if not self._stopped:
            self._loop.add_reader(self._listener, self._accept)

    def _tell(self, what: str, text: str) -> None:
        """Once, until the daemon has been calm again: whoever floods us shall not flood the log."""
        if what not in self._told:
            self._told.add(what)
            log.warning("%s", text)


def _busy() -> bytes:
    head = (
        f"HTTP/1.1 429 Too Many Requests\r\n{VERSION_HEADER}: {API_VERSION}\r\nContent-Type: application/json\r\n"
        f"Retry-After: {RETRY_AFTER_S}\r\nContent-Length: {len(BUSY)}\r\nConnection: close\r\n\r\n"
    )
    return head.encode() + BUSY
