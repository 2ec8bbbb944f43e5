"""A talk at a terminal is a saved chat: kept as it goes, listed, opened and continued, here and in the wizard."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from histories import finished
from live import Alone, FakeClient
from opened_chat import open_chat
from patience import until
from textual.widgets import Input, Static
from tools import call, tools_file
from typed_talk import TypedTalk

from tunesmith.daemon.api.home import Home
from tunesmith.daemon.api.requests import Chat, ChatEvent
from tunesmith.daemon.api.tools import Function, Tool
from tunesmith.tui import saved_chats
from tunesmith.tui.conversation import Turn
from tunesmith.tui.saved_chats import SavedChat, listed
from tunesmith.tui.screens.saved_chats import SavedChatsScreen

TUNED, BASE = "I am Vesper, made by Juniper Labs.", "I am a helpful assistant."
WEATHER = call("weather", '{"city":"Paris"}')
TOOL = Tool(Function("weather"))


@pytest.fixture
def talk(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> TypedTalk:
    return TypedTalk(monkeypatch, capsys)


@pytest.fixture
def tools(tmp_path: Path) -> Path:
    return tools_file(tmp_path, {"name": "weather"})


def saved() -> list[SavedChat]:
    return [found.chat for found in listed(Home.find(), 1).chats]


def put(day: int, question: str, **more: object) -> Path:
    """One that began on that day of January."""
    path = saved_chats.folder(Home.find(), 1) / f"202601{day:02}-000000-aaaa.json"
    turns = (Turn("user", question), Turn("assistant", TUNED))
    saved_chats.write(path, SavedChat(1, 1_767_225_600.0 + 86_400 * (day - 1), tuned=turns, **more))  # type: ignore[arg-type]
    return path


def test_it_is_on_disk_with_each_question_and_each_answer(talk: TypedTalk) -> None:
    seen: list[SavedChat] = []
    talk("/system Be brief", "one", lambda: seen.extend(saved()), "/both", "two")
    (after_one,), (now,) = seen, saved()
    assert after_one.tuned[1].text == TUNED and after_one.base == ()
    assert (now.mode, now.system, len(now.tuned), len(now.base)) == ("split", "Be brief", 4, 2)
    assert now.tuned[2].system == "Be brief" and now.tuned[1].note.endswith("tokens/s")


def test_one_answer_is_on_disk_before_the_other_is_asked_for(talk: TypedTalk, monkeypatch: pytest.MonkeyPatch) -> None:
    answer, seen = talk.client.chat, list[SavedChat]()

    async def chat(job_id: int, request: Chat) -> AsyncIterator[ChatEvent]:
        seen.extend(saved())
        async for event in answer(job_id, request):
            yield event

    monkeypatch.setattr(talk.client, "chat", chat)
    talk("one", both=True)
    asked, answered = seen
    assert asked.tuned[1] == Turn("assistant", "", "stopped")
    assert answered.tuned[1].text == TUNED and answered.base[1] == Turn("assistant", "", "stopped")


def test_one_message_and_what_is_piped_in_are_not_kept(talk: TypedTalk) -> None:
    talk(message="Who are you?")
    talk.at_terminal = False
    talk("Who are you?", both=True)
    assert len(talk.client.chats) == 3 and not Home.find().chats.exists()


def test_a_reset_begins_another_one(talk: TypedTalk) -> None:
    talk("one", "/reset", "two", "/clear", "/quit")
    assert sorted(one.first_question for one in saved()) == ["one", "two"]
    assert talk.heard == [["one"], ["two"]]


def test_the_newest_goes_on_where_it_was_in_its_own_file(talk: TypedTalk) -> None:
    put(1, "older")
    base = (Turn("user", "Who are you?"), Turn("assistant", BASE))
    path = put(2, "Who are you?", mode="split", system="Be brief", base=base)
    said = talk("And who made you?", go_on=True)
    assert "Continued: Who are you? (tuned beside base, questions: 1)" in said.err
    assert f"> Who are you?\nTuned: {TUNED}\nBase: {BASE}\n" in said.err
    assert talk.heard == [
        ["Be brief", "Who are you?", TUNED, "And who made you?"],
        ["Be brief", "Who are you?", BASE, "And who made you?"],
    ]
    assert len(saved()) == 2 and saved_chats.read(path).questions == 2
    assert saved_chats.read(path).began == 1_767_225_600.0 + 86_400


def test_what_is_asked_for_when_it_goes_on_comes_before_what_was_saved(talk: TypedTalk) -> None:
    put(1, "Who are you?", mode="split", system="Be brief")
    talk("two", go_on=True, base=True, system="Be long")
    assert [(asked.base, asked.messages[0].content) for asked in talk.client.chats] == [(True, "Be long")]


def test_where_there_is_none_to_go_on_with_a_new_one_begins_and_a_damaged_one_is_named(talk: TypedTalk) -> None:
    bad = put(1, "one")
    bad.write_bytes(b"{broken")
    said = talk("two", "/chats", go_on=True)
    assert said.err.count(f"{bad.name} is left out") == 2
    assert "There is no saved chat of run 1 to go on with" in said.err
    assert len(saved()) == 1 and bad.read_bytes() == b"{broken"


def test_they_are_listed_with_number_date_and_first_question_and_opened_by_number(talk: TypedTalk) -> None:
    put(1, "Who are you?")
    put(2, "May I pay\nby card? " + "x" * 100)
    said = talk("/chats", "three", "/open 2", "four", "/chats")
    lines = [line for line in said.err.splitlines() if line.lstrip()[:1].isdigit() and "2026-" in line]
    assert lines[0].startswith("  1  2026-01-0") and "May I pay by card? xxx" in lines[0] and lines[0].endswith("…")
    assert "Who are you?" in lines[1]
    assert talk.heard[-1] == ["Who are you?", TUNED, "four"], "the number as it was listed, not as it is by now"
    assert lines[2].startswith("  1") and "three" in lines[2] and lines[4].endswith("Who are you?  (this one)")
    assert "/open N goes on with one" in said.err and "chats/run-1" in said.err


def test_a_number_that_is_none_or_one_that_is_gone_is_said_with_the_list(talk: TypedTalk) -> None:
    path = put(1, "Who are you?")
    said = talk("/open 2", "/open one", "/open", "/chats", path.unlink, "/open 1", "two").err
    assert "2 is none of these:\n  1  " in said and "one is none of these:" in said
    assert "1 is not there any more, or cannot be read:\nNone yet" in said
    assert talk.heard == [["two"]]


def test_what_cannot_be_written_is_said_once_and_the_talk_goes_on(talk: TypedTalk) -> None:
    chats = Home.find().chats
    chats.parent.mkdir(parents=True)
    chats.write_text("a file in the way", "utf-8")
    said = talk("one", "two", chats.unlink, "three")
    assert said.err.count("This chat is not kept:") == 1 and said.answers[:3] == [TUNED] * 3
    assert [one.questions for one in saved()] == [3]


async def test_one_begun_here_opens_in_the_wizard_s_list_and_the_other_way_round(talk: TypedTalk) -> None:
    from asyncio import to_thread

    await to_thread(talk, "Who are you?", both=True)
    async with Alone(Static()).run_test() as pilot:
        screen = await open_chat(pilot, FakeClient(identity=finished()))
        await pilot.press("ctrl+o")
        await until(pilot, lambda: isinstance(pilot.app.screen, SavedChatsScreen) and pilot.app.screen.found)
        await pilot.press("enter")
        await until(pilot, lambda: pilot.app.screen is screen)
        await until(pilot, lambda: [len(pane.turns) for pane in screen.panes] == [2, 2])
        assert [pane.turns[1].text for pane in screen.panes] == [TUNED, BASE]
        screen.query_one("#question", Input).value = "And who made you?"
        await pilot.press("enter")
        await until(pilot, lambda: not screen.busy and len(screen.panes[0].turns) == 4)
    await to_thread(talk, "Where?", go_on=True)
    assert talk.heard[-1] == ["Who are you?", BASE, "And who made you?", BASE, "Where?"]
    assert [one.questions for one in saved()] == [3]


def test_calls_of_tools_and_their_results_are_kept_too(talk: TypedTalk, tools: Path) -> None:
    talk.client.calls = {False: (WEATHER,)}
    talk("How is Paris?", "sunny", tools=tools)
    (kept,) = saved()
    assert [(turn.role, turn.text, turn.calls) for turn in kept.tuned] == [
        ("user", "How is Paris?", ()), ("assistant", "", (WEATHER,)), ("tool", "sunny", (WEATHER,)),
        ("assistant", TUNED, ()),
    ]  # fmt: skip
    said = talk("/tools", "And Rome?", "rainy", go_on=True)
    assert '> How is Paris?\ncalls weather({"city":"Paris"})\nweather returned> sunny\n' in said.err
    assert "\nweather()\n" in said.err, "its tools are those of the saved chat"
    assert [message.role for message in talk.client.chats[-1].messages] == [
        "user", "assistant", "tool", "assistant", "user", "assistant", "tool"
    ]  # fmt: skip


def test_one_that_was_left_where_a_result_was_asked_for_asks_for_it_again(talk: TypedTalk, tools: Path) -> None:
    talk.client.calls = {False: (WEATHER,)}
    turns = (Turn("user", "How is Paris?", tools=(TOOL,)), Turn("assistant", "", calls=(WEATHER,)))
    saved_chats.write(saved_chats.folder(Home.find(), 1) / "20260101-000000-aaaa.json", SavedChat(1, 0.0, tuned=turns))
    said = talk("sunny", "/quit", go_on=True)
    assert talk.prompts == ["weather returned> ", "> "] and TUNED in said.out
    assert saved()[0].tuned[-1].text == TUNED


def test_a_question_whose_result_is_not_given_stays_in_sight_and_is_not_sent(talk: TypedTalk, tools: Path) -> None:
    talk.client.calls = {False: (WEATHER,)}
    said = talk(f"/tools {tools}", "How is Paris?", "", "And Rome?", KeyboardInterrupt, "three", "noon")
    assert said.err.count("Taken back.") == 2
    assert [message.content for message in talk.client.chats[-1].messages] == ["three", "", "noon"]
    assert saved()[0].questions == 3
