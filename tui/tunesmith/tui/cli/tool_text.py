"""Tools and calls of them as lines on a terminal, and the question for what a tool gave back."""

from __future__ import annotations

from collections.abc import Sequence

from tunesmith.daemon.api.tools import Tool, ToolCall
from tunesmith.tui.plain import one_line


def call_text(call: ToolCall) -> str:
    """Whole, however long: who answers for the tool needs all of its arguments."""
    return one_line(f"calls {call.function.name}({call.function.arguments})")


def result_prompt(calls: Sequence[ToolCall], place: int) -> str:
    """For the call number `place` of those in one answer."""
    which = f" ({place + 1} of {len(calls)})" if len(calls) > 1 else ""
    return f"{one_line(calls[place].function.name)} returned{which}> "


def tools_text(tools: Sequence[Tool]) -> str:
    """Name, parameters and description of each, a line each."""
    if not tools:
        return "no tools; `--tools FILE` gives some when the chat begins"
    return "\n".join(map(_tool_text, tools))


def _tool_text(tool: Tool) -> str:
    properties = (tool.function.parameters or {}).get("properties")
    taken = ", ".join(properties) if isinstance(properties, dict) else ""
    said = f": {tool.function.description}" if tool.function.description else ""
    return one_line(f"{tool.function.name}({taken}){said}")
