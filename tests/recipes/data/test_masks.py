"""Exactly the answers and their end-of-turn tokens are trained, whatever template and text."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

import msgspec
import pytest
from chat_formats import FORMATS, Format, Message, Refused, shipped
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from template_reference import expected, spaced_tokenizer, theirs, write_model
from tokenizers import Tokenizer as Plain

from tunesmith.recipes.data.checking.findings import findings_of
from tunesmith.recipes.data.reasons import BadRow
from tunesmith.recipes.data.rendering.render import render, render_many
from tunesmith.recipes.data.rendering.tokenizer import Tokenizer
from tunesmith.recipes.data.rows import Part, Rendered, Sample

EXAMPLES = settings(max_examples=1000, suppress_health_check=list(HealthCheck), derandomize=True)
SPACES = ("", " ", "\n", "\t \n", "\u200b", "\xa0", "\u3000", "\r\n", "\ufeff")
WORDS = ("Paris", " is fine.", "é", "e\u0301", "😀", "日本", "{{ x }}", "\\n")

# Templates with generation markers that trl ships, which render what the original does; Qwen 3's does not.
MARKED = {
    "llama3": "llama3_training",
    "qwen2.5": "qwen2_5_training",
    "gemma3": "gemma3_training",
    "glm4": "glm4moe_training",
}


class Model(msgspec.Struct, frozen=True):
    format: Format
    ours: Tokenizer
    plain: Plain


@pytest.fixture(scope="session")
def byte_settings(starter_tokenizer_folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((starter_tokenizer_folder / "tokenizer.json").read_text(encoding="utf-8"))
    return found


def model_of(format_: Format, tokenizer: dict[str, Any], folder: Path) -> Model:
    write_model(format_, tokenizer, folder)
    plain = Plain.from_file(str(folder / "tokenizer.json"))
    plain.post_processor = None  # pyright: ignore - it would trim spaces off the places
    return Model(format_, Tokenizer.load(folder), plain)


@pytest.fixture(scope="session", params=FORMATS, ids=lambda format_: format_.name)
def model(
    request: pytest.FixtureRequest, byte_settings: dict[str, Any], tmp_path_factory: pytest.TempPathFactory
) -> Model:
    return model_of(request.param, byte_settings, tmp_path_factory.mktemp("model") / "it")


@pytest.fixture(scope="session", params=["mistral", "gemma3"])
def spaced_model(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Model:
    format_ = next(format_ for format_ in FORMATS if format_.name == request.param)
    return model_of(format_, spaced_tokenizer(), tmp_path_factory.mktemp("model") / "it")


@pytest.fixture(scope="session", params=MARKED)
def marked_model(
    request: pytest.FixtureRequest, byte_settings: dict[str, Any], tmp_path_factory: pytest.TempPathFactory
) -> Model:
    format_ = next(format_ for format_ in FORMATS if format_.name == request.param)
    marked = msgspec.structs.replace(format_, template=shipped(MARKED[request.param]))
    return model_of(marked, byte_settings, tmp_path_factory.mktemp("model") / "it")


def texts(format_: Format) -> st.SearchStrategy[str]:
    pieces = st.one_of(
        st.sampled_from((*format_.markers, *SPACES, *WORDS)),
        st.text(st.characters(exclude_categories=["Cs"]), max_size=6),
    )
    return st.lists(pieces, max_size=5).map("".join)


@st.composite
def conversations(draw: st.DrawFn, format_: Format) -> tuple[list[Message], list[dict[str, Any]] | None, str]:
    """1 to 8 turns, perhaps a system message and tools, and which turns to train."""
    said = texts(format_)
    answers = said.map(lambda text: text.replace("</think>", "") if text.strip() else text + "Yes")
    messages: list[Message] = []
    tools = None
    if draw(st.booleans()):
        messages.append({"role": "system", "content": draw(said)})
    if draw(st.booleans()):
        tools = [{"type": "function", "function": {"name": "weather", "description": draw(said), "parameters": {}}}]
    for turn in range(draw(st.integers(1, 8))):
        if turn % 2 == 0:
            messages.append({"role": "user", "content": draw(said)})
            continue
        if tools and format_.calls and draw(st.booleans()):
            values = st.one_of(said, st.integers())
            arguments = draw(st.dictionaries(st.sampled_from(("city", "day")), values, min_size=1))
            call = {"id": "call00001", "type": "function", "function": {"name": "weather", "arguments": arguments}}
            messages.append({"role": "assistant", "content": "", "tool_calls": [call]})
            messages.append({"role": "tool", "content": draw(said), "name": "weather", "tool_call_id": "call00001"})
        messages.append({"role": "assistant", "content": draw(answers)})
        if draw(st.integers(0, 5)) == 0:
            messages[-1]["loss"] = False
        if format_.thinks and draw(st.integers(0, 3)) == 0:
            messages[-1]["reasoning_content"] = "so " + draw(answers)
    return messages, tools, draw(st.sampled_from(("assistant", "assistant", "last")))


def as_trained(messages: list[Message], trained: str) -> list[Message]:
    """The same with `last` spelt out as loss: false on all earlier answers."""
    answers = [index for index, message in enumerate(messages) if message["role"] == "assistant"]
    if trained == "assistant" or not answers:
        return messages
    earlier = answers[:-1]
    return [message | {"loss": False} if index in earlier else message for index, message in enumerate(messages)]


def agrees(model: Model, messages: list[Message], tools: Any, trained: str) -> None:
    """Our mask is the independent one; every trained span ends with the end-of-turn token; nothing else is trained."""
    part = Part("conversation", messages)
    try:
        reference = expected(model.format, as_trained(messages, trained), tools, model.plain)
    except Refused:
        with pytest.raises(BadRow):
            render(part, tools, model.ours, trained)
        return
    ours = render(part, tools, model.ours, trained)
    assert ours.text == reference.text
    own = theirs(model.format, messages, tools)
    assert ours.text == own or (ours.text.removeprefix(own) in model.format.end and messages[-1]["role"] == "assistant")
    assert ours.ids.tolist() == reference.ids
    assert ours.trained.tolist() == reference.trained
    ends = {model.plain.token_to_id(token) for token in model.format.end}
    for place, flag in enumerate(ours.trained):
        if flag and not (place + 1 < len(ours.trained) and ours.trained[place + 1]):
            assert ours.ids[place] in ends


@pytest.mark.slow
@EXAMPLES
@given(st.data())
def test_a_mask_is_what_character_arithmetic_says(model: Model, data: st.DataObject) -> None:
    agrees(model, *data.draw(conversations(model.format)))


@pytest.mark.slow
@EXAMPLES
@given(st.data())
def test_a_mask_is_right_where_spaces_are_marks_and_letters_fall_into_bytes(
    spaced_model: Model, data: st.DataObject
) -> None:
    assert spaced_model.ours.fast is None
    agrees(spaced_model, *data.draw(conversations(spaced_model.format)))


@pytest.mark.slow
@EXAMPLES
@given(st.data())
def test_generation_markers_give_the_same_mask(marked_model: Model, data: st.DataObject) -> None:
    assert marked_model.ours.template is not None and marked_model.ours.template.has_markers
    agrees(marked_model, *data.draw(conversations(marked_model.format)))


def format_named(name: str) -> Format:
    return next(format_ for format_ in FORMATS if format_.name == name)


@pytest.fixture(scope="session")
def load(byte_settings: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> Any:
    def load(name: str, template: str | None = None) -> Tokenizer:
        format_ = format_named(name)
        if template is not None:
            format_ = msgspec.structs.replace(format_, template=template)
        return model_of(format_, byte_settings, tmp_path_factory.mktemp("model") / "it").ours

    return cache(load)


def user(text: str) -> Message:
    return {"role": "user", "content": text}


def answer(text: str, **more: Any) -> Message:
    return {"role": "assistant", "content": text, **more}


def calls(*cities: str) -> list[dict[str, Any]]:
    return [
        {"id": f"call0000{place}", "type": "function", "function": {"name": "weather", "arguments": {"city": city}}}
        for place, city in enumerate(cities)
    ]


def shown(tokenizer: Tokenizer, messages: list[Message], trained: str = "assistant", tools: Any = None) -> list[str]:
    """The trained stretches of the text."""
    return stretches(tokenizer, render(Part("conversation", messages), tools, tokenizer, trained))


def stretches(tokenizer: Tokenizer, rendered: Rendered) -> list[str]:
    encoded = tokenizer.encode(rendered.text)
    found: list[str] = []
    open_ = False
    for start, end, flag in zip(encoded.starts, encoded.ends, rendered.trained, strict=True):
        if flag:
            found[len(found) - open_ :] = [(found[-1] if open_ else "") + rendered.text[start:end]]
        open_ = bool(flag)
    return found


def refusal(tokenizer: Tokenizer, messages: list[Message], trained: str = "assistant", tools: Any = None) -> str:
    with pytest.raises(BadRow) as caught:
        render(Part("conversation", messages), tools, tokenizer, trained)
    return caught.value.code


def test_answers_are_trained_with_their_end_and_nothing_behind_it(load: Any) -> None:
    talk = [user("a"), answer("b"), user("c"), answer("d")]
    assert shown(load("smollm2"), talk) == ["b<|im_end|>", "d<|im_end|>"]
    assert shown(load("smollm2"), talk, "last") == ["d<|im_end|>"]
    assert shown(load("smollm2"), [user("a"), answer("b", loss=False), user("c"), answer("d")]) == ["d<|im_end|>"]
    assert shown(load("smollm2"), [user("a"), answer("b"), user("c"), answer("d", loss=False)], "last") == []
    assert all(render(Part("conversation", talk), None, load("smollm2"), "all").trained)


def test_a_text_is_trained_whole_and_ends(load: Any) -> None:
    tokenizer = load("smollm2")
    rendered = render(Part("text", text="Once upon"), None, tokenizer)
    assert rendered.text == "Once upon<|im_end|>" and rendered.trained.all()
    assert rendered.ids[-1] == tokenizer.eos_id and rendered.ids.dtype == "int32"


def test_media_tags_are_never_trained(load: Any) -> None:
    assert shown(load("smollm2"), [user("<image> a"), answer("see <image> there")]) == ["see", " there<|im_end|>"]


def test_a_prompt_ends_where_the_answer_begins(load: Any) -> None:
    rendered = render(Part("prompt", [user("a")]), None, load("smollm2"))
    assert rendered.text.endswith("<|im_start|>assistant\n") and not rendered.trained.any()


def test_a_token_that_straddles_header_and_answer_is_not_trained(load: Any) -> None:
    after = "{{ m.content + (': ' if m.role == 'user' else eos_token) }}"
    tokenizer = load("mistral", "{% for m in messages %}" + after + "{% endfor %}")
    assert shown(tokenizer, [user("a"), answer("Paris")]) == ["</s>"]


def test_glm_turns_end_with_what_opens_the_next_one(load: Any) -> None:
    empty = "\n<think></think>"
    assert shown(load("glm4"), [user("a"), answer("b"), user("c"), answer("d")]) == [
        f"{empty}\nb<|user|>",
        f"{empty}\nd<|user|>",
    ]
    called = shown(load("glm4"), [user("a"), answer("", tool_calls=calls("Rome"))])
    assert called[0].endswith("</tool_call><|observation|>")


def test_reasoning_is_trained_where_the_template_keeps_it_and_refused_where_not(load: Any) -> None:
    thinking = answer("b", reasoning_content="why")
    assert shown(load("qwen3"), [user("a"), thinking]) == ["<think>\nwhy\n</think>\n\nb<|im_end|>"]
    assert shown(load("glm4"), [user("a"), thinking]) == ["\n<think>why</think>\nb<|user|>"]
    assert shown(load("qwen3"), [user("a"), answer("<think>\nwhy\n</think>\n\nb")]) == [
        "<think>\nwhy\n</think>\n\nb<|im_end|>"
    ]
    for name in ("qwen3", "glm4"):
        assert refusal(load(name), [user("a"), thinking, user("c"), answer("d")]) == "drops_reasoning"
        assert len(shown(load(name), [user("a"), thinking, user("c"), answer("d")], "last")) == 1
    # A thought that also stands in the answer is still missed.
    for name in ("smollm2", "llama3", "deepseek-r1-distill"):
        assert refusal(load(name), [user("a"), answer("so b", reasoning_content="so")]) == "drops_reasoning"
    assert refusal(load("deepseek-r1-distill"), [user("a"), answer("<think>so</think>so b")]) == "drops_reasoning"


def test_an_answer_after_thoughts_that_later_go_is_refused(load: Any) -> None:
    talk = [
        user("a"),
        answer("", tool_calls=calls("Rome"), reasoning_content="look", loss=False),
        {"role": "tool", "content": "sun"},
        answer("fine"),
        user("c"),
        answer("d"),
    ]
    assert refusal(load("qwen3"), talk) == "rewritten_turns"
    assert shown(load("qwen3"), talk[:4]) == ["<think>\n\n</think>\n\nfine<|im_end|>"]
    assert len(shown(load("qwen3"), talk, "last")) == 1


def test_a_template_that_moves_the_system_message_trains_the_last_turn_only(load: Any) -> None:
    moving = load(
        "mistral",
        "{{ bos_token }}{% set rest = messages | rejectattr('role', 'equalto', 'system') | list %}{% for m in rest %}"
        "{% if m.role == 'user' %}{{ '[INST] ' }}"
        "{% if loop.index0 >= rest | length - 2 and messages[0].role == 'system' %}"
        "{{ messages[0].content + ' ' }}{% endif %}{{ m.content + '[/INST]' }}"
        "{% else %}{{ ' ' + m.content + eos_token }}{% endif %}{% endfor %}",
    )
    talk = [{"role": "system", "content": "Be kind."}, user("a"), answer("b"), user("c"), answer("d")]
    assert refusal(moving, talk) == "rewritten_turns"
    assert shown(moving, talk, "last") == [" d</s>"]
    assert shown(moving, talk[1:]) == [" b</s>", " d</s>"]


def test_calls_are_trained_or_refused_never_left_out(load: Any) -> None:
    both = [user("a"), answer("", tool_calls=calls("Rome", "Oslo"))]
    assert shown(load("qwen2.5"), both)[0].count("<tool_call>") == 2
    spoken = shown(load("deepseek-r1-distill"), both)[0]
    assert "Oslo" in spoken and spoken.endswith("<｜end▁of▁sentence｜>")
    one = [user("a"), answer("", tool_calls=calls("Rome"))]
    # This template closes a call only from the second one on.
    assert refusal(load("deepseek-r1-distill"), one) == "no_end_of_turn"
    assert refusal(load("llama3.1"), both) == "template_refuses"
    for name in ("smollm2", "phi4", "gemma3", "llama3"):
        assert refusal(load(name), one) == "drops_calls"


def test_an_answer_that_opens_a_conversation_is_trained_behind_its_header(load: Any) -> None:
    greeted = [answer("Hello"), user("a"), answer("b")]
    for name in ("smollm2", "llama3", "llama3.2", "phi4"):
        assert [text[0] for text in shown(load(name), greeted)] == ["H", "b"]


def test_tools_that_a_template_leaves_out_are_told(load: Any) -> None:
    listed = [{"type": "function", "function": {"name": "weather"}}]
    row = Sample("a.jsonl", 1, "messages", (Part("conversation", [user("a"), answer("b")]),), tools=listed)
    assert "tools_left_out" in findings_of(row, load("smollm2"))
    assert "tools_left_out" not in findings_of(row, load("qwen2.5"))


def test_only_the_token_that_stops_a_model_counts_as_the_end(load: Any) -> None:
    said = "{{ '[INST]' + m.content + '[/INST]' if m.role == 'user' else m.content }}"
    ends = "{% if m.role == 'assistant' %}{{ '</s>' if loop.last else '[TOOL_CALLS]' }}{% endif %}"
    tokenizer = load("mistral", "{% for m in messages %}" + said + ends + "{% endfor %}")
    talk = [user("a"), answer("b"), user("c"), answer("d")]
    assert shown(tokenizer, talk[:2]) == ["b</s>"]
    assert refusal(tokenizer, talk) == "rewritten_turns"
    assert shown(tokenizer, talk, "last") == ["d</s>"]


def test_one_bad_part_of_many_costs_only_itself(load: Any) -> None:
    many = [(Part("conversation", [user("a"), answer(text)]), None) for text in ("b", "\ud800", "c")]
    first, second, third = render_many(many, load("smollm2"))
    assert isinstance(first, Rendered) and isinstance(third, Rendered)
    assert isinstance(second, BadRow) and second.code == "half_surrogate"


THOUGHTS = ("<think>", "</think>", "\n", " ", "a", "b", "ab", "<think>\n\n</think>\n\n", "<|im_end|>")


@EXAMPLES
@given(st.lists(st.lists(st.sampled_from(THOUGHTS), max_size=6).map("".join), min_size=1, max_size=8))
def test_whatever_stands_in_thoughts_nothing_of_an_answer_goes_missing(load: Any, said: list[str]) -> None:
    talk = [user(text) if place % 2 == 0 else answer(text + "z") for place, text in enumerate(said)]
    for name in ("qwen3", "glm4", "deepseek-r1-distill"):
        try:
            spans = shown(load(name), talk)
        except BadRow as refused:
            assert refused.code in ("drops_reasoning", "rewritten_turns")
            continue
        assert len(spans) == len(talk) // 2
        for span, message in zip(spans, talk[1::2], strict=True):
            kept = span.replace("<think>", "").replace("</think>", "").split()
            for word in message["content"].replace("<think>", " ").replace("</think>", " ").split():
                assert any(word in piece for piece in kept)
