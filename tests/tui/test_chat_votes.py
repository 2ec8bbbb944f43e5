"""Votes in the chat: which of two answers is better, as rows that are ready for training on preferences."""

from __future__ import annotations

import json
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from histories import finished
from live import Alone, FakeClient
from opened_chat import open_chat
from patience import notices, until
from textual.pilot import Pilot
from textual.widgets import Input, Static
from tools import WEATHER, call, tools_file

from tunesmith.daemon.api.home import Home
from tunesmith.daemon.api.images import Attached
from tunesmith.recipes.data.checking.check import Options, check
from tunesmith.tui import texts
from tunesmith.tui.conversation import Turn
from tunesmith.tui.screens.chat import ChatScreen
from tunesmith.tui.screens.saved_chats import SavedChatsScreen
from tunesmith.tui.votes import Asking, Ballot, Cast, Impossible
from tunesmith.tui.widgets.following import Following
from tunesmith.tui.widgets.vote_bar import VoteBar, VoteChoice

Snap = Callable[..., bool]
TUNED, BASE = "I am Vesper, made by Juniper Labs.", "I am a helpful assistant."


async def open_split(pilot: Pilot[None], fake: FakeClient) -> ChatScreen:
    screen = await open_chat(pilot, fake)
    await pilot.press("f3")
    return screen


async def ask(pilot: Pilot[None], text: str) -> None:
    pilot.app.screen.query_one("#question", Input).value = text
    await pilot.press("enter")
    await pilot.pause(0.05)


async def press(pilot: Pilot[None], key: str) -> None:
    await pilot.press(key)
    await pilot.pause()


def rows() -> list[dict[str, Any]]:
    path = Home.find().preferences / "run-1.jsonl"
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()] if path.exists() else []


def shown(screen: ChatScreen) -> str:
    bar = screen.query_one(VoteBar)
    return " ".join(str(line.render()) for line in bar.query(Static)) if bar.display else ""


@pytest.mark.parametrize("size", [(80, 24), (40, 12)])
def test_the_question_which_is_better_looks_right(snap_compare: Snap, size: tuple[int, int]) -> None:
    async def talk(pilot: Pilot[None]) -> None:
        await open_split(pilot, FakeClient(identity=finished()))
        await ask(pilot, "Who are you?")

    assert snap_compare(Alone(Static()), terminal_size=size, run_before=talk)


def test_a_vote_says_what_was_written_where_and_how_to_take_it_back(snap_compare: Snap) -> None:
    turns = (Turn("user", "Who are you?"), Turn("assistant", TUNED))
    vote = Cast("tuned", turns, turns, Path("/home/ada/.local/share/tunesmith/preferences/run-7.jsonl"), b"{}\n", 12)
    assert snap_compare(Alone(VoteBar(vote)), terminal_size=(80, 6))


async def test_a_vote_is_a_row_that_the_data_check_takes_whole_as_preferences() -> None:
    async with Alone(Static()).run_test() as pilot:
        screen = await open_split(pilot, FakeClient(identity=finished()))
        await ask(pilot, "/system Be brief")
        await ask(pilot, "Who are you?")
        await press(pilot, "f8")
        await ask(pilot, "And who made you?")
        await press(pilot, "f9")
        await ask(pilot, "请问你是谁？")
        await press(pilot, "f8")
        path = Home.find().preferences / "run-1.jsonl"
        assert "3 rows" in shown(screen) and str(path) in shown(screen).replace("\n", "")
    *_, report = check(Options(files=(str(path),), processes=1))
    assert (report.shape, report.rows_read, report.rows_kept, report.rows_rejected) == ("preference", 3, 3, 0)
    assert report.usable and stat.S_IMODE(path.stat().st_mode) == 0o600
    first, second, third = rows()
    system, asked = {"role": "system", "content": "Be brief"}, {"role": "user", "content": "Who are you?"}
    assert first["prompt"] == [system, asked]
    assert first["chosen"] == [{"role": "assistant", "content": TUNED}]
    assert first["rejected"] == [{"role": "assistant", "content": BASE}]
    assert second["prompt"][:3] == [system, asked, {"role": "assistant", "content": TUNED}]
    assert (second["chosen"][0]["content"], second["better"]) == (BASE, "base")
    assert [message["content"] for message in third["prompt"][-2:]] == [BASE, "请问你是谁？"]


