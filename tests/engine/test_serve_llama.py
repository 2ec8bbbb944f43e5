"""The process that answers from a GGUF: one answer or many at once, grammars, tools, scores and vectors."""

from __future__ import annotations

import gc
import json
import math
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from serving_child import Child, calls_of, child, ended, question, refused, said, scores_of, text_of

from tunesmith.daemon import publish
from tunesmith.daemon.api.requests import Chat, ChatMessage
from tunesmith.daemon.api.tools import CalledFunction, Tool, ToolCall
from tunesmith.daemon.server import chat
from tunesmith.daemon.serving.lines import Embed, Embedded, Generate, Ready, Refused, Sampling, Stop
from tunesmith.daemon.serving.subjects import Subject
from tunesmith.recipes.models.starter_file import starter_gguf

TOOL: Any = {
    "type": "function",
    "function": {
        "name": "weather",
        "description": "The weather of a city",
        "parameters": {"type": "object", "properties": {"city": {"enum": ["Paris", "London"]}}, "required": ["city"]},
    },
}


@pytest.fixture(scope="module")
def starter() -> Iterator[Child]:
    with child(starter_gguf()) as one:
        ready = one.hear()
        assert isinstance(ready, Ready) and ready.engine == "llama_cpp" and ready.slots == 8
        yield one


@pytest.mark.slow
def test_an_answer_is_greedy_and_a_beginning_is_not_computed_again(starter: Child) -> None:
    first = starter.ask("Name a colour.", max_tokens=12, logprobs=1)
    again = starter.ask("Name a colour.", max_tokens=12, logprobs=1)
    third = starter.ask("Name a colour.", max_tokens=12)
    # One token computed alone and one of many differ in their last bits, and 4-bit weights make more of that.
    assert scores_of(again)[0].logprob == pytest.approx(scores_of(first)[0].logprob, abs=0.3)
    assert text_of(again) == text_of(third) and text_of(first)
    assert ended(first).tokens <= 12 and ended(first).finish_reason in ("stop", "length")
    assert ended(again).cached == ended(first).prompt_tokens - 1 > 10


@pytest.mark.slow
def test_the_prompt_is_the_one_that_verification_and_training_see(starter: Child) -> None:
    """The same text by three ways, as tokens: the process counts what they give."""
    from tunesmith.daemon.worker.engines import Options, chosen
    from tunesmith.daemon.worker.llama import Engine
    from tunesmith.daemon.worker.serve.prompts import Prompts

    messages: Any = [{"role": "user", "content": "Grüße, <b>“世界”</b>\n\n two  spaces"}]
    with Engine(starter_gguf()) as verification:
        wanted = verification.tokenize(verification.render(messages))
    engine = chosen("auto", starter_gguf()).open(starter_gguf(), Options(512, 1, Path("unused")))
    prompts = Prompts(engine)
    given = prompts.of(Generate(id=1, sampling=Sampling(1), messages=tuple(messages)))
    engine.close()
    assert given.ids == wanted
    assert ended(starter.ask("", messages=tuple(messages), max_tokens=1)).prompt_tokens == len(wanted)


@pytest.mark.slow
def test_another_model_is_loaded_after_an_engine_is_gone() -> None:
    """llama.cpp goes on to call what it was given to write its log with."""
    from tunesmith.daemon.worker.engines import Options, chosen
    from tunesmith.daemon.worker.llama import Engine

    engine = chosen("auto", starter_gguf()).open(starter_gguf(), Options(512, 1, Path("unused")))
    engine.close()
    del engine
    gc.collect()
    with Engine(starter_gguf()) as another:
        assert another.tokenize("Grüße")


@pytest.mark.slow
def test_twelve_answers_are_written_beside_each_other(starter: Child) -> None:
    ids = [starter.new_id() for _ in range(12)]
    for id in ids:
        starter.send(question(id, f"Count from {id}.", max_tokens=6))
    answers = {id: starter.until(id) for id in ids}
    assert all(text_of(answer) for answer in answers.values())
    order = [line.id for line in starter.heard if not isinstance(line, Ready) and line.id in ids]
    assert order.index(ids[1]) < len(order) - 1 - order[::-1].index(ids[0])  # the second began before the first ended


