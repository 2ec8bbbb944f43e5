"""Chats are saved as they go, listed, continued and removed; damaged files are named, and what is kept has bounds."""

from __future__ import annotations

import asyncio
import json
import stat
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from histories import finished
from live import Alone, FakeClient
from opened_chat import open_chat
from patience import notices
from textual.pilot import Pilot
from textual.widgets import Input, Static

from tunesmith.daemon.api.home import Home
from tunesmith.daemon.api.images import Attached
from tunesmith.daemon.api.tools import CalledFunction, Function, Tool, ToolCall
from tunesmith.recipes.errors import DataError
from tunesmith.tui import saved_chats
from tunesmith.tui.conversation import Turn
from tunesmith.tui.saved_chats import SavedChat, listed
from tunesmith.tui.screens.chat import ChatScreen
from tunesmith.tui.screens.saved_chats import SavedChatsScreen, columns, note
from tunesmith.tui.widgets.confirm import Confirm
from tunesmith.tui.widgets.row_table import RowTable

Snap = Callable[..., bool]
SAID = "I am Vesper, made by Juniper Labs."


def chat(question: str, *, began: float = 1_763_700_000.0, **more: Any) -> SavedChat:
    return SavedChat(1, began, tuned=(Turn("user", question), Turn("assistant", SAID)), **more)


def put(name: str, saved: SavedChat) -> Path:
    path = saved_chats.folder(Home.find(), 1) / f"{name}.json"
    saved_chats.write(path, saved)
    return path


async def ask(pilot: Pilot[None], text: str) -> None:
    pilot.app.screen.query_one("#question", Input).value = text
    await pilot.press("enter")
    await settle(pilot)


async def settle(pilot: Pilot[None]) -> None:
    await pilot.app.workers.wait_for_complete()
    await pilot.pause(0.05)


async def open_window(pilot: Pilot[None]) -> SavedChatsScreen:
    await pilot.press("ctrl+o")
    for _ in range(200):
        await pilot.pause(0.01)
        screen = pilot.app.screen
        if isinstance(screen, SavedChatsScreen) and screen.found is not None:
            await pilot.pause()
            return screen
    raise AssertionError("the window never listed them")


def saved() -> list[SavedChat]:
    return [found.chat for found in listed(Home.find(), 1).chats]


async def test_a_chat_is_on_disk_with_each_question_and_each_answer() -> None:
    fake = FakeClient(identity=finished())
    fake.hold_answer.clear()
    async with Alone(Static()).run_test() as pilot:
        screen = await open_chat(pilot, fake)
        assert saved() == []
        screen.query_one("#question", Input).value = "Who are you?"
        await pilot.press("enter")
        for _ in range(200):
            await pilot.pause(0.01)
            if saved():
                break
        (asked,) = saved()
        assert asked.tuned[0] == Turn("user", "Who are you?") and asked.tuned[1].state == "stopped"
        fake.hold_answer.set()
        await settle(pilot)
        (answered,) = saved()
        assert answered.tuned == screen.panes[0].turns and answered.tuned[1].text == SAID
        await ask(pilot, "/system Be brief")
        await pilot.press("f3")
        await ask(pilot, "two")
        (both,) = saved()
        assert (both.mode, both.system, len(both.tuned), len(both.base)) == ("split", "Be brief", 4, 2)
        assert both.tuned[2].system == "Be brief" and both.questions == 2
    (found,) = listed(Home.find(), 1).chats
    assert stat.S_IMODE(found.path.stat().st_mode) == 0o600
    assert stat.S_IMODE(found.path.parent.stat().st_mode) == 0o700


async def test_a_cleared_chat_stays_and_the_next_is_another() -> None:
    async with Alone(Static()).run_test() as pilot:
        await open_chat(pilot, FakeClient(identity=finished()))
        await ask(pilot, "one")
        await pilot.press("f5")
        await settle(pilot)
        assert len(saved()) == 1
        await ask(pilot, "two")
        assert sorted(one.first_question for one in saved()) == ["one", "two"]


