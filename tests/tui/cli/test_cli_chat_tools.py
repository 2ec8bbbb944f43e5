"""`tunesmith chat --tools FILE`: what the model calls is shown, a person types what the tool gave back."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.usefixtures("fake_daemon")

WEATHER = {
    "name": "weather",
    "description": "The weather of a city",
    "parameters": {"type": "object", "properties": {"city": {"type": "string"}, "day": {"type": "string"}}},
}
CLOCK = {"type": "function", "function": {"name": "clock"}}


@pytest.fixture(autouse=True)
def finished_run(tunesmith: Any, recipe: Callable[[str], str], fake_daemon: Any) -> None:
    assert tunesmith("run", recipe("good"), "--wait").code == 0


@pytest.fixture
def tools(tmp_path: Path) -> Callable[..., str]:
    """`tools(WEATHER, CLOCK)` is the path of a file with these."""

    def write(*tools: dict[str, Any]) -> str:
        path = tmp_path / "tools.json"
        path.write_text(json.dumps(tools), "utf-8")
        return str(path)

    return write


def talk(tunesmith: Any, file: str, *lines: str) -> Any:
    return tunesmith("chat", "1", "--tools", file, text="".join(f"{line}\n" for line in lines))


def test_with_one_message_the_call_is_shown_and_it_ends(tunesmith: Any, tools: Callable[..., str]) -> None:
    asked = tunesmith("chat", "1", "--tools", tools(WEATHER), "--message", "call softly")
    assert asked.code == 0 and asked.out == 'Let me see.\ncalls weather({"about":"call softly"})\n'
    asked = tunesmith("chat", "1", "--tools", tools(WEATHER, CLOCK), "--message", "call both", "--json").json
    assert asked["answer"] == "" and asked["finish_reason"] == "tool_calls"
    first, second = asked["tool_calls"]
    assert first == {
        "id": "call_0", "type": "function", "function": {"name": "weather", "arguments": '{"about":"call both"}'},
    }  # fmt: skip
    assert second["function"]["name"] == "clock"


def test_the_typed_result_goes_back_and_the_model_goes_on(tunesmith: Any, tools: Callable[..., str]) -> None:
    lines = ("/tools", "call it", "sunny", "thanks", "call again")  # the input ends where a result is asked for
    talked = talk(tunesmith, tools(WEATHER), *lines)
    assert talked.code == 0
    assert talked.out.splitlines() == [
        'calls weather({"about":"call it"})', "tuned heard 3: sunny", "tuned heard 5: thanks",
        'calls weather({"about":"call again"})',
    ]  # fmt: skip
    assert talked.err.startswith("weather(city, day): The weather of a city\n")
    assert "Type what the tool gave back" in talked.err


def test_several_calls_are_answered_in_turn_and_an_empty_line_takes_the_question_back(
    tunesmith: Any, tools: Callable[..., str]
) -> None:
    lines = ("call both", "sunny", "", "call both", "", "call both", "sunny", "noon", "thanks")
    said = talk(tunesmith, tools(WEATHER, CLOCK), *lines).out.splitlines()
    assert [line for line in said if not line.startswith("calls")] == ["tuned heard 4: noon", "tuned heard 6: thanks"]


def test_a_file_that_cannot_be_used_is_refused_with_what_to_do(tunesmith: Any, tools: Callable[..., str]) -> None:
    refused = tunesmith("chat", "1", "--tools", tools({"name": "no name"}), "--message", "hello", "--json")
    assert refused.code == 1 and refused.json["error"]["code"] == "tools_unknown"
    assert "Tool 1 in" in refused.json["error"]["message"] and "or the function alone" in refused.json["error"]["hint"]
