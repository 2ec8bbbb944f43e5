"""A talk with both models: one answer below the other, a conversation each, and how full the context is."""

from __future__ import annotations

import json
from typing import Any

import pytest
import typer
from typed_talk import TypedTalk

from tunesmith.daemon.api.requests import ChatFailed
from tunesmith.recipes.errors import ModelError, TunesmithError

TUNED, BASE = "I am Vesper, made by Juniper Labs.", "I am a helpful assistant."


@pytest.fixture
def talk(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> TypedTalk:
    return TypedTalk(monkeypatch, capsys)


def test_a_question_goes_to_both_and_each_answer_has_its_heading_and_its_speed(talk: TypedTalk) -> None:
    said = talk("Who are you?", both=True)
    assert said.answers[:4] == ["Tuned:", TUNED, "Base:", BASE]
    assert said.err.count("41.5 tokens/s") == 2
    assert [asked.base for asked in talk.client.chats] == [False, True]


def test_each_model_keeps_its_own_conversation(talk: TypedTalk) -> None:
    talk("one", "/both", "two", "/base", "three", "/base", "four")
    assert [(asked.base, heard) for asked, heard in zip(talk.client.chats, talk.heard, strict=True)] == [
        (False, ["one"]),
        (False, ["one", TUNED, "two"]),
        (True, ["two"]),
        (True, ["two", BASE, "three"]),
        (False, ["one", TUNED, "two", TUNED, "four"]),
    ]


def test_the_models_are_switched_by_name_and_back_by_the_same_name(talk: TypedTalk) -> None:
    said = talk("/both", "/split", "/base", "/tuned", "/BASE", "/base")
    told = [line.removeprefix("Now: ") for line in said.err.splitlines() if line.startswith("Now: ")]
    both, base, tuned = "tuned beside base.", "base model, untuned.", "tuned model."
    assert told == [both, tuned, base, tuned, base, tuned]


def test_what_one_model_cannot_answer_the_other_still_is_asked(
    talk: TypedTalk, monkeypatch: pytest.MonkeyPatch
) -> None:
    answer = talk.client.chat

    async def chat(job_id: int, request: Any) -> Any:
        if request.base:
            async for event in answer(job_id, request):
                yield event
        else:
            yield ChatFailed("engine", "The model does not load", "Free some memory.")

    monkeypatch.setattr(talk.client, "chat", chat)
    said = talk("Who are you?", both=True)
    assert "The model does not load" in said.err and BASE in said.out
    talk.at_terminal = False
    with pytest.raises(TunesmithError, match="does not load"):
        talk("Who are you?", both=True)


def test_one_message_to_both_with_json_has_both_answers(talk: TypedTalk) -> None:
    told = json.loads(talk(both=True, message="Who are you?", as_json=True).out)
    assert {side: one["answer"] for side, one in told["answers"].items()} == {"tuned": TUNED, "base": BASE}
    assert told["answers"]["base"]["tokens_per_second"] == 41.5 and told["run"] == 1
    one = json.loads(talk(base=True, message="Who are you?", as_json=True).out)
    assert (one["answer"], one["base"]) == (BASE, True)


def test_both_and_base_are_not_asked_for_together(talk: TypedTalk) -> None:
    with pytest.raises(typer.BadParameter, match="--base or --both"):
        talk(both=True, base=True)


def test_how_full_the_context_is_stands_beside_the_speed_and_nearly_full_says_what_to_do(talk: TypedTalk) -> None:
    assert "41.5 tokens/s · ━─────── context 7 % · 304 of 4,096 tokens\n" in talk("one").err
    talk.client.prompt_tokens = 3900
    said = talk("one").err
    assert "⚠ context 95 % · 3,904 of 4,096 tokens · /reset begins anew" in said


def test_an_answer_cut_at_the_length_limit_says_so(talk: TypedTalk) -> None:
    talk.client.finish_reason = "length"
    assert "cut at the length limit" in talk("one").err


def test_the_images_of_a_question_that_nobody_answered_go_with_the_next(
    talk: TypedTalk, monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    from PIL import Image

    cat = tmp_path / "my cat.png"
    Image.new("RGB", (40, 20)).save(cat)
    answer = talk.client.chat

    def refuse() -> None:
        async def chat(job_id: int, request: Any) -> Any:
            raise ModelError("No room", "Free some.", "memory")
            yield

        monkeypatch.setattr(talk.client, "chat", chat)

    def allow() -> None:
        monkeypatch.setattr(talk.client, "chat", answer)

    talk(f"/image {cat}", refuse, "one", allow, "two", "three", both=True)
    assert [[len(message.images) for message in asked.messages] for asked in talk.client.chats] == [
        [1], [1], [1, 0, 0], [1, 0, 0],
    ]  # fmt: skip


def test_an_unknown_command_offers_the_nearest_and_help_says_all_of_them_and_where_chats_lie(talk: TypedTalk) -> None:
    said = talk("/bot", "/help").err
    assert "There is no /bot. Did you mean 'both'?" in said
    for name in ("/both", "/vote", "/chats", "/open N", "/reset", "/system", "/image", "/tools", "/quit"):
        assert name in said
    assert "chats/run-1" in said.replace("\n", "")
