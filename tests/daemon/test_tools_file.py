"""Tools in a file: OpenAI's form or functions alone, bounded as in a request, refused with the next step."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tunesmith.daemon.api import tools
from tunesmith.daemon.api.tools import Function, Tool
from tunesmith.recipes.errors import DataError

PARAMETERS = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}


def nested(levels: int) -> Any:
    found: Any = {}
    for _ in range(levels - 1):
        found = {"properties": found}
    return found


def refusal(path: Path) -> DataError:
    with pytest.raises(DataError) as caught:
        tools.read(path)
    assert caught.value.message and caught.value.hint
    return caught.value


def written(folder: Path, value: Any) -> Path:
    path = folder / "tools.json"
    path.write_text(value if isinstance(value, str) else json.dumps(value), "utf-8")
    return path


def test_both_forms_are_the_same_tools(tmp_path: Path) -> None:
    function = {"name": "weather", "description": "Of a city", "parameters": PARAMETERS}
    found = tools.read(written(tmp_path, [function, {"type": "function", "function": function}]))
    assert found == (Tool(Function("weather", "Of a city", PARAMETERS)),) * 2


def test_as_much_as_a_request_takes_is_read(tmp_path: Path) -> None:
    assert len(tools.read(written(tmp_path, [{"name": f"tool-{at}"} for at in range(tools.TOOLS)]))) == tools.TOOLS
    assert tools.read(written(tmp_path, [{"name": "deep", "parameters": nested(tools.SCHEMA_DEPTH)}]))


@pytest.mark.parametrize(
    ("value", "code"),
    [
        ("", "tools_unknown"),
        ("no JSON", "tools_unknown"),
        ("\udcff".encode("utf-8", "surrogateescape").decode("latin-1"), "tools_unknown"),
        ([], "tools_unknown"),
        ({"name": "weather"}, "tools_unknown"),
        (["weather"], "tools_unknown"),
        ([{"description": "nameless"}], "tools_unknown"),
        ([{"name": "two words"}], "tools_unknown"),
        ([{"name": "weather", "parameters": []}], "tools_unknown"),
        ([{"name": "weather", "colour": "blue"}], "tools_unknown"),
        ([{"type": "other", "function": {"name": "weather"}}], "tools_unknown"),
        ([{"name": f"tool-{at}"} for at in range(tools.TOOLS + 1)], "tools_too_large"),
        ([{"name": "wide", "parameters": {"description": "x" * tools.SCHEMA_BYTES}}], "tools_too_large"),
        ([{"name": "deep", "parameters": nested(tools.SCHEMA_DEPTH + 1)}], "tools_too_large"),
        ("[" * 100_000, "tools_too_large"),
        ([{"name": "large", "description": "x" * tools.FILE_BYTES}], "tools_too_large"),
    ],
)
def test_what_is_no_list_of_tools_or_too_large_is_refused(tmp_path: Path, value: Any, code: str) -> None:
    assert refusal(written(tmp_path, value)).code == code


def test_the_tool_that_is_wrong_is_named(tmp_path: Path) -> None:
    said = refusal(written(tmp_path, [{"name": "weather"}, {"name": "clock", "colour": "blue"}])).message
    assert "Tool 2" in said and "colour" in said


def test_a_path_without_a_file_says_so(tmp_path: Path) -> None:
    for path in (tmp_path / "none.json", tmp_path, Path("/dev/null"), Path("a\0b")):
        assert refusal(path).code == "tools_missing"
