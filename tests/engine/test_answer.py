"""One answer as it is written, token by token: stops, calls of tools and characters that come in parts."""

from __future__ import annotations

import codecs
from collections.abc import Sequence
from typing import Any

import pytest
from serving_child import calls_of, ended, question, scores_of, text_of

from tunesmith.daemon.serving.lines import Answer as Said
from tunesmith.daemon.serving.lines import Piece
from tunesmith.daemon.worker.engines import Prompt, Token
from tunesmith.daemon.worker.serve.answer import Answer
from tunesmith.daemon.worker.serve.calls import CallForm

END = 0


class Reader:
    def __init__(self, engine: Words) -> None:
        self._engine, self._decoder = engine, codecs.getincrementaldecoder("utf-8")("replace")

    def read(self, token: int) -> str:
        return self._decoder.decode(self._engine.pieces[token])

    def rest(self) -> str:
        return self._decoder.decode(b"", final=True)


class Words:
    """An engine whose tokens are the given pieces, from 1 on."""

    context_tokens = 100

    def __init__(self, pieces: Sequence[bytes]) -> None:
        self.pieces = [b"<end>", *pieces]

    def reader(self, special: bool) -> Reader:
        return Reader(self)

    def is_end(self, token: int) -> bool:
        return token == END

    def token_text(self, token: int) -> str:
        return self.pieces[token].decode("utf-8", "replace")


def written(*pieces: str | bytes, form: CallForm | None = None, end: bool = True, **asked: Any) -> list[Said]:
    """What is said when the engine writes `pieces`, and then, with `end`, that it has ended."""
    engine: Any = Words([piece if isinstance(piece, bytes) else piece.encode() for piece in pieces])
    asked = {"max_tokens": 50, **asked}
    generate = question(1, "x", **asked)
    answer = Answer(engine, generate, Prompt([9, 9], generate.sampling), form, ["f", "g"])
    said: list[Said] = []
    for token in [*range(1, len(pieces) + 1), *([END] if end else [])]:
        said += answer.take(Token(token, -0.5, ((token, -0.5),)) if "logprobs" in asked else Token(token))
        if answer.over:
            break
    return said


def test_tokens_are_said_as_they_come() -> None:
    said = written("Hello", " ", "world")
    assert [one.text for one in said if isinstance(one, Piece)] == ["Hello", " ", "world"]
    assert ended(said).finish_reason == "stop" and ended(said).tokens == 4


def test_a_character_in_parts_is_said_when_it_is_whole_and_one_that_never_is_at_the_end() -> None:
    first, second = "é".encode()[:1], "é".encode()[1:]
    assert text_of(written("caf", first, second)) == "café"
    assert text_of(written("caf", first)) == "caf\ufffd"


@pytest.mark.parametrize("pieces", [("one STOP two",), ("one ", "ST", "OP", " two"), ("one S", "T", "OP two")])
def test_nothing_of_a_stop_is_said_however_it_is_cut_into_tokens(pieces: tuple[str, ...]) -> None:
    said = written(*pieces, stop=("STOP", "never"))
    assert text_of(said) == "one " and ended(said).finish_reason == "stop"


def test_what_only_began_like_a_stop_is_said() -> None:
    assert text_of(written("a ST", "ART", stop=("STOP",))) == "a START"
    assert text_of(written("a ST", stop=("STOP",))) == "a ST"


def test_the_first_of_several_stops_counts_and_length_ends_too() -> None:
    assert text_of(written("abcdef", stop=("e", "c"))) == "ab"
    said = written("a", "b", "c", max_tokens=2)
    assert text_of(said) == "ab" and ended(said).finish_reason == "length"


def test_every_token_has_its_score_also_those_that_were_held_back() -> None:
    said = written("a", "S", "T", "b", stop=("STOP",), logprobs=1)
    assert [score.token for score in scores_of(said)] == ["a", "S", "T", "b"]


@pytest.mark.parametrize("open", ["<tool_call>\n", "<tool_call>", ""])
def test_a_call_is_told_apart_from_what_is_said_before_it(open: str) -> None:
    form = CallForm(open=open, close="</tool_call>" if open else "")
    call = '{"name": "f", "arguments": {"x": 1}}'
    before = ("Let me see. ",) if open else ()
    said = written(*before, open[:5], open[5:], call[:9], call[9:], form.close, form=form)
    (called,) = calls_of(said)
    assert (called.name, called.arguments) == ("f", '{"x": 1}')
    assert text_of(said) == "".join(before).rstrip() or text_of(said) == "".join(before)
    assert ended(said).finish_reason == "tool_calls"


def test_several_calls_are_told_and_what_is_no_call_is_said() -> None:
    form = CallForm()
    one, two = ('<tool_call>\n{"name": "%s", "arguments": {}}\n</tool_call>' % name for name in "fg")  # noqa: UP031
    assert [call.name for call in calls_of(written(one, "\n", two, form=form))] == ["f", "g"]
    for text in (
        "<tool_call>\nnothing",
        "No call.",
        '{"name": "f"',
        "<tool_",
        '<tool_call>{"name": "h", "arguments": {}}',
    ):
        said = written(text, form=form)
        assert calls_of(said) == [] and text_of(said) == text and ended(said).finish_reason == "stop"


def test_a_call_that_was_cut_is_no_call() -> None:
    said = written("<tool_call>\n", '{"name": "f"', max_tokens=2, form=CallForm())
    assert calls_of(said) == [] and ended(said).finish_reason == "length"


def test_behind_an_echo_the_token_that_ends_is_scored_too() -> None:
    """lm-evaluation-harness asks for one token after the prompt and takes the last score for that token's."""
    engine: Any = Words([b"one", b"two"])
    generate = question(1, "x", max_tokens=1, logprobs=1)
    answer = Answer(engine, generate, Prompt([1, 2], generate.sampling, scored=True), None, [])
    said = [*answer.echoed([Token(2, -3.0, ((2, -3.0),))]), *answer.take(Token(END, -0.5, ((END, -0.5),)))]
    assert [score.logprob for score in scores_of(said)] == [None, -3.0, -0.5]
    assert text_of(said) == "onetwo" and ended(said).finish_reason == "stop"
