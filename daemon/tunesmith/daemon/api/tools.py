"""Tools that a model may call: what may be sent, in one place for who reads them from a file or bounds a request."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from tunesmith.daemon.api import whole_files
from tunesmith.daemon.api.depth import deeper_than
from tunesmith.recipes.errors import DataError
from tunesmith.recipes.units import bytes_text

TOOLS, CALLS = 64, 64  # of a request, and of one of its messages
SCHEMA_BYTES, SCHEMA_DEPTH = 32_768, 16
LARGE_SCHEMA = f"A schema is larger than {SCHEMA_BYTES} bytes or nested more than {SCHEMA_DEPTH} deep"
FILE_BYTES = 262_144  # they go with every question of a chat, and most models hold less
AROUND_SCHEMA = 3  # levels of JSON: the list, the tool, its function
FORM_HINT = (
    'A tool is {"type": "function", "function": {"name": ..., "description": ..., "parameters": {a JSON schema}}}, '
    "or the function alone."
)

Name = Annotated[str, Meta(min_length=1, max_length=500)]
CallId = Annotated[str, Meta(max_length=100)]


class CalledFunction(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`arguments` is JSON text."""

    name: Name
    arguments: str


class ToolCall(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    id: CallId
    function: CalledFunction
    type: Literal["function"] = "function"


class Function(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """`parameters` is a JSON schema; `strict` holds for all that must be called anyway."""

    name: Annotated[str, Meta(pattern="^[a-zA-Z0-9_.-]{1,64}$")]
    description: str | None = None
    parameters: dict[str, Any] | None = None
    strict: bool | None = None


class Tool(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    function: Function
    type: Literal["function"] = "function"


def is_large(schema: dict[str, Any]) -> bool:
    encoded = msgspec.json.encode(schema)
    return len(encoded) > SCHEMA_BYTES or deeper_than(encoded, SCHEMA_DEPTH)


def read(path: Path) -> tuple[Tool, ...]:
    """The tools in that file: a JSON list of them in OpenAI's form, or of functions alone.

    Raises DataError (codes tools_missing, tools_unknown, tools_too_large).
    """
    try:
        data = whole_files.beginning(path, FILE_BYTES)
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or error
        raise DataError(f"The tools in {path} cannot be read: {why}", "Look at its path.", "tools_missing") from error
    if len(data) > FILE_BYTES:
        hint = "Leave out tools, or shorten what they say."
        raise DataError(f"{path} is larger than {bytes_text(FILE_BYTES)}", hint, "tools_too_large")
    if deeper_than(data, SCHEMA_DEPTH + AROUND_SCHEMA):
        raise _large_schema(path)
    try:
        items = msgspec.json.decode(data, type=list[dict[str, Any]])
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise DataError(f"{path} is no JSON list of tools: {error}", FORM_HINT, "tools_unknown") from error
    if not items:
        raise DataError(f"There is no tool in {path}", FORM_HINT, "tools_unknown")
    if len(items) > TOOLS:
        raise DataError(f"There are more than {TOOLS} tools in {path}", "Leave some out.", "tools_too_large")
    return tuple(_tool(item, place, path) for place, item in enumerate(items, 1))


def _tool(item: dict[str, Any], place: int, path: Path) -> Tool:
    try:
        tool = msgspec.convert(item if "function" in item else {"function": item}, Tool)
    except msgspec.ValidationError as error:
        raise DataError(f"Tool {place} in {path} is none: {error}", FORM_HINT, "tools_unknown") from error
    if is_large(tool.function.parameters or {}):
        raise _large_schema(path)
    return tool


def _large_schema(path: Path) -> DataError:
    return DataError(f"{LARGE_SCHEMA}, in {path}", "Make it simpler.", "tools_too_large")
