"""Filling in a skeleton gives what running the template gives; where that is not certain the template is run."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from chat_formats import FORMATS, shipped
from hypothesis import given, settings
from hypothesis import strategies as st

from tunesmith.recipes.data.reasons import BadRow
from tunesmith.recipes.data.rendering.chat_template import ChatTemplate, environment
from tunesmith.recipes.data.rendering.skeletons import only_copies
from tunesmith.recipes.data.rows import Message

CHATML = (
    "{% for m in messages %}{{ '<|im_start|>' + m['role'] + '\n' + m['content'] + '<|im_end|>' + '\n' }}{% endfor %}"
)
COPYING = {
    "chatml": CHATML + "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}",
    "default system": (
        "{% if messages[0]['role'] != 'system' %}You are kind.\n{% endif %}"
        "{% for m in messages %}{{ m.role ~ ': ' ~ (m.content | trim) }}{% if not loop.last %}\n{% endif %}{% endfor %}"
    ),
    "stripped between spaces": (
        "{{ bos_token }}{% for m in messages %}{% if m.role == 'user' %}[INST] {{ m.content.strip() }} [/INST]"
        "{% elif m.role == 'assistant' %}{{ ' ' + m.content + '</s>' if loop.index0 > 0 else m.content }}"
        "{% else %}{{ raise_exception('only user and assistant') }}{% endif %}{% endfor %}"
    ),
    "twice": "{% for m in messages %}{{ m.content }}|{{ m.content | trim }}{% endfor %}{{ messages | length }}",
}
LOOKING = {
    "condition": "{% for m in messages %}{% if m.content %}{{ m.content }}{% endif %}{% endfor %}",
    "membership": "{% for m in messages %}{% if 'x' in m['content'] %}!{% endif %}{{ m['content'] }}{% endfor %}",
    "another filter": "{% for m in messages %}{{ m.content | upper }}{% endfor %}",
    "split": "{% for m in messages %}{{ m.content.split('</think>')[-1] }}{% endfor %}",
    "trim of other signs": "{% for m in messages %}{{ m.content | trim('x') }}{% endfor %}",
    "variable": "{% for m in messages %}{% set c = m.content %}{{ c }}{% endfor %}",
    "message passed on": "{% for m in messages %}{{ m | tojson }}{% endfor %}",
    "whole conversation": "{{ messages | tojson }}",
    "get": "{% for m in messages %}{% if m.get('content') %}!{% endif %}{{ m.content }}{% endfor %}",
    "values": "{% for m in messages %}{{ m.values() | list | length }}{% endfor %}",
    "worked-out key": "{% for m in messages %}{{ m['con' + 'tent'] | upper }}{% endfor %}",
    "slice": "{% for m in messages[1:] %}{{ m.content | upper }}{% endfor %}",
    "neighbour": "{% for m in messages %}{{ loop.previtem.content if loop.previtem else '' }}{% endfor %}",
    "changed": "{% for m in messages %}{{ loop.changed(m.role) }}{{ m.content }}{% endfor %}",
    "macro": "{% macro say(t) %}{{ t | upper }}{% endmacro %}{% for m in messages %}{{ say(m.content) }}{% endfor %}",
    "block of text": "{% set t %}{% for m in messages %}{{ m.content }}{% endfor %}{% endset %}{{ t | upper }}",
    "filtered block": "{% filter upper %}{% for m in messages %}{{ m.content }}{% endfor %}{% endfilter %}",
    "chance": "{% for m in messages %}{{ m.content }}{{ ['a', 'b'] | random }}{% endfor %}",
    "reassigned": "{% set messages = [] %}{% for m in messages %}{{ m.content }}{% endfor %}",
    "length of text": "{% for m in messages %}{{ m.content }}{{ m.content | length }}{% endfor %}",
    "product": "{% for m in messages %}{{ m.content * 2 }}{% endfor %}",
    "fields of a message": "{% for m in messages %}{% for k in m %}{{ m[k] | upper }}{% endfor %}{% endfor %}",
}
TEXTS = st.one_of(
    st.text(max_size=12),
    st.sampled_from(("", " ", "\n x \n", "\x1f", "\x1fa\x1f", "\ue0000\ue001", "{{ m }}", "[/INST]", "</think>")),
)
ROLES = st.sampled_from(("user", "assistant", "system"))
CONVERSATIONS = st.lists(st.fixed_dictionaries({"role": ROLES, "content": TEXTS}), max_size=5)


def parsed(source: str) -> bool:
    return only_copies(environment(False).parse(source))


@pytest.mark.parametrize("source", COPYING.values(), ids=COPYING)
def test_a_template_that_only_copies_is_known_as_one(source: str) -> None:
    assert parsed(source)


@pytest.mark.parametrize("source", LOOKING.values(), ids=LOOKING)
def test_a_template_that_looks_at_a_content_is_run(source: str) -> None:
    assert not parsed(source)


def test_the_starter_s_template_only_copies(starter_tokenizer_folder: Path) -> None:
    assert parsed((starter_tokenizer_folder / "chat_template.jinja").read_text("utf-8"))


def test_templates_that_treat_reasoning_are_run() -> None:
    assert not any(parsed(shipped(name)) for name in ("qwen3", "deepseek_r1_distill", "glm4moe", "gemma3"))


EVERY = COPYING | {format_.name: format_.template for format_ in FORMATS}


@pytest.mark.parametrize("source", EVERY.values(), ids=EVERY)
@settings(max_examples=300)
@given(conversations=st.lists(CONVERSATIONS, min_size=1, max_size=4), prompt=st.booleans())
def test_filling_in_is_the_same_as_running(source: str, conversations: list[list[Message]], prompt: bool) -> None:
    template = ChatTemplate(source, {"bos_token": "<s>", "eos_token": "</s>"})
    for messages in conversations:  # the first of an order makes the skeleton, the others fill it in
        for asked in (messages, [message | {"content": f"{message['content']} again"} for message in messages]):
            assert outcome(template.text, asked, prompt) == outcome(template._run, asked, prompt)


def outcome(render: Callable[..., str], messages: list[Message], prompt: bool) -> str:
    """The text, or that the template refuses it."""
    try:
        return str(render(messages, prompt=prompt))
    except (BadRow, *ChatTemplate("", {})._failures):
        return "refused"
