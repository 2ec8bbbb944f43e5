"""Tools and calls of them, and a file of tools as a person has one."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tunesmith.daemon.api.tools import CalledFunction, ToolCall

WEATHER: dict[str, Any] = {
    "name": "weather",
    "description": "Of a city",
    "parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
}
CLOCK: dict[str, Any] = {"type": "function", "function": {"name": "clock"}}


def tools_file(folder: Path, *tools: dict[str, Any]) -> Path:
    path = folder / "tools.json"
    path.write_text(json.dumps(tools), "utf-8")
    return path


def call(name: str, arguments: str, id: str = "call_1") -> ToolCall:
    return ToolCall(id, CalledFunction(name, arguments))