async def test_both_go_on_from_the_better_answer_and_the_pane_says_whose_it_is() -> None:
    fake = FakeClient(identity=finished())
    async with Alone(Static()).run_test() as pilot:
        screen = await open_split(pilot, fake)
        await ask(pilot, "Who are you?")
        await press(pilot, "f8")
        assert screen.panes[1].turns[-1].text == BASE
        await ask(pilot, "Who made you?")
        tuned, base = fake.chats[2:]
        assert tuned.messages == base.messages and tuned.messages[1].content == TUNED
        assert "taken over: Tuned" in str(screen.panes[1].query(Static)[1].render())


async def test_neither_writes_nothing_and_says_so() -> None:
    fake = FakeClient(identity=finished())
    async with Alone(Static()).run_test() as pilot:
        screen = await open_split(pilot, fake)
        await ask(pilot, "Who are you?")
        await press(pilot, "ctrl+n")
        assert "nothing is written" in shown(screen) and rows() == []
        assert not Home.find().preferences.exists()
        await ask(pilot, "Who made you?")
        assert fake.chats[2].messages == fake.chats[3].messages
        await press(pilot, "ctrl+z")
        assert notices(pilot) == [texts.t("vote.tie_taken_back")]


async def test_the_last_vote_is_taken_back_by_key_also_after_the_next_question() -> None:
    async with Alone(Static()).run_test() as pilot:
        screen = await open_split(pilot, FakeClient(identity=finished()))
        assert not screen.check_action("take_back_vote", ())
        await ask(pilot, "one")
        await press(pilot, "f8")
        await press(pilot, "f9")
        assert len(rows()) == 1, "a second key does not vote again"
        await press(pilot, "ctrl+z")
        assert rows() == [] and "0 rows" in notices(pilot)[0] and "f8 Tuned" in shown(screen)
        await press(pilot, "f9")
        await ask(pilot, "two")
        await press(pilot, "ctrl+z")
        assert rows() == [] and not screen.check_action("take_back_vote", ())


async def test_a_row_that_is_not_the_last_any_more_is_left_and_said() -> None:
    async with Alone(Static()).run_test() as pilot:
        await open_split(pilot, FakeClient(identity=finished()))
        await ask(pilot, "one")
        await press(pilot, "f8")
        path = Home.find().preferences / "run-1.jsonl"
        path.write_text(path.read_text("utf-8") + "{}", "utf-8")
        await press(pilot, "ctrl+z")
        assert len(rows()) == 2 and "does not end with that row" in notices(pilot)[0]


async def test_the_mouse_votes_and_takes_back() -> None:
    async with Alone(Static()).run_test(size=(80, 24)) as pilot:
        screen = await open_split(pilot, FakeClient(identity=finished()))
        await ask(pilot, "one")
        await pilot.click(screen.query(VoteChoice)[1])
        await pilot.pause()
        assert [row["better"] for row in rows()] == ["base"]
        assert pilot.app.focused is screen.query_one("#question")
        await pilot.click(screen.query(VoteChoice)[0])
        await pilot.pause()
        assert rows() == []


async def test_letters_stay_in_the_question_and_figures_vote_elsewhere() -> None:
    async with Alone(Static()).run_test() as pilot:
        screen = await open_split(pilot, FakeClient(identity=finished()))
        await ask(pilot, "one")
        await pilot.press("1")
        assert screen.query_one("#question", Input).value == "1" and rows() == []
        screen.panes[0].query_one(Following).focus()
        await press(pilot, "1")
        assert len(rows()) == 1


async def test_where_no_vote_can_be_it_is_said_why() -> None:
    fake = FakeClient(identity=finished())
    async with Alone(Static()).run_test() as pilot:
        screen = await open_split(pilot, fake)
        assert shown(screen) == ""
        await ask(pilot, "one")
        await ask(pilot, "two")
        assert shown(screen) == texts.t("vote.different", anew="f5")
        await press(pilot, "f8")
        assert rows() == []
        await pilot.press("f5")
        fake.answer = [BASE]
        await ask(pilot, "one")
        assert shown(screen) == texts.t("vote.same")
        await pilot.press("f3")
        await pilot.pause()
        assert shown(screen) == "", "one model alone has nothing beside it"


