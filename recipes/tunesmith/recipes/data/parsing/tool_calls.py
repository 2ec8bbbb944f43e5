"""Tool descriptions and tool calls as chat templates expect them: arguments are objects, not JSON text."""

from __future__ import annotations

import json
from typing import Any

from tunesmith.recipes.data.reasons import BadRow, short


def calls(found: object, place: int) -> list[dict[str, Any]]:
    """`[{"type": "function", "function": {"name", "arguments": {...}}}]`, with `id` where given. Raises BadRow.

    A call may also be a bare `{"name", "arguments"}`, and arguments JSON text (as in OpenAI's files) or missing.
    """
    if not isinstance(found, list) or not found:
        raise BadRow("bad_tool_calls", place=place, why=f"{short(found)} is not a filled list")
    return [call(item, place) for item in found]


def call(found: object, place: int) -> dict[str, Any]:
    """One of `calls`. Raises BadRow."""
    try:
        if not isinstance(found, dict):
            raise ValueError(f"{short(found)} is not an object")
        function = found.get("function") if found.get("function") is not None else found
        if not isinstance(function, dict) or not isinstance(function.get("name"), str) or not function["name"]:
            raise ValueError("a call without a name")
        arguments = function.get("arguments")
        if isinstance(arguments, str):
            arguments = decoded(arguments) if arguments.strip() else {}
        elif arguments is None:
            arguments = {}
        if not isinstance(arguments, dict):
            raise ValueError(f"the arguments of {short(function['name'])} are not an object")
        made = {"type": "function", "function": {"name": function["name"], "arguments": arguments}}
        if found.get("id") is not None:
            if not isinstance(found["id"], str):
                raise ValueError(f"the id {short(found['id'])} is no text")
            made["id"] = found["id"]
        encodable(made)
    except (ValueError, RecursionError) as error:
        raise BadRow("bad_tool_calls", place=place, why=str(error)) from error
    return made


def tools(found: object) -> list[dict[str, Any]] | None:
    """The tools a conversation may call, None when there are none. Raises BadRow.

    `found` is a list or the JSON text of one. A bare `{"name", "parameters", ...}` becomes
    `{"type": "function", "function": ...}`, because that is what a chat template gets when the model is used.
    """
    try:
        if isinstance(found, str):
            found = decoded(found) if found.strip() else None
        if found is None or found == []:
            return None
        if not isinstance(found, list):
            raise ValueError(f"{short(found)} is not a list")
        made = [tool(item) for item in found]
        encodable(made)
    except (ValueError, RecursionError) as error:
        raise BadRow("bad_tools", why=str(error)) from error
    return made


def tool(found: object) -> dict[str, Any]:
    """Raises ValueError."""
    if not isinstance(found, dict):
        raise ValueError(f"{short(found)} is not an object")
    wrapped = isinstance(found.get("function"), dict)
    function = found["function"] if wrapped else found
    if not isinstance(function.get("name"), str) or not function["name"]:
        raise ValueError("a tool without a name")
    return found if wrapped else {"type": "function", "function": found}


def decoded(text: str) -> Any:
    """Raises ValueError in words for a person."""
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        raise ValueError(f"{short(text)} is not valid JSON") from error


def encodable(value: object) -> None:
    """Raises ValueError for half of a surrogate pair and for what JSON cannot say."""
    try:
        json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError as error:
        raise ValueError("half of a surrogate pair") from error
    except TypeError as error:
        raise ValueError(str(error)) from error
