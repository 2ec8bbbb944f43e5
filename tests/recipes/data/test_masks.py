"""Exactly the answers and their end-of-turn tokens are trained, whatever the template and whatever stands in the text."""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest
from chat_formats import FORMATS, Format, Message, Refused
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from template_reference import expected, spaced_tokenizer, theirs, write_model
from tokenizers import Tokenizer as Plain

from tunesmith.recipes.data.reasons import BadRow
from tunesmith.recipes.data.render import render, render_many
from tunesmith.recipes.data.rows import Part, Rendered
from tunesmith.recipes.data.tokenizer import Tokenizer

EXAMPLES = settings(max_examples=1000, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)
SPACES = ("", " ", "\n", "\t \n", "\u200b", "\xa0", "\u3000", "\r\n", "\ufeff")


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
def model(request: pytest.FixtureRequest, byte_settings: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> Model:
    return model_of(request.param, byte_settings, tmp_path_factory.mktemp("model") / "it")


def texts(format_: Format) -> st.SearchStrategy[str]:
    pieces = st.one_of(
        st.sampled_from((*format_.markers, *SPACES, "Paris", " is fine.", "é", "e\u0301", "😀", "日本", "{{ x }}", "\\n")),
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
            arguments = draw(st.dictionaries(st.sampled_from(("city", "day")), st.one_of(said, st.integers()), min_size=1))
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
    return [
        message | {"loss": False} if index in answers[:-1] else message for index, message in enumerate(messages)
    ]


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


@EXAMPLES
@given(st.data())
def test_a_mask_is_what_character_arithmetic_says(model: Model, data: st.DataObject) -> None:
    agrees(model, *data.draw(conversations(model.format)))