async def test_an_answer_cut_at_the_length_limit_is_not_taught_as_the_better_one() -> None:
    fake = FakeClient(identity=finished())
    fake.finish_reason = "length"
    async with Alone(Static()).run_test() as pilot:
        await open_split(pilot, fake)
        await ask(pilot, "one")
        await press(pilot, "f8")
        assert rows() == [] and notices(pilot) == [texts.t("vote.cut")]


async def test_a_file_that_cannot_be_written_is_said_and_the_vote_can_be_given_again() -> None:
    async with Alone(Static()).run_test() as pilot:
        screen = await open_split(pilot, FakeClient(identity=finished()))
        await ask(pilot, "one")
        folder = Home.find().preferences
        folder.write_text("a file in the way", "utf-8")
        await press(pilot, "f8")
        assert "is not a folder of yours" in notices(pilot)[0] and "f8 Tuned" in shown(screen)
        folder.unlink()
        await press(pilot, "f8")
        assert len(rows()) == 1


@pytest.mark.parametrize(("change", "why"), [({"images": 1}, "images"), ({"text": " "}, "empty")])
def test_rows_with_images_or_without_an_answer_are_not_made(tmp_path: Path, change: dict[str, Any], why: str) -> None:
    images = (Attached("cat.png", 1, 1, "data:image/png;base64,"),) * change.get("images", 0)
    question = Turn("user", "What is this?", images=images)
    stand = Ballot(Home(tmp_path), 1, "f5").stand(
        (question, Turn("assistant", "A cat.")), (question, Turn("assistant", change.get("text", "A dog.")))
    )
    assert stand == Impossible(texts.t(f"vote.{why}"))


def test_a_stopped_answer_is_no_answer_to_vote_on(tmp_path: Path) -> None:
    question, whole = Turn("user", "Who are you?"), Turn("assistant", TUNED)
    ballot = Ballot(Home(tmp_path), 1, "f5")
    assert ballot.stand((question, whole), (question, Turn("assistant", "I am", "stopped"))) is None
    assert ballot.stand((question, whole), (question, Turn("assistant", BASE))) == Asking()


async def test_a_call_is_voted_on_like_an_answer_and_its_row_has_the_tools_that_the_data_check_takes(
    tmp_path: Path,
) -> None:
    fake = FakeClient(identity=finished())
    async with Alone(Static()).run_test() as pilot:
        screen = await open_split(pilot, fake)
        await ask(pilot, "Hello")
        await press(pilot, "f8")
        await ask(pilot, f"/tools {tools_file(tmp_path, WEATHER)}")
        await until(pilot, lambda: screen.tools)
        fake.calls = {False: (call("weather", '{"city": "Paris"}'),)}
        await ask(pilot, "How is Paris?")
        await press(pilot, "f8")
        await ask(pilot, "sunny")
        assert fake.chats[-1].messages[-1].content == "sunny" and not fake.chats[-1].base
        await press(pilot, "enter")
        assert fake.chats[-1].base, "the base goes on from the call too, and was given the same result"
        assert len(fake.chats[-1].messages) == 5
        await press(pilot, "f9")
        path = Home.find().preferences / "run-1.jsonl"
    *_, report = check(Options(files=(str(path),), processes=1))
    assert (report.shape, report.rows_read, report.rows_kept, report.rows_rejected) == ("preference", 3, 3, 0)
    plain, called, after = rows()
    weather = {"type": "function", "function": {"name": "weather", "arguments": {"city": "Paris"}}, "id": "call_1"}
    assert "tools" not in plain and set(plain["chosen"][0]) == {"role", "content"}
    assert called["tools"] == [{"function": WEATHER, "type": "function"}]
    assert called["chosen"] == [{"role": "assistant", "content": "", "tool_calls": [weather]}]
    assert called["rejected"] == [{"role": "assistant", "content": BASE}]
    assert after["prompt"][-2:] == [*called["chosen"], {"role": "tool", "content": "sunny", "tool_call_id": "call_1"}]
    assert after["tools"] == called["tools"] and after["chosen"][0]["content"] == BASE


