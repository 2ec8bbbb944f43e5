"""What comes in is bounded and checked, what goes wrong is an ErrorBody."""

from __future__ import annotations

import asyncio
import logging
import os
import socket
import struct
import sys
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import msgspec
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from uvicorn.protocols.http.h11_impl import H11Protocol

from tunesmith.recipes.errors import (
    DataError,
    ErrorBody,
    JobError,
    MachineError,
    ModelError,
    RecipeError,
    TunesmithError,
)

BODY_LIMIT_BYTES = 1_000_000  # a recipe is a few kB, a long conversation a few hundred
_STATUS_OF_CODE = {"unknown_job": 404, "queue_full": 429, "bad_request": 400, "too_large": 413}
Body = TypeVar("Body")
log = logging.getLogger("tunesmith.server")


class BadRequest(TunesmithError):
    """The request itself is wrong: our client never sends one."""

    code = "bad_request"


async def body(request: Request, kind: type[Body]) -> Body:
    """The decoded body. Raises BadRequest when it is too large, no JSON, too deep or no `kind`."""
    data = bytearray()
    async for chunk in request.stream():
        data += chunk
        if len(data) > BODY_LIMIT_BYTES:
            raise BadRequest(f"The request is larger than {BODY_LIMIT_BYTES} bytes", "Send less.", "too_large")
    try:
        return msgspec.json.decode(data or b"{}", type=kind)  # no body: all as it is by default
    except RecursionError as error:
        raise BadRequest("The request's JSON is nested too deep", "Send a flat recipe.") from error
    except msgspec.DecodeError as error:
        raise BadRequest(
            f"The request cannot be read: {error}", "Use the same version of client and daemon."
        ) from error


def reply(value: object, status: int = 200) -> Response:
    return Response(msgspec.json.encode(value), status, media_type="application/json")


def _status(error: TunesmithError) -> int:
    if error.code in _STATUS_OF_CODE:
        return _STATUS_OF_CODE[error.code]
    if isinstance(error, RecipeError | DataError | ModelError | MachineError):
        return 422
    return 409 if isinstance(error, JobError) else 500


async def _known(request: Request, error: Exception) -> Response:
    assert isinstance(error, TunesmithError)
    response = reply(error.body(), _status(error))
    if response.status_code == 429:
        response.headers["Retry-After"] = "60"
    return response


async def _http(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    if error.status_code == 404:
        found = ErrorBody("unknown_path", f"There is nothing at {request.url.path}", "Update Tunesmith.")
    else:
        found = ErrorBody("bad_request", f"{error.detail}: {request.method} {request.url.path}", "Update Tunesmith.")
    return reply(found, error.status_code)


async def _gone(request: Request, error: Exception) -> Response:
    return Response(status_code=400)


async def _unexpected(request: Request, error: Exception) -> Response:
    """The log has the traceback: Starlette raises it again after this reply."""
    return reply(
        ErrorBody("internal", f"The daemon made a mistake: {error!r}", "See daemon.log; please report it."), 500
    )


HANDLERS: Mapping[Any, Callable[[Request, Exception], Any]] = {
    TunesmithError: _known,
    HTTPException: _http,
    ClientDisconnect: _gone,
    Exception: _unexpected,
}


class OwnUserOnly(H11Protocol):
    """Closes a connection of another user before a byte of it is parsed; the 0700 folder is the first lock."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        if peer_uid(transport.get_extra_info("socket")) != os.getuid():
            log.warning("a connection of another user was refused")
            transport.abort()


def peer_uid(connection: socket.socket) -> int:
    """Who is at the other end of a Unix socket."""
    if sys.platform == "darwin":  # xucred: version, uid, ... at level SOL_LOCAL, LOCAL_PEERCRED
        _, uid = struct.unpack_from("=II", connection.getsockopt(0, 1, 76))
    else:  # ucred: pid, uid, gid
        _, uid, _ = struct.unpack("=iII", connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))
    return int(uid)
