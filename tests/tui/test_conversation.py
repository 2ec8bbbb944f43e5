"""A conversation with calls of tools: what of it is sent, and which calls wait for their results."""

from __future__ import annotations

import pytest

from tunesmith.daemon.api.requests import ChatMessage
from tunesmith.daemon.api.tools import CalledFunction, ToolCall
from tunesmith.tui.conversation import State, Turn, messages, pending

WEATHER = ToolCall("call_1", CalledFunction("weather", '{"city": "Paris"}'))
CLOCK = ToolCall("call_2", CalledFunction("clock", "{}"))
QUESTION = Turn("user", "How is Paris?")
CALLS = Turn("assistant", "Let me see.", calls=(WEATHER, CLOCK))
SUNNY, NOON = Turn("tool", "sunny", calls=(WEATHER,)), Turn("tool", "noon", calls=(CLOCK,))
ANSWER = Turn("assistant", "Sunny, at noon.")
NEXT = Turn("user", "Thanks")


def test_a_call_its_results_and_the_answer_are_sent_with_the_next_question() -> None:
    assert messages((QUESTION, CALLS, SUNNY, NOON, ANSWER, NEXT), "Be brief") == (
        ChatMessage("system", "Be brief"),
        ChatMessage("user", "How is Paris?"),
        ChatMessage("assistant", "Let me see.", tool_calls=(WEATHER, CLOCK)),
        ChatMessage("tool", "sunny", tool_call_id="call_1"),
        ChatMessage("tool", "noon", tool_call_id="call_2"),
        ChatMessage("assistant", "Sunny, at noon."),
        ChatMessage("user", "Thanks"),
    )


def test_once_all_results_are_there_the_model_is_asked_to_go_on() -> None:
    assert [sent.role for sent in messages((QUESTION, CALLS, SUNNY, NOON), "")] == ["user", "assistant", "tool", "tool"]


@pytest.mark.parametrize(
    "unanswered",
    [
        (QUESTION, CALLS),
        (QUESTION, CALLS, SUNNY),
        (QUESTION, CALLS, SUNNY, Turn("assistant", "", "stopped")),
        (QUESTION, CALLS, SUNNY, NOON, Turn("assistant", "", "failed", "broken off")),
        (QUESTION, Turn("assistant", "Let me", "stopped", calls=(WEATHER,))),
    ],
    ids=["no results", "one result", "taken back", "no answer", "stopped"],
)
def test_a_question_that_came_to_no_answer_is_not_sent_again_with_its_calls(unanswered: tuple[Turn, ...]) -> None:
    assert [sent.content for sent in messages((*unanswered, NEXT), "")] == ["Thanks"]


def test_calls_wait_for_their_results_in_their_order() -> None:
    assert pending((QUESTION, CALLS)) == (WEATHER, CLOCK)
    assert pending((QUESTION, CALLS, SUNNY)) == (CLOCK,)
    assert pending((QUESTION, CALLS, SUNNY, NOON)) == ()
    assert pending((QUESTION, CALLS, SUNNY, NOON, ANSWER)) == ()


@pytest.mark.parametrize("state", ["streaming", "stopped", "failed"])
def test_calls_of_an_answer_that_did_not_come_to_its_end_wait_for_nothing(state: State) -> None:
    assert pending((QUESTION, Turn("assistant", "", state, calls=(WEATHER,)))) == ()


def test_where_nothing_was_said_nothing_is_sent_and_nothing_waits() -> None:
    assert messages((), "") == () and pending(()) == () and pending((SUNNY,)) == ()