async def asked_with_tools(pilot: Pilot[None], fake: FakeClient, folder: Path) -> ChatScreen:
    """Both models, which may call for the weather, are asked about it."""
    screen = await open_split(pilot, fake)
    await ask(pilot, f"/tools {tools_file(folder, WEATHER)}")
    await until(pilot, lambda: screen.tools)
    await ask(pilot, "How is Paris?")
    return screen


async def test_the_answer_without_the_call_is_better_and_no_result_is_asked_for_any_more(tmp_path: Path) -> None:
    fake = FakeClient(identity=finished())
    fake.calls = {False: (call("weather", "{}"),)}
    async with Alone(Static()).run_test() as pilot:
        screen = await asked_with_tools(pilot, fake, tmp_path)
        assert screen.line.wanted is not None
        await press(pilot, "f9")
        assert screen.line.wanted is None
        await press(pilot, "ctrl+z")
        assert screen.line.wanted is not None and rows() == []
        await press(pilot, "f9")
        fake.calls = {}
        await ask(pilot, "Thanks")
        assert [message.content for message in fake.chats[-1].messages] == ["How is Paris?", BASE, "Thanks"]
        assert fake.chats[-1].messages == fake.chats[-2].messages


async def test_the_same_call_with_another_id_is_the_same_and_the_answers_behind_it_can_be_compared(
    tmp_path: Path,
) -> None:
    fake = FakeClient(identity=finished())
    fake.calls = {False: (call("weather", "{}", id="call_a"),), True: (call("weather", "{}", id="call_b"),)}
    async with Alone(Static()).run_test() as pilot:
        screen = await asked_with_tools(pilot, fake, tmp_path)
        assert shown(screen) == texts.t("vote.same")
        await ask(pilot, "sunny")
        await press(pilot, "enter")
        await press(pilot, "f8")
        (row,) = rows()
        assert row["prompt"][1]["tool_calls"][0]["id"] == row["prompt"][2]["tool_call_id"] == "call_a"


async def test_answers_behind_different_calls_cannot_be_compared_and_it_is_said_when_they_could(
    tmp_path: Path,
) -> None:
    fake = FakeClient(identity=finished())
    fake.calls = {False: (call("weather", "{}"),)}
    async with Alone(Static()).run_test() as pilot:
        screen = await asked_with_tools(pilot, fake, tmp_path)
        await ask(pilot, "sunny")
        assert shown(screen) == texts.t("vote.results")
        await press(pilot, "f8")
        assert rows() == []


def test_a_call_that_no_row_can_hold_is_said(tmp_path: Path) -> None:
    question = Turn("user", "How is Paris?")
    calls, words = Turn("assistant", "", calls=(call("weather", "Paris, please"),)), Turn("assistant", "Fine.")
    assert Ballot(Home(tmp_path), 1, "f5").stand((question, calls), (question, words)) == Impossible(
        texts.t("vote.bad_call")
    )


async def test_the_commands_of_a_talk_at_a_terminal_are_typed_here_too() -> None:
    async with Alone(Static()).run_test() as pilot:
        screen = await open_chat(pilot, FakeClient(identity=finished()))
        await ask(pilot, "/vote tuned")
        await ask(pilot, "/both")
        await ask(pilot, "one")
        await ask(pilot, "/vote b")
        assert [row["better"] for row in rows()] == ["base"]
        await ask(pilot, "/v undo")
        await ask(pilot, "/vote undo")
        await ask(pilot, "/vote perhaps")
        assert rows() == []
        assert [notice.partition("\n")[0] for notice in notices(pilot)] == [
            texts.t("talk.no_two"), notices(pilot)[1], texts.t("talk.no_vote"), texts.t("talk.vote_how")
        ]  # fmt: skip
        await ask(pilot, "/tuned")
        assert screen.mode == "tuned"
        await ask(pilot, "/reset")
        assert screen.panes[0].turns == ()
        await ask(pilot, "/chats")
        await until(pilot, lambda: isinstance(pilot.app.screen, SavedChatsScreen))
