"""Tools and calls as lines: whole, one line each, and nothing in them acts on a terminal."""

from __future__ import annotations

from tunesmith.daemon.api.tools import CalledFunction, Function, Tool, ToolCall
from tunesmith.tui.cli.tool_text import call_text, result_prompt, tools_text

HOSTILE = "\x1b]0;owned\x07\x1b[31mred\u202e\r\n\u200bnow"


def call(name: str, arguments: str = "{}") -> ToolCall:
    return ToolCall("call_1", CalledFunction(name, arguments))


def test_a_call_is_one_whole_line() -> None:
    long = '{"text": "' + "word " * 2000 + '"}'
    assert call_text(call("weather", '{"city":\n  "Paris"}')) == 'calls weather({"city": "Paris"})'
    assert len(call_text(call("write", long))) == len(f"calls write({long})")


def test_a_result_is_asked_for_by_name_and_by_number_where_there_are_several() -> None:
    assert result_prompt([call("weather")], 0) == "weather returned> "
    assert result_prompt([call("weather"), call("clock")], 1) == "clock returned (2 of 2)> "


def test_tools_have_their_parameters_and_descriptions() -> None:
    parameters = {"type": "object", "properties": {"city": {}, "day": {}}}
    weather = Tool(Function("weather", "Of a city,\nnow", parameters))
    odd = Tool(Function("odd", parameters={"properties": ["no", "schema"]}))
    assert tools_text([weather, odd]) == "weather(city, day): Of a city, now\nodd()"
    assert "--tools FILE" in tools_text([])


def test_hostile_text_is_harmless() -> None:
    tool = Tool(Function("f", HOSTILE, {"properties": {HOSTILE: {}}}))
    for text in (call_text(call(HOSTILE, HOSTILE)), result_prompt([call(HOSTILE)], 0), tools_text([tool])):
        assert "now" in text and not set("\x1b\x07\r\n\u202e\u200b") & set(text)
