"""Tools and calls of them as text, for commands and screens alike: harmless, and calls whole, however long."""

from __future__ import annotations

import json
import re

import msgspec

from tunesmith.daemon.api.tools import Tool, ToolCall
from tunesmith.tui.plain import for_json, one_line, plain

ON_A_LINE = 60  # characters of a call: a longer one is read with an argument a line
_STRING = re.compile(r'"(?:[^"\\]|\\.)*"')


def called(call: ToolCall) -> str:
    """Name and arguments on one line: who answers for the tool needs all of them."""
    return one_line(f"{call.function.name}({arguments(call)})")


def called_in_lines(call: ToolCall) -> str:
    """As `called`, with an argument a line where it is long."""
    line, given = called(call), arguments(call)
    if len(line) <= ON_A_LINE:
        return line
    try:
        return plain(f"{one_line(call.function.name)}({msgspec.json.format(given, indent=2)})")
    except (msgspec.MsgspecError, RecursionError):
        return line


def arguments(call: ToolCall) -> str:
    """JSON with letters of every script as themselves (models write escapes); what is no JSON as it came."""
    text = call.function.arguments
    try:
        msgspec.json.decode(text)
    except (msgspec.MsgspecError, RecursionError):
        return text
    return for_json(_STRING.sub(lambda found: json.dumps(json.loads(found[0]), ensure_ascii=False), text))


def described(tool: Tool) -> str:
    """Name, parameters and description on one line."""
    properties = (tool.function.parameters or {}).get("properties")
    taken = ", ".join(properties) if isinstance(properties, dict) else ""
    said = f": {tool.function.description}" if tool.function.description else ""
    return one_line(f"{tool.function.name}({taken}){said}")