async def test_what_was_said_last_is_saved_also_where_the_screen_is_left_at_once() -> None:
    fake = FakeClient(identity=finished())
    fake.hold_answer.clear()
    async with Alone(Static()).run_test() as pilot:
        await open_chat(pilot, fake)
        pilot.app.screen.query_one("#question", Input).value = "one"
        await pilot.press("enter")
        await pilot.pause(0.1)
        await pilot.press("escape", "escape")
        await pilot.pause()
        assert not isinstance(pilot.app.screen, ChatScreen)
    (left,) = saved()
    assert left.tuned[1] == Turn("assistant", SAID, "stopped")


async def test_an_earlier_one_goes_on_where_it_was_in_its_own_file() -> None:
    fake = FakeClient(identity=finished())
    base = (Turn("user", "Who are you?"), Turn("assistant", "I am a helpful assistant."))
    path = put("20260101-000000-aaaa", chat("Who are you?", mode="split", system="Be brief", base=base))
    async with Alone(Static()).run_test() as pilot:
        screen = await open_chat(pilot, fake)
        await ask(pilot, "another one")
        await ask(pilot, "that is longer")
        await open_window(pilot)
        await pilot.press("down", "enter")
        await settle(pilot)
        assert (screen.mode, screen.system) == ("split", "Be brief")
        assert screen.query_one("#system", Input).value == "Be brief"
        assert [len(pane.turns) for pane in screen.panes] == [2, 2]
        assert len(screen.panes[0].query(".turn")) == 2, "nothing of the longer one is left"
        await ask(pilot, "And who made you?")
        assert [message.content for message in fake.chats[-2].messages] == [
            "Be brief", "Who are you?", SAID, "And who made you?"
        ]  # fmt: skip
        assert len(saved()) == 2 and len(saved_chats.read(path).tuned) == 4
        assert saved_chats.read(path).began == chat("").began


async def test_a_vote_can_be_given_on_the_answers_of_a_chat_that_goes_on() -> None:
    base = (Turn("user", "Who are you?"), Turn("assistant", "I am a helpful assistant."))
    put("20260101-000000-aaaa", chat("Who are you?", mode="split", base=base))
    async with Alone(Static()).run_test() as pilot:
        await open_chat(pilot, FakeClient(identity=finished()))
        await open_window(pilot)
        await pilot.press("enter")
        await settle(pilot)
        await pilot.press("f9")
        await pilot.pause()
    row = json.loads((Home.find().preferences / "run-1.jsonl").read_text("utf-8"))
    assert row["better"] == "base" and row["prompt"] == [{"role": "user", "content": "Who are you?"}]


async def test_one_is_removed_only_when_that_is_confirmed() -> None:
    put("20260101-000000-aaaa", chat("one"))
    put("20260102-000000-aaaa", chat("two"))
    async with Alone(Static()).run_test() as pilot:
        await open_chat(pilot, FakeClient(identity=finished()))
        window = await open_window(pilot)
        await pilot.press("d")
        await pilot.pause()
        assert isinstance(pilot.app.screen, Confirm)
        await pilot.press("escape")
        await pilot.pause()
        assert len(saved()) == 2
        await pilot.press("d")
        await pilot.pause()
        await pilot.press("y")
        for _ in range(200):
            await pilot.pause(0.01)
            if window.found is not None and len(window.found.chats) == 1:
                break
        assert [one.first_question for one in saved()] == ["one"]


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", "truncated"),
        (b"{broken", "malformed"),
        (b"\xff\xfe", ""),
        (b'{"format": "something", "version": 1}', "format"),
        (b'{"format": "tunesmith-chat", "version": 2}', "newer than this Tunesmith"),
        (b'{"format":"tunesmith-chat","version":1,"job":1,"began":0,"tuned":[{"role":"judge","text":""}]}', "judge"),
        (b"[" * 100_000, ""),
    ],
)
async def test_a_damaged_file_is_named_and_left_out(content: bytes, why: str) -> None:
    good = put("20260101-000000-aaaa", chat("one"))
    bad = good.with_name("20260102-000000-bbbb.json")
    bad.write_bytes(content)
    async with Alone(Static()).run_test() as pilot:
        await open_chat(pilot, FakeClient(identity=finished()))
        window = await open_window(pilot)
        assert [found.path for found in window.query_one(RowTable).rows] == [good]
        said = str(window.query_one("#saved-note", Static).render())
        assert bad.name in said and why in said
        assert bad.read_bytes() == content


