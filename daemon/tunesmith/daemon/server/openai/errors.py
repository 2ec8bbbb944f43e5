"""Errors in OpenAI's shape, which its clients turn into exceptions of their own."""

from __future__ import annotations

import re

import msgspec
from starlette.responses import Response

from tunesmith.daemon.server import guard
from tunesmith.daemon.server.guard import MESSAGE_LIMIT, RETRY_AFTER_S, BadRequest
from tunesmith.recipes.errors import TunesmithError


class OpenAIError(msgspec.Struct, frozen=True):
    """`type` says whose error it is, `code` is stable, `param` the field where there is one."""

    message: str
    type: str
    code: str
    param: str | None = None


class OpenAIFailure(msgspec.Struct, frozen=True):
    error: OpenAIError


# What cannot be helped by another request is the server's; all else is the request's.
STATUS_OF_CODE = {
    "model_not_found": 404, "unknown_job": 404, "no_model": 404, "model_missing": 404, "context_full": 400,
    "engine_died": 500, "engine": 500, "engine_start": 503, "engine_does_not_fit": 503,
    "engine_failed": 503, "engine_missing": 503, "engine_device": 503, "invalid_api_key": 401,
    "version_mismatch": 409, "foreign_request": 403, "unknown_path": 404, "bad_method": 405,
}  # fmt: skip
# By what OpenAI calls it clients know what to do: a benchmark, for one, to go on with its next question.
CODES = {"context_full": "context_length_exceeded"}
_FIELD = re.compile(r"unknown field `([^`]{1,100})`|at `\$\.([^`]{1,200})`")
FIELDS_HINT = "docs/api.md lists every field with its bounds."
TYPE_OF_STATUS = {401: "authentication_error", 403: "permission_error", 429: "rate_limit_error"}


class WrongField(BadRequest):
    """`field` of the request is the one that is wrong."""

    def __init__(self, field: str, message: str, hint: str = "", code: str = "invalid_value") -> None:
        super().__init__(message, hint, code)
        self.field = field


def status_of(error: TunesmithError) -> int:
    if error.code in STATUS_OF_CODE:
        return STATUS_OF_CODE[error.code]
    found = guard.status_of(error)
    return 400 if found in (409, 422) else found


def said(error: TunesmithError, status: int) -> OpenAIFailure:
    kind = TYPE_OF_STATUS.get(status, "invalid_request_error" if status < 500 else "server_error")
    field = field_of(error)
    hint = FIELDS_HINT if field is not None and not isinstance(error, WrongField) else error.hint
    text = f"{error.message}. {hint}" if hint else error.message
    return OpenAIFailure(OpenAIError(text[:MESSAGE_LIMIT], kind, CODES.get(error.code, error.code), field))


def field_of(error: TunesmithError) -> str | None:
    """The field that is wrong, where one is; msgspec says it in its sentence."""
    if isinstance(error, WrongField):
        return error.field
    if not isinstance(error, BadRequest) or (found := _FIELD.search(error.message)) is None:
        return None
    return found[1] or found[2]


def reply(error: TunesmithError) -> Response:
    status = status_of(error)
    response = guard.reply(said(error, status), status)
    if status == 429:
        response.headers["Retry-After"] = str(RETRY_AFTER_S)
    if status in (413, 415):
        response.headers["Connection"] = "close"  # the body was not read, and shall not be
    return response
