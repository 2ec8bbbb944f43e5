"""A chat template renders here what transformers renders, and can do no more."""

from __future__ import annotations

import importlib.util
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from chat_formats import CHATML, FORMATS, Format, shipped
from template_reference import theirs

from tunesmith.recipes.data.reasons import BadRow
from tunesmith.recipes.data.rendering.chat_template import ChatTemplate
from tunesmith.recipes.errors import ModelError

TALK: list[dict[str, Any]] = [{"role": "user", "content": "a <b> é"}, {"role": "assistant", "content": "c"}]
FUNCTION = {"name": "weather", "description": "é & <b>", "parameters": {"type": "object"}}
TOOLS = [{"type": "function", "function": FUNCTION}]
REFUSING = ("{{ raise_exception('no') }}", "{{ messages[5].content.x }}", "{{ 1 / 0 }}", "{{ 'a' + 1 }}")


def shipped_names() -> list[str]:
    found = importlib.util.find_spec("trl")
    assert found is not None and found.origin is not None
    return sorted(path.stem for path in (Path(found.origin).parent / "chat_templates").glob("*.jinja"))


def test_every_template_that_trl_ships_renders_as_in_transformers() -> None:
    rendered = 0
    for name in shipped_names():
        source = shipped(name)
        template = ChatTemplate(source, {"bos_token": "<s>", "eos_token": "</s>"})
        assert template.has_markers == ("endgeneration" in source and "{% generation" in source.replace("{%-", "{%"))
        for tools in (None, TOOLS):
            try:
                text = template.text(TALK, tools)
            except BadRow:
                continue  # templates for media want content in parts
            rendered += 1
            assert text == theirs(Format(name, source, "<s>", "</s>", (), lambda *_: [], (), ()), TALK, tools)
            assert template.marked(TALK, tools)[0] == text
    assert rendered > 120


def test_blocks_that_the_model_writes_are_found_in_characters() -> None:
    source = "{% for m in messages %}[{% generation %}{{ m.content }}{% endgeneration %}]{% endfor %}"
    template = ChatTemplate(source, {})
    text, spans = template.marked(TALK)
    assert text == "[a <b> é][c]" and spans == [(1, 8), (10, 11)]


def test_a_template_that_raises_costs_the_row_and_says_why() -> None:
    for source in REFUSING:
        with pytest.raises(BadRow, match=r"the chat template refuses this: .+"):
            ChatTemplate(source, {}).text(TALK)


def test_a_template_cannot_reach_into_the_interpreter() -> None:
    for source in (
        "{{ ''.__class__.__mro__ }}",
        "{{ messages.append(1) }}",
        "{% set n = namespace(__init__=1) %}",
        "{% set n = namespace() %}{% set n._x = 1 %}",
    ):
        with pytest.raises(BadRow):
            ChatTemplate(source, {}).text(TALK)


def test_a_broken_template_is_the_models_fault() -> None:
    with pytest.raises(ModelError, match="cannot be read"):
        ChatTemplate("{% for %}", {})


def test_a_run_over_midnight_has_one_date() -> None:
    template = ChatTemplate("{{ strftime_now('%d %b %Y') }}", {}, datetime(2025, 2, 3))
    assert template.text(TALK) == "03 Feb 2025"


def test_messages_reach_the_template_without_what_is_only_ours() -> None:
    template = ChatTemplate("{{ messages | tojson }}", {})
    given = template.given([{"role": "assistant", "content": "a", "loss": False, "reasoning_content": "b"}])
    assert "loss" not in given[0] and given[0]["thinking"] == given[0]["reasoning_content"] == "b"
    assert template.given(TALK) is TALK


def test_calls_take_the_form_that_the_template_can_write() -> None:
    call = {"type": "function", "function": {"name": "weather", "arguments": {"city": "Rome"}}}
    talk = [TALK[0], {"role": "assistant", "content": "", "tool_calls": [call]}]
    plain = ChatTemplate(shipped("qwen2_5"), {}).given(talk)[1]
    assert plain["content"] == "" and plain["tool_calls"] == [call]
    bare = ChatTemplate(shipped("deepseek_r1_distill"), {"bos_token": ""}).given(talk)[1]
    assert bare["content"] is None and bare["tool_calls"][0]["function"]["arguments"] == '{"city": "Rome"}'


def test_all_formats_of_the_tests_render() -> None:
    assert len(FORMATS) == 11
    assert ChatTemplate(CHATML, {}).text(TALK, prompt=True).endswith("<|im_start|>assistant\n")
