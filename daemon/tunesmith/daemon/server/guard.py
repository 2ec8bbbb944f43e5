"""What comes in is bounded and checked, what goes wrong is an ErrorBody."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import msgspec
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from tunesmith.daemon.api.depth import deeper_than
from tunesmith.daemon.api.requests import HOST
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
DEPTH_LIMIT = 64  # levels of JSON; a recipe has five, and what is kept is walked by recursive code
MESSAGE_LIMIT = 2000  # characters of an error's sentence: it may quote what was sent
RETRY_AFTER_S = 60  # a place in the queue gets free when a run ends
_STATUS_OF_CODE = {
    "unknown_job": 404, "queue_full": 429, "too_many_streams": 429, "too_many_chats": 429,
    "engine_does_not_fit": 503, "engine_failed": 503, "engine_missing": 503, "engine_device": 503,
    "bad_request": 400, "too_large": 413, "content_type": 415, "version_mismatch": 409,
}  # fmt: skip
Body = TypeVar("Body")


class BadRequest(TunesmithError):
    """The request itself is wrong: our client never sends one."""

    code = "bad_request"


class OwnRequestsOnly:
    """Refuses what a web page could have caused: an Origin, a Referer, or a Host that is not ours."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if (why := foreign(scope["headers"])) is not None:
            hint = f"Use the tunesmith command, or curl --unix-socket with http://{HOST}/."
            refused = reply(ErrorBody("foreign_request", f"The request {why}", hint), 403)
            await refused(scope, receive, send)
        elif scope["http_version"] != "1.1":
            refused = reply(ErrorBody("bad_request", "The request is not of HTTP/1.1", "Send HTTP/1.1."), 400)
            await refused(scope, receive, send)
        else:
            await self._app(scope, receive, send)


def foreign(headers: list[tuple[bytes, bytes]]) -> str | None:
    """Why a request with these (lower-case) headers is not one of ours, or None."""
    names = [name for name, _ in headers]
    for name in (b"origin", b"referer"):
        if name in names:
            return f"has the header {name.decode().title()}: it was caused by a web page"
    hosts = [value for name, value in headers if name == b"host"]
    if hosts != [HOST.encode()]:
        shown = ", ".join(host.decode("ascii", "replace")[:60] for host in hosts) or "nothing"
        return f"is for the host {shown!r} and not for {HOST!r}"
    return None


def has_body(request: Request) -> bool:
    return int(request.headers.get("content-length", "0")) > 0 or "transfer-encoding" in request.headers


async def body(request: Request, kind: type[Body], most: int = BODY_LIMIT_BYTES) -> Body:
    """The decoded body; without one all as it is by default.

    Raises BadRequest when it is too large, no JSON, too deep or no `kind`.
    """
    if not has_body(request):
        data = bytearray(b"{}")
    else:
        media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if media_type != "application/json":
            said = f"is {media_type[:60]!r}" if media_type else "is missing"
            hint = "Send JSON, with `Content-Type: application/json`."
            raise BadRequest(f"The Content-Type {said}", hint, "content_type")
        data = await _read(request, most)
    if deeper_than(data, DEPTH_LIMIT):
        raise BadRequest(f"The request's JSON is nested more than {DEPTH_LIMIT} deep", "Send a flat recipe.")
    try:
        return msgspec.json.decode(data, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise BadRequest(
            f"The request cannot be read: {error}", "Use the same version of client and daemon."
        ) from error


async def _read(request: Request, most: int) -> bytearray:
    """Stops at the limit whatever Content-Length says; one that says too much is not read at all."""
    too_large = BadRequest(f"The request is larger than {most} bytes", "Send less.", "too_large")
    if int(request.headers.get("content-length", "0")) > most:
        raise too_large
    data = bytearray()
    async for chunk in request.stream():
        data += chunk
        if len(data) > most:
            raise too_large
    return data


def reply(value: object, status: int = 200) -> Response:
    return Response(msgspec.json.encode(value), status, media_type="application/json")


def status_of(error: TunesmithError) -> int:
    if error.code in _STATUS_OF_CODE:
        return _STATUS_OF_CODE[error.code]
    if isinstance(error, BadRequest):
        return 400
    if isinstance(error, RecipeError | DataError | ModelError | MachineError):
        return 422
    return 409 if isinstance(error, JobError) else 500


async def _known(request: Request, error: Exception) -> Response:
    assert isinstance(error, TunesmithError)
    said = error.body()
    response = reply(msgspec.structs.replace(said, message=said.message[:MESSAGE_LIMIT]), status_of(error))
    if response.status_code == 429:
        response.headers["Retry-After"] = str(RETRY_AFTER_S)
    if response.status_code in (413, 415):
        response.headers["Connection"] = "close"  # the body was not read, and shall not be
    return response


async def _http(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    path = request.scope["path"][:200]
    hint = "docs/api.md lists every route; is the daemon of this version?"
    if error.status_code == 404:
        found = ErrorBody("unknown_path", f"There is nothing at {path}", hint)
    else:
        found = ErrorBody("bad_method", f"{request.method[:20]} is not a method of {path}", hint)
    response = reply(found, error.status_code)
    response.headers.update(error.headers or {})
    return response


async def _gone(request: Request, error: Exception) -> Response:
    return Response(status_code=400)


async def _unexpected(request: Request, error: Exception) -> Response:
    """The log has the traceback: Starlette raises it again after this reply."""
    return reply(
        ErrorBody("internal", f"The daemon made a mistake: {error!r}"[:MESSAGE_LIMIT], "See daemon.log; report it."),
        500,
    )


HANDLERS: Mapping[Any, Callable[[Request, Exception], Any]] = {
    TunesmithError: _known,
    HTTPException: _http,
    ClientDisconnect: _gone,
    Exception: _unexpected,
}
