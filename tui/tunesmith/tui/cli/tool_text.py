"""Tools and calls of them as lines on a terminal, and the question for what a tool gave back."""

from __future__ import annotations

from collections.abc import Sequence

from tunesmith.daemon.api.tools import Tool, ToolCall
from tunesmith.tui.plain import one_line
from tunesmith.tui.texts import t
from tunesmith.tui.tool_text import called, described


def call_text(call: ToolCall) -> str:
    return f"calls {called(call)}"


def result_prompt(calls: Sequence[ToolCall], place: int) -> str:
    """For the call number `place` of those in one answer."""
    which = f" ({place + 1} of {len(calls)})" if len(calls) > 1 else ""
    return f"{one_line(calls[place].function.name)} returned{which}> "


def tools_text(tools: Sequence[Tool]) -> str:
    """Name, parameters and description of each, a line each."""
    if not tools:
        return t("talk.no_tools")
    return "\n".join(map(described, tools))
