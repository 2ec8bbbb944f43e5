"""The one listener on TCP, on the loopback alone and only when asked for: the OpenAI routes, for who has the token.

A web page can send requests to it, so one with an Origin, a Referer or another Host is refused before its token is
looked at; there are no CORS headers. Whoever listens on the machine's network never reaches it.
"""

from __future__ import annotations

import asyncio
import contextlib
import hmac
import logging
import os
import re
import secrets
import socket
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import uvicorn
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from tunesmith.daemon.server import guard
from tunesmith.daemon.server.acceptor import Acceptor
from tunesmith.daemon.server.connection import HEAD_LIMIT_BYTES, Connection
from tunesmith.daemon.server.openai import errors
from tunesmith.recipes.errors import DaemonError, MachineError, TunesmithError

LOOPBACK = "127.0.0.1"
CONNECTIONS = 128  # four times the streams that one model is asked for at once
TOKEN_BYTES = 32
TOKEN = re.compile(rb"[A-Za-z0-9_-]{43}")
STOP_PATIENCE_S = 2
log = logging.getLogger("tunesmith.server")


class Server(uvicorn.Server):
    """uvicorn with our own way of taking connections."""

    acceptor: Acceptor

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets=[])
        self.acceptor.start()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self.acceptor.stop()
        await super().shutdown()

    @contextlib.contextmanager
    def capture_signals(self) -> Any:
        """Signals are the daemon's: uvicorn would raise them again after stopping."""
        yield


class TokenOnly:
    """Lets through what no web page could have caused and what knows the token."""

    def __init__(self, app: ASGIApp, port: int, token: bytes) -> None:
        self._app = app
        self._hosts = tuple(f"{name}:{port}".encode() for name in (LOOPBACK, "localhost"))
        self._wanted = b"bearer " + token

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if (refused := self._refusal(scope)) is not None:
            await errors.reply(refused)(scope, receive, send)
        else:
            await self._app(scope, receive, send)

    def _refusal(self, scope: Scope) -> TunesmithError | None:
        headers = scope["headers"]
        for name, _ in headers:
            if name in (b"origin", b"referer"):
                return DaemonError(f"The request has the header {name.decode().title()}: a web page caused it",
                                   "Use a program of yours.", "foreign_request")  # fmt: skip
        if [value for name, value in headers if name == b"host"] not in [[host] for host in self._hosts]:
            known = " or ".join(host.decode() for host in self._hosts)
            return DaemonError("The request is for another host", f"Send it to {known}.", "foreign_request")
        given = [value for name, value in headers if name == b"authorization"]
        scheme, _, rest = (given[0] if len(given) == 1 else b"").partition(b" ")
        if not hmac.compare_digest(scheme.lower() + b" " + rest, self._wanted):
            return DaemonError("The token is missing or wrong", "Send Authorization: Bearer TOKEN; "
                               "`tunesmith serve --status` says where it is.", "invalid_api_key")  # fmt: skip
        return None


class Tcp:
    """`connections` are those that are open; `app` makes what answers on it."""

    def __init__(self, token_file: Path) -> None:
        self.token_file = token_file
        self.port: int | None = None
        self.connections: set[object] = set()
        self.app: Callable[[], ASGIApp] | None = None
        self._server: Server | None = None
        self._serving: asyncio.Task[None] | None = None

    @property
    def url(self) -> str:
        return "" if self.port is None else f"http://{LOOPBACK}:{self.port}/v1"

    async def listen(self, port: int) -> None:
        """On `port`, or any free one for 0; nothing changes when it listens there already. Raises MachineError."""
        if self.port is not None and port in (0, self.port):
            return
        wanted = token(self.token_file)
        listener = bound(port)
        await self.close()
        assert self.app is not None
        self.port = listener.getsockname()[1]
        config = uvicorn.Config(
            TokenOnly(self.app(), self.port, wanted), http=Connection, ws="none", lifespan="off",
            log_config=None, access_log=False, server_header=False, h11_max_incomplete_event_size=HEAD_LIMIT_BYTES,
            timeout_graceful_shutdown=STOP_PATIENCE_S,
        )  # fmt: skip
        self._server = Server(config)
        self._server.server_state.connections = self.connections  # type: ignore[assignment]  # a set of protocols
        state = self._server.server_state
        self._server.acceptor = Acceptor(
            listener, lambda: Connection(config, state), self.connections, CONNECTIONS, mine=lambda connection: True
        )
        self._serving = asyncio.create_task(self._server.serve())
        log.info("listening on %s", self.url)

    async def close(self) -> None:
        if self._server is not None and self._serving is not None:
            self._server.should_exit = True
            await self._serving
            log.info("no longer listening on %s", self.url)
        self._server = self._serving = self.port = None


def bound(port: int) -> socket.socket:
    """Raises MachineError."""
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((LOOPBACK, port))
    except OSError as error:
        listener.close()
        raise MachineError(f"Port {port} cannot be taken: {error.strerror}", "Give another, or 0.", "port") from error
    return listener


def token(path: Path) -> bytes:
    """What is in the file, made where it is missing; of mode 0600 from its first moment. Raises MachineError."""
    flags = os.O_CLOEXEC | os.O_NOFOLLOW
    try:
        handle = os.open(path, os.O_RDWR | os.O_CREAT | flags, 0o600)
        with os.fdopen(handle, "r+b") as file:
            found = os.fstat(handle)
            if found.st_uid != os.getuid() or found.st_mode & 0o077:
                raise MachineError(f"Others can read {path}", "Remove it; a new one is made.", "token_file")
            text = file.read(200).strip()
            if not TOKEN.fullmatch(text):
                text = secrets.token_urlsafe(TOKEN_BYTES).encode()
                file.seek(0)
                file.truncate()
                file.write(text + b"\n")
            return text
    except OSError as error:
        raise MachineError(f"{path} cannot be used: {error.strerror}", "Move it aside.", "token_file") from error


async def _failed(request: Request, error: Exception) -> Response:
    if isinstance(error, TunesmithError):
        return errors.reply(error)
    assert isinstance(error, HTTPException)
    code = "unknown_path" if error.status_code == 404 else "bad_method"
    said = DaemonError(f"There is no {request.method[:20]} {request.scope['path'][:200]} here", "", code)
    return errors.reply(said)


async def _gone(request: Request, error: Exception) -> Response:
    return Response(status_code=400)


async def _unexpected(request: Request, error: Exception) -> Response:
    text = f"The daemon made a mistake: {error!r}"[: guard.MESSAGE_LIMIT]
    return errors.reply(DaemonError(text, "See daemon.log; report it.", "internal"))


HANDLERS: Mapping[Any, Callable[[Request, Exception], Any]] = {
    TunesmithError: _failed,
    HTTPException: _failed,
    ClientDisconnect: _gone,
    Exception: _unexpected,
}
