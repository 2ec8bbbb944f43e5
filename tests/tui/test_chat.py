"""The chat screen: streaming, the base beside the tuned model, history, the system prompt, stopping."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from histories import finished
from live import Alone, FakeClient
from opened_chat import open_chat
from patience import until
from textual.pilot import Pilot
from textual.widgets import Input, Static

from tunesmith.tui import texts
from tunesmith.tui.conversation import Turn, messages
from tunesmith.tui.screens.chat import ChatScreen
from tunesmith.tui.widgets.chat_pane import ChatPane

Snap = Callable[..., bool]


async def ask(pilot: Pilot[None], text: str) -> None:
    pilot.app.screen.query_one("#question", Input).value = text
    await pilot.press("enter")
    await pilot.pause(0.05)


def pane(screen: ChatScreen, name: str = "tuned") -> ChatPane:
    return screen.query_one(f"#{name}", ChatPane)


@pytest.mark.parametrize("size", [(90, 26), (80, 24), (40, 12)])
def test_two_models_side_by_side_look_right(snap_compare: Snap, size: tuple[int, int]) -> None:
    async def talk(pilot: Pilot[None]) -> None:
        screen = await open_chat(pilot, FakeClient(identity=finished()))
        await pilot.press("f3")
        for question in ("Who are you?", "请问你是谁？"):
            await ask(pilot, question)
            await until(pilot, lambda: not screen.busy)

    assert snap_compare(Alone(Static()), terminal_size=size, run_before=talk)


def test_the_system_prompt_open_looks_right(snap_compare: Snap) -> None:
    async def talk(pilot: Pilot[None]) -> None:
        await open_chat(pilot, FakeClient(identity=finished()))
        await pilot.press("f4")
        await pilot.press(*"Be brief")

    assert snap_compare(Alone(Static()), terminal_size=(80, 24), run_before=talk)


async def test_an_answer_streams_and_history_is_sent_again() -> None:
    fake = FakeClient(identity=finished())
    async with Alone(Static()).run_test() as pilot:
        screen = await open_chat(pilot, fake)
        await ask(pilot, "Who are you?")
        await ask(pilot, "Who made you?")
        turns = pane(screen).turns
        assert [turn.role for turn in turns] == ["user", "assistant"] * 2
        assert "41.5 tokens/s" in turns[1].note
        assert [(m.role, m.content) for m in fake.chats[1].messages] == [
            ("user", "Who are you?"), ("assistant", "I am Vesper, made by Juniper Labs."), ("user", "Who made you?")
        ]  # fmt: skip
        assert fake.chats[1].base is False


async def test_base_is_asked_alone_after_the_toggle_and_both_when_split() -> None:
    fake = FakeClient(identity=finished())
    async with Alone(Static()).run_test() as pilot:
        await open_chat(pilot, fake)
        await pilot.press("f2")
        await ask(pilot, "one")
        assert [chat.base for chat in fake.chats] == [True]
        await pilot.press("f3")
        await ask(pilot, "two")
        assert sorted(chat.base for chat in fake.chats[1:]) == [False, True]


async def test_the_system_prompt_is_sent_first() -> None:
    fake = FakeClient(identity=finished())
    async with Alone(Static()).run_test() as pilot:
        screen = await open_chat(pilot, fake)
        await ask(pilot, "/system Be brief")
        await ask(pilot, "Hello")
        assert (fake.chats[0].messages[0].role, fake.chats[0].messages[0].content) == ("system", "Be brief")
        assert screen.query_one("#system", Input).value == "Be brief"


@pytest.mark.parametrize("key", ["escape", "ctrl+c"])
async def test_stopping_keeps_what_came_and_the_screen(key: str) -> None:
    fake = FakeClient(identity=finished())
    fake.hold_answer.clear()
    async with Alone(Static()).run_test() as pilot:
        screen = await open_chat(pilot, fake)
        await ask(pilot, "Tell me a long story")
        assert pane(screen).busy
        await pilot.press(key)
        await pilot.pause(0.05)
        assert pilot.app.screen is screen
        assert pane(screen).turns[-1] == Turn("assistant", "I am Vesper, made by Juniper Labs.", "stopped")
        assert not pane(screen).busy
        await pilot.press("escape")
        await pilot.pause()
        assert pilot.app.screen is not screen


async def test_clear_forgets_the_conversation_even_while_answering() -> None:
    fake = FakeClient(identity=finished())
    async with Alone(Static()).run_test() as pilot:
        screen = await open_chat(pilot, fake)
        await ask(pilot, "one")
        await ask(pilot, "/clear")
        assert pane(screen).turns == ()
        await ask(pilot, "two")
        assert len(fake.chats[-1].messages) == 1
        fake.hold_answer.clear()
        await ask(pilot, "three")
        await pilot.press("f5")
        await pilot.pause(0.05)
        assert pane(screen).turns == () and not pane(screen).busy


async def test_a_daemon_away_is_an_answer_that_failed_and_the_next_question_works() -> None:
    fake = FakeClient(identity=finished())
    async with Alone(Static()).run_test() as pilot:
        screen = await open_chat(pilot, fake)
        fake.down = True
        await ask(pilot, "one")
        assert pane(screen).turns[-1].state == "failed"
        fake.down = False
        await ask(pilot, "two")
        assert [m.content for m in fake.chats[-1].messages] == ["two"]


def test_a_question_without_an_answer_is_not_sent_again() -> None:
    turns = (Turn("user", "a"), Turn("assistant", "", "failed"), Turn("user", "b"))
    assert [m.content for m in messages(turns, " ")] == ["b"]


async def test_a_change_of_language_keeps_the_conversation() -> None:
    fake = FakeClient(identity=finished())
    async with Alone(Static()).run_test() as pilot:
        screen = await open_chat(pilot, fake)
        await ask(pilot, "one")
        texts.use("zh")
        await screen.recompose()
        await pilot.pause(0.05)
        assert len(pane(screen).turns) == 2
        assert "对话" in str(screen.query_one("#chat-title").render())
        await ask(pilot, "two")
        assert len(fake.chats[-1].messages) == 3


async def test_how_full_the_context_is_stands_at_the_pane_and_nearly_full_is_said() -> None:
    fake = FakeClient(identity=finished())
    async with Alone(Static()).run_test(size=(80, 24)) as pilot:
        screen = await open_chat(pilot, fake)
        assert pane(screen).border_subtitle == ""
        await ask(pilot, "one")
        assert pane(screen).border_subtitle == "━─────── context 7 % · 304 of 4,096 tokens"
        fake.prompt_tokens = 3_600
        await ask(pilot, "two")
        assert pane(screen).border_subtitle == ("━━━━━━━─ ⚠ context 88 % · 3,604 of 4,096 tokens · f5 begins anew")
        await pilot.press("f3")
        await pilot.pause()
        assert pane(screen).border_subtitle == "⚠ context 88 % · f5 begins anew"
        await pilot.resize_terminal(40, 12)
        await pilot.pause()
        assert pane(screen).border_subtitle == "⚠ context 88 %"
        await pilot.press("f5")
        await pilot.pause()
        assert pane(screen).border_subtitle == ""
