"""Tools in the chat of a run: offered to the engine as /v1/chat/completions offers them, bounded by the same code."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest
from daemon_process import DaemonProcess

from tunesmith.daemon.api.requests import Chat, ChatCalled, ChatDelta, ChatDone, ChatEvent, ChatMessage
from tunesmith.daemon.api.tools import SCHEMA_BYTES, TOOLS, CalledFunction, Function, Tool, ToolCall
from tunesmith.daemon.server import chat
from tunesmith.daemon.server.openai import asked
from tunesmith.daemon.server.openai import chat as completions
from tunesmith.daemon.serving.lines import Generate
from tunesmith.daemon.serving.subjects import Subject
from tunesmith.recipes.errors import TunesmithError

WEATHER = Tool(Function("weather", "Of a city", {"type": "object", "properties": {"city": {"type": "string"}}}))
CALL = ToolCall("call_1", CalledFunction("weather", '{"city": "Paris"}'))
QUESTION = ChatMessage("user", "How is the weather?")
RESULT = ChatMessage("tool", "it is sunny", tool_call_id="call_1")
SUBJECT = Subject(name="x", path=Path("x.gguf"), log=Path("log"))


async def with_gguf(daemon: DaemonProcess) -> Path:
    """The folder of a finished job that has a GGUF."""
    view = await daemon.submit("steps=1")
    await daemon.until(view.id, "finished")
    folder = daemon.home.job(view.id) / "artifacts"
    folder.mkdir()
    (folder / "model-q8_0.gguf").write_bytes(b"GGUF")
    return folder


async def answer(daemon: DaemonProcess, request: Chat) -> list[ChatEvent]:
    return [event async for event in daemon.client.chat(1, request)]


def generated(request: Chat) -> Generate:
    found = chat.question(request, SUBJECT)(1)
    assert isinstance(found, Generate)
    return found


def test_the_engine_is_asked_what_the_endpoint_asks_it() -> None:
    own = generated(Chat((QUESTION, ChatMessage("assistant", "", tool_calls=(CALL,)), RESULT), tools=(WEATHER,)))
    body: dict[str, Any] = {
        "model": "x",
        "messages": [
            {"role": "user", "content": QUESTION.content},
            {"role": "assistant", "content": None, "tool_calls": [msgspec.to_builtins(CALL)]},
            {"role": "tool", "content": RESULT.content, "tool_call_id": "call_1"},
        ],
        "tools": [msgspec.to_builtins(WEATHER)],
    }
    (question,) = completions.questions(msgspec.convert(body, asked.ChatCompletion), SUBJECT)
    theirs = question(1)
    assert isinstance(theirs, Generate)
    assert own.messages == theirs.messages and own.tools == theirs.tools and own.tool_choice == theirs.tool_choice


def test_a_chat_without_tools_is_sent_as_ever() -> None:
    assert msgspec.to_builtins(Chat((QUESTION,))) == {"messages": ({"role": "user", "content": QUESTION.content},)}
    assert generated(Chat((QUESTION,))).tools == ()


async def test_a_call_is_an_event_and_its_result_is_heard(daemon: DaemonProcess) -> None:
    await with_gguf(daemon)
    called, done = await answer(daemon, Chat((QUESTION,), tools=(WEATHER,)))
    assert isinstance(called, ChatCalled) and called.call.function == CalledFunction("weather", '{"toy": 1}')
    assert isinstance(done, ChatDone) and done.finish_reason == "tool_calls"
    said = ChatMessage("assistant", "", tool_calls=(called.call,))
    result = ChatMessage("tool", "it is sunny", tool_call_id=called.call.id)
    events = await answer(daemon, Chat((QUESTION, said, result)))
    assert events[:-1] == [ChatDelta("it"), ChatDelta("is"), ChatDelta("sunny")]


LARGE = Tool(Function("large", parameters={"description": "x" * SCHEMA_BYTES}))


@pytest.mark.parametrize(
    ("request_", "code"),
    [
        (Chat((QUESTION,), tools=(WEATHER,) * (TOOLS + 1)), "bad_request"),
        (Chat((QUESTION,), tools=(Tool(Function("two words")),)), "bad_request"),
        (Chat((QUESTION,), tools=(WEATHER, LARGE)), "schema"),
        (Chat((QUESTION, ChatMessage("assistant", "", tool_calls=(CALL,) * 65))), "bad_request"),
        (Chat((QUESTION, ChatMessage("tool", "x", tool_call_id="x" * 101))), "bad_request"),
        (Chat((ChatMessage("function", "x"),)), "bad_request"),
    ],
)
async def test_what_is_out_of_bounds_is_refused_before_a_model_is_loaded(
    daemon: DaemonProcess, request_: Chat, code: str
) -> None:
    folder = await with_gguf(daemon)
    with pytest.raises(TunesmithError) as caught:
        await answer(daemon, request_)
    assert caught.value.code == code and not (folder / "engine-pids.txt").exists()
