"""Tools in the chat screen: picked, taken away, called by the models, and what they gave back typed by a person."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
from histories import finished
from live import Alone, FakeClient
from opened_chat import open_chat
from patience import notices, until
from textual.events import Paste
from textual.pilot import Pilot
from textual.widgets import Static
from tools import CLOCK, WEATHER, call, tools_file

from tunesmith.daemon.api.home import Home
from tunesmith.daemon.api.requests import Chat, ChatEvent, ChatFailed, ChatMessage
from tunesmith.daemon.api.tools import ToolCall
from tunesmith.tui import texts
from tunesmith.tui.saved_chats import listed
from tunesmith.tui.screens.chat import ChatScreen
from tunesmith.tui.screens.pick import PickScreen
from tunesmith.tui.widgets.following import Following
from tunesmith.tui.widgets.question_line import QuestionLine
from tunesmith.tui.widgets.tools_line import ToolsLine

Snap = Callable[..., bool]
PARIS, NOON = call("weather", '{"city": "Paris"}'), call("clock", "{}", id="call_2")


def fake(tuned: tuple[ToolCall, ...] = (), base: tuple[ToolCall, ...] = ()) -> FakeClient:
    client = FakeClient(identity=finished())
    client.calls = {False: tuned, True: base}
    return client


async def say(pilot: Pilot[None], text: str) -> None:
    """A question, a command or a result; then until what it began is done."""
    line(pilot).value = text
    await pilot.press("enter")
    await settle(pilot)


async def press(pilot: Pilot[None], *keys: str) -> None:
    await pilot.press(*keys)
    await settle(pilot)


async def settle(pilot: Pilot[None]) -> None:
    await pilot.app.workers.wait_for_complete()
    await pilot.pause(0.05)


def line(pilot: Pilot[None]) -> QuestionLine:
    return pilot.app.screen.query_one(QuestionLine)


def shown(screen: ChatScreen) -> str:
    tools = screen.query_one(ToolsLine)
    return "".join(str(part.render()) for part in tools.query(Static)) if tools.display else ""


def said(screen: ChatScreen, pane: int = 0) -> list[str]:
    return [str(turn.render()) for turn in screen.panes[pane].query(".turn").results(Static)]


def sent(client: FakeClient, chat: int = -1) -> list[tuple[str, str]]:
    return [(message.role, message.content) for message in client.chats[chat].messages]


@pytest.mark.parametrize("size", [(90, 26), (80, 24), (40, 12)])
def test_calls_of_both_models_and_the_result_asked_for_look_right(
    snap_compare: Snap, tmp_path: Path, size: tuple[int, int]
) -> None:
    async def talk(pilot: Pilot[None]) -> None:
        wordy = call("weather", '{"city": "Paris", "days": 3, "units": "celsius", "why": "a picnic by the river"}')
        await open_chat(pilot, fake((PARIS, NOON), (wordy,)))
        await say(pilot, f"/tools {tools_file(tmp_path, WEATHER, CLOCK)}")
        await press(pilot, "f3")
        await say(pilot, "How is Paris?")
        await say(pilot, '{"celsius": 18}')

    assert snap_compare(Alone(Static()), terminal_size=size, run_before=talk)


async def test_a_call_is_shown_its_result_typed_and_the_model_goes_on(tmp_path: Path) -> None:
    client = fake((PARIS,))
    async with Alone(Static()).run_test() as pilot:
        screen = await open_chat(pilot, client)
        await say(pilot, f"/tools {tools_file(tmp_path, WEATHER)}")
        await say(pilot, "/system Be brief")
        await say(pilot, "How is Paris?")
        assert [tool.function.name for tool in client.chats[0].tools] == ["weather"]
        assert said(screen)[1].startswith('Tuned\nƒ weather({"city": "Paris"})\n')
        assert line(pilot).border_title == "weather of Tuned returned"
        assert line(pilot).placeholder == texts.t("chat.result_placeholder")
        await say(pilot, "/sunny, 18 degrees")
        assert client.chats[1].messages == (
            ChatMessage("system", "Be brief"), ChatMessage("user", "How is Paris?"),
            ChatMessage("assistant", "", tool_calls=(PARIS,)),
            ChatMessage("tool", "/sunny, 18 degrees", tool_call_id="call_1"),
        )  # fmt: skip
        assert client.chats[1].tools == client.chats[0].tools
        assert said(screen)[2] == "weather returned\n/sunny, 18 degrees"
        assert said(screen)[3].startswith("Tuned\nI am Vesper")
        assert line(pilot).wanted is None and not line(pilot).border_title
        client.calls = {}
        await say(pilot, "Thanks")
        assert [role for role, _ in sent(client)] == ["system", "user", "assistant", "tool", "assistant", "user"]


async def test_several_calls_are_answered_in_turn(tmp_path: Path) -> None:
    client = fake((PARIS, NOON))
    async with Alone(Static()).run_test() as pilot:
        await open_chat(pilot, client)
        await say(pilot, f"/tools {tools_file(tmp_path, WEATHER, CLOCK)}")
        await say(pilot, "How is Paris?")
        assert line(pilot).border_title == "weather of Tuned returned · 1 of 2"
        await say(pilot, "sunny")
        assert line(pilot).border_title == "clock of Tuned returned · 2 of 2" and len(client.chats) == 1
        await say(pilot, "  ")
        assert notices(pilot) == [texts.t("chat.result_needed")] and len(client.chats) == 1
        await say(pilot, "noon")
        assert sent(client)[2:] == [("tool", "sunny"), ("tool", "noon")]


async def test_each_result_goes_to_the_model_that_called_and_the_same_call_is_offered_the_same(tmp_path: Path) -> None:
    client = fake((PARIS,), (NOON, call("weather", '{"city": "Paris"}', id="call_9")))
    async with Alone(Static()).run_test() as pilot:
        screen = await open_chat(pilot, client)
        await say(pilot, f"/tools {tools_file(tmp_path, WEATHER, CLOCK)}")
        await press(pilot, "f3")
        await say(pilot, "How is Paris?")
        await say(pilot, "sunny")
        assert sent(client)[-1] == ("tool", "sunny") and not client.chats[-1].base
        assert line(pilot).border_title == "clock of Base returned · 1 of 2" and line(pilot).value == ""
        await say(pilot, "noon")
        assert line(pilot).border_title == "weather of Base returned · 2 of 2" and line(pilot).value == "sunny"
        await press(pilot, "enter")
        assert client.chats[-1].base and sent(client)[2:] == [("tool", "noon"), ("tool", "sunny")]
        assert [turn.role for turn in screen.panes[0].turns] == ["user", "assistant", "tool", "assistant"]


async def test_the_one_that_is_asked_for_stays_and_what_was_typed_comes_back(tmp_path: Path) -> None:
    client = fake((PARIS,), (NOON,))
    async with Alone(Static()).run_test() as pilot:
        await open_chat(pilot, client, base=True)
        await say(pilot, f"/tools {tools_file(tmp_path, WEATHER, CLOCK)}")
        await say(pilot, "How is Paris?")
        await press(pilot, "n", "o")
        await press(pilot, "f2")
        assert line(pilot).wanted is None and line(pilot).value == "", "the tuned model was asked nothing yet"
        await say(pilot, "How is Paris?")
        assert line(pilot).border_title == "weather of Tuned returned"
        await press(pilot, "f2")
        assert line(pilot).border_title == "clock of Base returned" and line(pilot).value == "no"
        await press(pilot, "f3")
        assert line(pilot).border_title == "clock of Base returned" and line(pilot).value == "no"


async def test_escape_takes_the_question_back_and_it_can_be_asked_otherwise(tmp_path: Path) -> None:
    client = fake((PARIS, NOON))
    async with Alone(Static()).run_test() as pilot:
        screen = await open_chat(pilot, client)
        await say(pilot, f"/tools {tools_file(tmp_path, WEATHER, CLOCK)}")
        await say(pilot, "How is Paris?")
        await say(pilot, "sunny")
        await press(pilot, "escape")
        assert pilot.app.screen is screen and line(pilot).wanted is None
        assert line(pilot).value == "How is Paris?" and texts.t("chat.taken_back") in said(screen)[-1]
        client.calls = {}
        await say(pilot, "How is Rome?")
        assert sent(client) == [("user", "How is Rome?")]
        await press(pilot, "escape")
        assert pilot.app.screen is not screen


async def test_tools_are_picked_by_the_key_among_json_files_and_taken_away_by_key_and_mouse(tmp_path: Path) -> None:
    client = fake((PARIS,))
    file = tools_file(tmp_path, WEATHER, CLOCK)
    file.with_name("notes.txt").write_text("no tools", "utf-8")
    async with Alone(Static()).run_test(size=(80, 24)) as pilot:
        screen = await open_chat(pilot, client)
        screen.files.folder = tmp_path
        await pilot.press("f10")
        await until(pilot, lambda: isinstance(pilot.app.screen, PickScreen))
        await pilot.pause(0.1)
        await press(pilot, "down", "enter")
        assert shown(screen) == "ƒ 2 tools: weather, clock  ✕ f10 takes them away"
        assert pilot.app.focused is line(pilot)
        await press(pilot, "f10")
        assert shown(screen) == "" and screen.tools == ()
        await say(pilot, "How is Paris?")
        assert client.chats[0].tools == ()
        await say(pilot, f"/tools {file}")
        await pilot.click(ToolsLine)
        await settle(pilot)
        assert screen.tools == () and pilot.app.focused is line(pilot)


async def test_the_letter_is_a_key_where_nobody_types(tmp_path: Path) -> None:
    async with Alone(Static()).run_test() as pilot:
        screen = await open_chat(pilot, fake())
        await press(pilot, "t")
        assert line(pilot).value == "t" and pilot.app.screen is screen
        screen.panes[0].query_one(Following).focus()
        await pilot.press("t")
        await until(pilot, lambda: isinstance(pilot.app.screen, PickScreen))


async def test_the_command_alone_says_what_the_models_may_call(tmp_path: Path) -> None:
    async with Alone(Static()).run_test() as pilot:
        await open_chat(pilot, fake())
        await say(pilot, f"/tools {tools_file(tmp_path, WEATHER, CLOCK)}")
        await say(pilot, "/tools")
        assert notices(pilot) == ["weather(city): Of a city\nclock()"]


async def test_a_file_that_is_no_good_is_refused_with_what_to_do_and_the_chat_goes_on(tmp_path: Path) -> None:
    client = fake()
    bad = tools_file(tmp_path, {"name": "two words"})
    async with Alone(Static()).run_test() as pilot:
        screen = await open_chat(pilot, client)
        await say(pilot, f"/tools {bad}")
        await say(pilot, f"/tools {bad.with_name('gone.json')}")
        bad.write_text('[{"name": "half", "description": "\\ud83d"}]', "utf-8")
        await say(pilot, f"/tools {bad}")
        first, second, third = notices(pilot)
        assert "Tool 1 in" in first and "or the function alone" in first
        assert "cannot be read" in second and "Look at its path." in second
        assert "is no JSON list of tools" in third
        assert screen.tools == () and shown(screen) == ""
        await say(pilot, "Hello")
        assert len(screen.panes[0].turns) == 2


async def test_what_the_server_refuses_is_said_in_the_pane_and_the_next_question_is_asked_anew(tmp_path: Path) -> None:
    class Full(FakeClient):
        async def chat(self, job_id: int, request: Chat) -> AsyncIterator[ChatEvent]:
            if request.messages[-1].role == "tool":
                yield ChatFailed("context_full", "The conversation has 5000 tokens", "Begin a new conversation.")
                return
            async for event in super().chat(job_id, request):
                yield event

    client = Full(identity=finished())
    client.calls = {False: (PARIS,)}
    async with Alone(Static()).run_test() as pilot:
        screen = await open_chat(pilot, client)
        await say(pilot, f"/tools {tools_file(tmp_path, WEATHER)}")
        await say(pilot, "How is Paris?")
        await say(pilot, "sunny " * 1000)
        assert "✗ The conversation has 5000 tokens\nBegin a new conversation." in said(screen)[-1]
        client.calls = {}
        await say(pilot, "Hello")
        assert sent(client) == [("user", "Hello")]


async def test_stopping_behind_a_call_waits_for_no_result(tmp_path: Path) -> None:
    client = fake((PARIS,))
    client.hold_answer.clear()
    async with Alone(Static()).run_test() as pilot:
        screen = await open_chat(pilot, client)
        await say(pilot, f"/tools {tools_file(tmp_path, WEATHER)}")
        line(pilot).value = "How is Paris?"
        await pilot.press("enter")
        await until(pilot, lambda: screen.panes[0].turns and screen.panes[0].turns[-1].calls)
        assert line(pilot).wanted is None
        await press(pilot, "escape")
        assert screen.panes[0].turns[-1].state == "stopped" and line(pilot).wanted is None


async def test_a_saved_chat_goes_on_with_its_tools_where_a_result_was_asked_for(tmp_path: Path) -> None:
    client = fake((PARIS,))
    async with Alone(Static()).run_test() as pilot:
        screen = await open_chat(pilot, client)
        await say(pilot, f"/tools {tools_file(tmp_path, WEATHER)}")
        await say(pilot, "How is Paris?")
        turns = screen.panes[0].turns
        await press(pilot, "f5")
        await press(pilot, "f10")
        (found,) = listed(Home.find(), 1).chats
        assert found.chat.tuned == turns
        await pilot.press("ctrl+o")
        await until(pilot, lambda: getattr(pilot.app.screen, "found", None) is not None)
        await press(pilot, "enter")
        assert shown(screen).startswith("ƒ 1 tool: weather")
        assert line(pilot).border_title == "weather of Tuned returned"
        await say(pilot, "sunny")
        assert sent(client)[-1] == ("tool", "sunny") and client.chats[-1].tools == client.chats[0].tools


async def change_language(pilot: Pilot[None], language: str) -> None:
    texts.use(language)
    await pilot.app.screen.recompose()
    await settle(pilot)


async def test_a_change_of_language_keeps_the_tools_the_result_asked_for_and_what_is_typed(tmp_path: Path) -> None:
    async with Alone(Static()).run_test() as pilot:
        screen = await open_chat(pilot, fake((PARIS,)))
        await say(pilot, f"/tools {tools_file(tmp_path, WEATHER)}")
        await press(pilot, "n", "e", "w")
        await change_language(pilot, "zh")
        assert "1 个工具" in shown(screen) and line(pilot).value == "new"
        await say(pilot, "How is Paris?")
        await press(pilot, "s", "u", "n")
        await change_language(pilot, "en")
        assert line(pilot).border_title == "weather of Tuned returned" and line(pilot).value == "sun"


async def test_a_result_of_many_lines_is_pasted_whole() -> None:
    async with Alone(Static()).run_test() as pilot:
        await open_chat(pilot, fake())
        line(pilot).post_message(Paste('{\n  "celsius": 18\r\n}'))
        await pilot.pause()
        assert json.loads(line(pilot).value) == {"celsius": 18}


@pytest.mark.parametrize("name", ["[@click=app.quit]x[/]", "\x1b]0;title\x07x\ny"])
async def test_a_call_may_be_of_anything(tmp_path: Path, name: str) -> None:
    async with Alone(Static()).run_test() as pilot:
        screen = await open_chat(pilot, fake((call(name, "[/foo] \x1b[2J"),)))
        await say(pilot, f"/tools {tools_file(tmp_path, WEATHER)}")
        await say(pilot, "How is Paris?")
        title: Any = line(pilot)._border_title
        assert "x" in title.plain and "\x1b" not in title.plain + "".join(said(screen))
        await say(pilot, "[red]\x1b[31msunny")
        assert "x" in said(screen)[2] and "[red]sunny" in said(screen)[2]