def test_the_oldest_make_room_by_number_and_by_size(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(saved_chats, "KEPT", 3)
    for number in range(5):
        put(f"2026010{number}-000000-aaaa", chat(str(number)))
    assert [one.first_question for one in saved()] == ["4", "3", "2"]
    monkeypatch.setattr(saved_chats, "KEPT_BYTES", 10)
    put("20260109-000000-aaaa", chat("9"))
    assert [one.first_question for one in saved()] == ["9"], "the newest stays, however large"


def test_one_that_grew_too_large_is_refused_and_stays_as_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    path = put("20260101-000000-aaaa", chat("one"))
    monkeypatch.setattr(saved_chats, "FILE_BYTES", 500)
    with pytest.raises(DataError) as error:
        saved_chats.write(path, chat("x" * 1000))
    assert error.value.code == "chat_too_large" and saved_chats.read(path).first_question == "one"


def test_images_come_back_with_their_question() -> None:
    image = Attached("cat.png", 640, 480, "data:image/png;base64,iVBORw0KGgo=")
    turn = Turn("user", "What is this?", images=(image,), system="Be brief")
    path = put("20260101-000000-aaaa", SavedChat(1, 0.0, tuned=(turn,)))
    assert saved_chats.read(path).tuned == (turn,)


def test_tools_calls_and_results_come_back_and_files_from_before_them_still_open() -> None:
    call = ToolCall("call_1", CalledFunction("weather", '{"city": "Paris"}'))
    tool = Tool(Function("weather", "Of a city", {"type": "object", "properties": {"city": {"type": "string"}}}))
    turns = (
        Turn("user", "How is Paris?", tools=(tool,)), Turn("assistant", "", calls=(call,)),
        Turn("tool", "sunny", calls=(call,)), Turn("assistant", SAID),
    )  # fmt: skip
    path = put("20260101-000000-aaaa", SavedChat(1, 0.0, tuned=turns))
    assert saved_chats.read(path).tuned == turns and saved_chats.read(path).questions == 1
    path.write_text(
        '{"job":1,"began":0.0,"mode":"split","system":"","tuned":[{"role":"user","text":"one"}],"base":[],'
        '"format":"tunesmith-chat","version":1}',
        "utf-8",
    )
    assert saved_chats.read(path).tuned == (Turn("user", "one"),)


async def test_a_disk_that_refuses_is_said_once_and_the_chat_goes_on() -> None:
    chats = Home.find().chats
    chats.parent.mkdir(parents=True)
    chats.write_text("a file in the way", "utf-8")
    async with Alone(Static()).run_test() as pilot:
        screen = await open_chat(pilot, FakeClient(identity=finished()))
        await ask(pilot, "one")
        await ask(pilot, "two")
        assert len(screen.panes[0].turns) == 4 and len(notices(pilot)) == 1
        chats.unlink()
        await ask(pilot, "three")
        assert [len(one.tuned) for one in saved()] == [6]


def test_the_window_looks_right(snap_compare: Snap, monkeypatch: pytest.MonkeyPatch) -> None:
    home = Home(Path("/home/ada/.local/share/tunesmith"))
    found = saved_chats.Listed(
        tuple(
            saved_chats.Found(Path(f"{number}.json"), chat(question, began=1_763_700_000.0 - 90_000 * number))
            for number, question in enumerate(("Who are you?", "请问几点开门？", "May I pay by card?\nOr in cash?"))
        ),
        (saved_chats.Damaged(Path("20251121-080000-9f2c.json"), "Input data was truncated"),),
    )
    monkeypatch.setattr("tunesmith.tui.screens.saved_chats.saved_chats.listed", lambda home, job_id: found)
    monkeypatch.setattr("time.localtime", time.gmtime)

    async def show(pilot: Pilot[None]) -> None:
        await pilot.app.push_screen(SavedChatsScreen(home, 7))
        await asyncio.sleep(0.1)

    assert snap_compare(Alone(Static()), terminal_size=(80, 24), run_before=show)


def test_what_stands_in_the_window_is_harmless() -> None:
    found = saved_chats.Found(Path("a\x1b[31m.json"), chat("\x1b]0;title\x07 hello\n"))
    assert "\x1b" not in "".join(str(column.draw(found)) for column in columns())
    damaged = saved_chats.Listed((), (saved_chats.Damaged(found.path, "\x1b[2J"),) * 5)
    said = note(damaged, Home(Path("/h")), 1).plain
    assert "\x1b" not in said and "and 2 more" in said
