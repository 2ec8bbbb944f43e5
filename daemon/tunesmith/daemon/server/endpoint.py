"""One row of the route table: what an endpoint takes, gives and refuses, and how a request is decoded by it."""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import msgspec
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from tunesmith.daemon.api.requests import API_VERSION, VERSION_HEADER
from tunesmith.daemon.server.guard import BODY_LIMIT_BYTES, BadRequest, body, has_body
from tunesmith.daemon.server.parts import Parts
from tunesmith.recipes.errors import DaemonError, ErrorBody, JobError, TunesmithError

ID_DIGITS = 15  # a number that every JSON reader holds exactly


class Nothing(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """No query parameters, or no headers of ours."""


@dataclasses.dataclass(frozen=True)
class Refusal:
    """An error an endpoint may answer with; `when` says in which case."""

    status: int
    code: str
    when: str


@dataclasses.dataclass(frozen=True)
class Call:
    """A decoded request: `body`, `query` and `headers` are of the types in the endpoint's row.

    `remote`: it came over TCP.
    """

    request: Request
    parts: Parts
    body: Any
    query: Any
    headers: Any
    remote: bool = False

    @property
    def job_id(self) -> int:
        """Raises JobError (code unknown_job) when the path has no number there."""
        text: str = self.request.path_params["id"]
        if not (text.isdecimal() and text.isascii() and len(text) <= ID_DIGITS):
            raise JobError(f"There is no job {text[:40]!r}", "See them with `tunesmith jobs list`.", "unknown_job")
        return int(text)


Handler = Callable[[Call], Awaitable[ASGIApp]]


@dataclasses.dataclass(frozen=True)
class Endpoint:
    """`reply` is what the statuses carry, `stream` what each server-sent event does instead.

    One with both streams where the request says so. `{id}` in `path` is a job's number. `query` and `headers` are flat
    structs that forbid unknown fields; `request` None takes no body. `any_version` answers clients of another version
    too. `most_bytes` of a request's body. `failed` makes replies of errors in a shape of its own, `error`;
    what is refused before its route is known is an ErrorBody all the same.
    """

    method: str
    path: str
    handler: Handler
    request: type | None = None
    reply: Any = None
    stream: Any = None
    statuses: tuple[int, ...] = (200,)
    query: type = Nothing
    headers: type = Nothing
    refusals: tuple[Refusal, ...] = ()
    example: str = ""
    any_version: bool = False
    most_bytes: int = BODY_LIMIT_BYTES
    error: Any = ErrorBody
    failed: Callable[[TunesmithError], ASGIApp] | None = None

    @property
    def summary(self) -> str:
        """The first paragraph of the handler's docstring."""
        return " ".join((inspect.getdoc(self.handler) or "").partition("\n\n")[0].split())


class PathEndpoints:
    """All endpoints of one path as an ASGI application: the method chooses, any other is a 405."""

    def __init__(self, by_method: Mapping[str, Endpoint], parts: Parts, remote: bool = False) -> None:
        self._by_method = by_method
        self._parts = parts
        self._remote = remote

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive, send)
        endpoint = self._by_method.get(request.method)
        if endpoint is None:
            raise HTTPException(405, headers={"Allow": ", ".join(sorted(self._by_method))})
        try:
            response = await self._answered(endpoint, request)
        except TunesmithError as error:
            if endpoint.failed is None:
                raise
            response = endpoint.failed(error)
        await response(scope, receive, send)

    async def _answered(self, endpoint: Endpoint, request: Request) -> ASGIApp:
        if not endpoint.any_version:
            _refuse_other_version(request)
        body = await _body(endpoint, request)
        return await endpoint.handler(Call(request, self._parts, body, *_parameters(endpoint, request), self._remote))


def _refuse_other_version(request: Request) -> None:
    spoken = request.headers.get(VERSION_HEADER, str(API_VERSION))
    if spoken != str(API_VERSION):
        raise DaemonError(
            f"The daemon speaks version {API_VERSION} of the API and the client version {spoken[:20]}",
            "Stop the daemon with `tunesmith daemon stop` and try again; runs at work go on.",
            "version_mismatch",
        )


async def _body(endpoint: Endpoint, request: Request) -> Any:
    if endpoint.request is not None:
        return await body(request, endpoint.request, endpoint.most_bytes)
    if has_body(request):
        raise BadRequest(f"{endpoint.method} {endpoint.path} takes no body", "Send the request without one.")
    return None


def _parameters(endpoint: Endpoint, request: Request) -> tuple[Any, Any]:
    pairs = request.query_params.multi_items()
    query = dict(pairs)
    if len(query) < len(pairs):
        raise BadRequest("A query parameter is given twice", "Give each one once.")
    sent = {
        field.encode_name: request.headers[field.encode_name]
        for field in msgspec.structs.fields(endpoint.headers)
        if field.encode_name in request.headers
    }
    try:
        return msgspec.convert(query, endpoint.query, strict=False), msgspec.convert(
            sent, endpoint.headers, strict=False
        )
    except msgspec.ValidationError as error:
        raise BadRequest(
            f"A parameter of the request is wrong: {error}", "docs/api.md lists what each route takes."
        ) from error