@pytest.mark.slow
def test_one_that_nobody_wants_any_more_frees_its_place(starter: Child) -> None:
    ids = [starter.new_id() for _ in range(8)]
    for id in ids:
        starter.send(question(id, "Tell a long story.", max_tokens=400))
    for id in ids:
        starter.send(Stop(id))
    assert ended(starter.ask("Name a colour.", max_tokens=2)).tokens <= 2
    assert not any(getattr(line, "finish_reason", "") and getattr(line, "id", 0) in ids for line in starter.heard)


@pytest.mark.slow
def test_an_answer_is_held_to_a_schema(starter: Child) -> None:
    schema = {
        "type": "object",
        "properties": {"colour": {"enum": ["red", "blue"]}, "count": {"type": "integer"}},
        "required": ["colour", "count"],
        "additionalProperties": False,
    }
    for temperature in (0.0, 1.5):
        told = starter.ask("A colour and a count.", max_tokens=300, schema=schema, temperature=temperature, seed=3)
        assert ended(told).finish_reason == "stop"
        found = json.loads(text_of(told))
        assert found["colour"] in ("red", "blue") and isinstance(found["count"], int)
    anything = starter.ask("A small object.", max_tokens=200, schema={}, stop=("}",))
    assert text_of(anything).lstrip().startswith("{")


@pytest.mark.slow
@pytest.mark.parametrize("schema", [{"type": "nothing"}, {"$ref": "https://example.invalid/x"}, {"$ref": "#/gone"}])
def test_a_schema_that_cannot_be_followed_is_refused(starter: Child, schema: dict[str, Any]) -> None:
    assert refused(starter.ask("x", schema=schema)).code == "schema"


@pytest.mark.slow
@pytest.mark.parametrize(
    "value",
    [
        {"type": "array", "items": {"type": "integer"}, "maxItems": 10**9}, {"type": "string", "minLength": 10**7},
        {"type": "string", "maxLength": 20_000}, {"type": "string", "pattern": "^(a|b{1,100000000})$"},
    ],
)  # fmt: skip
def test_a_schema_that_counts_far_is_refused_and_the_engine_lives(starter: Child, value: dict[str, Any]) -> None:
    schema = {"type": "object", "properties": {"value": value}}
    assert refused(starter.ask("x", schema=schema)).code == "schema"
    within = {"type": "object", "properties": {"value": {"type": "string", "maxLength": 900}}, "required": ["value"]}
    assert ended(starter.ask("x", schema=within, max_tokens=4)).tokens == 4


@pytest.mark.slow
def test_a_tool_that_must_be_called_is(starter: Child) -> None:
    """The starter's template knows no tools, so the messages tell of them."""
    for choice in ("required", "weather"):
        told = starter.ask("How is the weather in Paris?", tools=(TOOL,), tool_choice=choice, max_tokens=60)
        (call,) = calls_of(told)
        assert call.name == "weather" and json.loads(call.arguments)["city"] in ("Paris", "London")
        assert ended(told).finish_reason == "tool_calls" and text_of(told) == ""
    assert calls_of(starter.ask("Hello", tools=(TOOL,), tool_choice="none")) == []
    # A chat goes on with what the tool gave back.
    made = ToolCall("call_1", CalledFunction(call.name, call.arguments))
    messages = (
        ChatMessage("user", "How is the weather in Paris?"),
        ChatMessage("assistant", "", tool_calls=(made,)),
        ChatMessage("tool", '{"sky": "clear"}', tool_call_id="call_1"),
    )
    asked = Chat(messages, max_tokens=8, tools=(msgspec.convert(TOOL, Tool),))
    id = starter.new_id()
    starter.send(chat.question(asked, Subject(name="x", path=Path("x.gguf"), log=Path("log")))(id))
    answers = starter.until(id)
    assert ended(answers).tokens and (text_of(answers) or calls_of(answers))


@pytest.mark.slow
def test_scores_are_logarithms_of_likelihoods_and_echo_tells_the_prompt_s(starter: Child) -> None:
    told = scores_of(starter.ask("Name a colour.", max_tokens=4, logprobs=3))
    assert len(told) == 4
    for score in told:
        assert score.logprob is not None and score.logprob <= 0
        assert len(score.top) == 3 and score.top[0][0] == score.token  # greedy takes the likeliest
        assert sum(math.exp(logprob) for _, logprob in score.top) <= 1.0001
    id = starter.new_id()
    starter.send(Generate(id=id, sampling=Sampling(0, logprobs=1), text="The sky is blue", echo=True))
    answers = starter.until(id)
    assert text_of(answers) == "The sky is blue"
    scores = scores_of(answers)
    assert scores[0].logprob is None and all(one.logprob is not None and one.logprob < 0 for one in scores[1:])


