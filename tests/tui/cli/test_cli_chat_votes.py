"""Votes in a talk with both models: the wizard's rows in the wizard's file, and a reason where there can be none."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typed_talk import TypedTalk

from tunesmith.daemon.api.home import Home
from tunesmith.recipes.data.checking.check import Options, check
from tunesmith.tui import chat_commands

TUNED, BASE = "I am Vesper, made by Juniper Labs.", "I am a helpful assistant."


@pytest.fixture
def talk(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> TypedTalk:
    return TypedTalk(monkeypatch, capsys)


def path() -> Path:
    return Home.find().preferences / "run-1.jsonl"


def rows() -> list[dict[str, Any]]:
    return [json.loads(line) for line in path().read_text("utf-8").splitlines()] if path().exists() else []


def test_a_vote_is_a_row_that_the_data_check_takes_and_says_where_and_how_many(talk: TypedTalk) -> None:
    said = talk("/system Be brief", "Who are you?", "/vote tuned", "And who made you?", "/v b", both=True)
    assert "Which is better? /vote tuned, /vote base or /vote tie" in said.err
    assert f"Tuned is better: 1 row in {path()}" in said.err and f"Base is better: 2 rows in {path()}" in said.err
    first, second = rows()
    assert (first["better"], first["chosen"][0]["content"], first["rejected"][0]["content"]) == ("tuned", TUNED, BASE)
    assert [message["content"] for message in second["prompt"]] == [
        "Be brief", "Who are you?", TUNED, "And who made you?"
    ]  # fmt: skip
    *_, report = check(Options(files=(str(path()),), processes=1))
    assert (report.shape, report.rows_kept, report.usable) == ("preference", 2, True)


def test_both_go_on_from_the_better_answer(talk: TypedTalk) -> None:
    talk("one", "/vote base", "two", both=True)
    assert talk.heard[2] == talk.heard[3] == ["one", BASE, "two"]


def test_the_last_vote_is_taken_back_also_after_the_next_question(talk: TypedTalk) -> None:
    said = talk("one", "/vote undo", "/vote tuned", "two", "/vote undo", "/vote u", both=True)
    assert rows() == []
    assert f"The vote is taken back: 0 rows in {path()}" in said.err
    assert said.err.count("There is no vote to take back.") == 2


def test_neither_writes_nothing_and_a_second_vote_says_what_was_voted(talk: TypedTalk) -> None:
    said = talk("one", "/vote tie", "/vote tuned", "/vote undo", both=True)
    assert rows() == [] and not Home.find().preferences.exists()
    assert said.err.count("Neither is better: nothing is written") == 2
    assert "/vote undo takes that back." in said.err and "The vote is taken back." in said.err


def test_where_no_vote_can_be_it_is_said_why_and_how_to_come_to_one(talk: TypedTalk) -> None:
    assert "no two whole answers to one question: /both asks both" in talk("one", "/vote tuned").err
    said = talk("one", "/both", "two", "/vote tuned").err
    assert said.count("No vote: the two were told different things before. /reset begins anew.") == 2
    talk.client.answer = [BASE]
    assert "No vote: both answers are the same." in talk("one", "/vote base", both=True).err
    assert "Which is better?" in talk("/vote", "/vote perhaps").err
    assert rows() == []


def test_an_answer_cut_at_the_length_limit_is_not_taught_as_the_better_one(talk: TypedTalk) -> None:
    talk.client.finish_reason = "length"
    assert "would teach to break off" in talk("one", "/vote tuned", both=True).err
    assert rows() == []


def test_a_file_that_cannot_be_written_is_said_and_the_talk_goes_on(talk: TypedTalk) -> None:
    home = Home.find()
    home.root.mkdir(parents=True)
    home.preferences.write_text("a file in the way", "utf-8")
    said = talk("one", "/vote tuned", home.preferences.unlink, "/vote tuned", both=True)
    assert "is not a folder of yours" in said.err and len(rows()) == 1


def test_a_row_that_is_not_the_last_any_more_is_left_and_said(talk: TypedTalk) -> None:
    def another() -> None:
        path().write_text(path().read_text("utf-8") + "{}", "utf-8")

    assert "does not end with that row" in talk("one", "/vote tuned", another, "/vote undo", both=True).err
    assert len(rows()) == 2


@pytest.mark.parametrize(
    ("typed", "meant"),
    [("tuned", "tuned"), ("T", "tuned"), ("1", "tuned"), ("b", "base"), ("2", "base"), ("tie", "tie"), ("n", "tie"),
     ("neither", "tie"), ("0", "tie"), ("Undo", "undo"), ("u", "undo"), ("", None), ("perhaps", None)],
)  # fmt: skip
def test_a_choice_has_short_forms(typed: str, meant: str | None) -> None:
    assert chat_commands.choice(typed) == meant
