"""Tools and calls as text: whole, readable in every script, and nothing but text."""

from __future__ import annotations

from tunesmith.daemon.api.tools import CalledFunction, Function, Tool, ToolCall
from tunesmith.tui.tool_text import called, called_in_lines, described


def call(arguments: str, name: str = "weather") -> ToolCall:
    return ToolCall("call_1", CalledFunction(name, arguments))


def test_a_call_is_its_name_and_its_arguments() -> None:
    assert called(call('{"city": "Paris", "days": 3}')) == 'weather({"city": "Paris", "days": 3})'


def test_letters_are_read_as_themselves_and_what_steers_or_misleads_stays_an_escape() -> None:
    assert called(call(r'{"city": "\u5317\u4eac"}')) == 'weather({"city": "北京"})'
    assert called(call(r'{"a": "\u202e\u001b[31m\n\"\\"}')) == r'weather({"a": "\u202e\u001b[31m\n\"\\"})'


def test_numbers_and_doubled_names_stay_as_the_model_wrote_them() -> None:
    assert called(call('{"a": 1.50, "a": 1e400}')) == 'weather({"a": 1.50, "a": 1e400})'


def test_what_is_no_json_is_shown_as_it_came() -> None:
    assert called(call("Paris, \x1b[31mplease")) == "weather(Paris, please)"
    assert called(call("[" * 100_000)).count("[") == 100_000


def test_a_long_call_has_an_argument_a_line_and_stays_whole() -> None:
    wordy = '{"city": "' + "x" * 60 + '", "days": 1.0, "at": {"hour": 9}}'
    assert called_in_lines(call(wordy)).splitlines() == [
        "weather({", f'  "city": "{"x" * 60}",', '  "days": 1.0,', '  "at": {', '    "hour": 9', "  }", "})",
    ]  # fmt: skip
    assert called_in_lines(call('{"city": "Paris"}')) == 'weather({"city": "Paris"})'
    assert called_in_lines(call("no json " * 20)).count("no json") == 20


def test_a_tool_is_described_on_a_line() -> None:
    schema = {"type": "object", "properties": {"city": {}, "day": {}}}
    assert described(Tool(Function("weather", "Of a\ncity", schema))) == "weather(city, day): Of a city"
    assert described(Tool(Function("clock"))) == "clock()"