@pytest.mark.slow
def test_a_stop_ends_the_answer_and_is_not_said(starter: Child) -> None:
    starter.ask("Count to five.", max_tokens=1)  # both begin where this one did
    whole = text_of(starter.ask("Count to five.", max_tokens=24))
    stop = whole[5:9]
    told = starter.ask("Count to five.", max_tokens=24, stop=(stop,))
    assert text_of(told) == whole[: whole.index(stop)] and ended(told).finish_reason == "stop"


@pytest.mark.slow
def test_a_seed_repeats_an_answer_and_another_does_not(starter: Child) -> None:
    def told(seed: int) -> str:
        return text_of(starter.ask("Tell me a story.", max_tokens=16, temperature=1.2, seed=seed))

    told(1)  # all begin where this one did
    assert told(1) == told(1) != told(2)


@pytest.mark.slow
def test_vectors_have_length_one_and_say_what_is_alike(starter: Child) -> None:
    found = []
    for text in ("A cat sat on the mat.", "A cat is sitting on a mat.", "Interest rates rose by two percent."):
        id = starter.new_id()
        starter.send(Embed(id, text))
        (vector,) = starter.until(id)
        assert isinstance(vector, Embedded) and sum(x * x for x in vector.vector) == pytest.approx(1)
        found.append(vector.vector)
    alike, other = (sum(a * b for a, b in zip(found[0], one, strict=True)) for one in found[1:])
    assert alike > other


@pytest.mark.slow
def test_what_does_not_fit_the_context_is_refused_and_the_next_is_answered(starter: Child) -> None:
    told = refused(starter.ask("word " * 20_000))
    assert told.code == "context_full" and told.hint
    assert refused(starter.ask("", messages=({"role": "user", "content": "x", "tool_calls": 3},))).code == "messages"
    assert ended(starter.ask("Hello", max_tokens=2)).tokens <= 2


@pytest.mark.slow
def test_lines_that_are_no_requests_are_told_and_it_ends_with_its_input() -> None:
    asked = msgspec.json.encode(question(1, "Hello", max_tokens=2))
    lines = said(starter_gguf(), lines=b'{"messages": 3}\nnothing\n' + asked + b"\n")
    assert [line.code for line in lines if isinstance(line, Refused)] == ["request", "request"]
    assert getattr(lines[-1], "finish_reason", "")


@pytest.mark.slow
def test_it_ends_on_sigterm() -> None:
    with child(starter_gguf()) as one:
        one.hear()
        one.process.terminate()
        assert one.process.wait(10) == 0


def test_a_missing_file_is_told(tmp_path: Path) -> None:
    (line,) = said(tmp_path / "model-q8_0.gguf")
    assert isinstance(line, Refused) and line.id == 0 and "no model" in line.message and line.hint


def test_a_missing_base_model_is_told(tmp_path: Path) -> None:
    (line,) = said(tmp_path / "base-q8_0.gguf", "--convert", tmp_path / "gone")
    assert isinstance(line, Refused) and "gone" in line.message


@pytest.mark.slow
def test_a_base_is_converted_when_first_asked_and_a_flipped_bit_in_it_is_told(tiny_model: Path, tmp_path: Path) -> None:
    path = tmp_path / "base-q8_0.gguf"
    assert isinstance(said(path, "--convert", tiny_model)[0], Ready)
    publish.verify_file(path)
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    (line,) = said(path)
    assert isinstance(line, Refused) and line.code == "corrupt"


@pytest.mark.slow
def test_torch_is_not_loaded_to_answer_from_a_gguf() -> None:
    code = (
        "import sys; from pathlib import Path; from tunesmith.daemon.worker.engines import Options, chosen;"
        f"path = Path({str(starter_gguf())!r}); from tunesmith.recipes.data.rendering import bounds; bounds.confine();"
        "chosen('auto', path).open(path, Options(128, 1, path)); sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
