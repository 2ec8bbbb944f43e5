"""Calls of tools: how a model writes them is found out from its template, and read back out of what it writes."""

from __future__ import annotations

import json

import pytest

from tunesmith.daemon.worker.serve import calls
from tunesmith.daemon.worker.serve.calls import CallForm
from tunesmith.recipes.data.rendering import bounds
from tunesmith.recipes.data.rendering.chat_template import ChatTemplate

START = "{% for m in messages %}<|{{ m.role }}|>{{ m.content }}"
END = "<|end|>{% endfor %}{% if add_generation_prompt %}<|assistant|>{% endif %}"
TOOLS = "{% if tools %}{{ tools | tojson }}{% endif %}"
HERMES = "{% for c in m.tool_calls or [] %}<tool_call>\n{{ c.function | tojson }}\n</tool_call>{% endfor %}"
LLAMA = '{% for c in m.tool_calls or [] %}{"name": "{{ c.function.name }}", "parameters": '
LLAMA += "{{ c.function.arguments | tojson }}}{% endfor %}"
MISTRAL = (
    "{% if m.tool_calls %}[TOOL_CALLS][{% for c in m.tool_calls %}{{ c.function | tojson }}{% endfor %}]{% endif %}"
)
XML = "{% for c in m.tool_calls or [] %}<call name={{ c.function.name }}/>{% endfor %}"


def form(source: str) -> CallForm:
    with bounds.loading("a template"):
        return calls.form_of(ChatTemplate(source, {"eos_token": "<|end|>"}))


@pytest.mark.parametrize(
    ("written", "found"),
    [
        (HERMES, CallForm("<tool_call>\n", "\n</tool_call>")),
        (LLAMA, CallForm("", "", "name", "parameters")),
        (MISTRAL, CallForm("[TOOL_CALLS][", "]")),
        (XML, calls.TOLD),
    ],
)
def test_the_template_shows_how_a_call_is_written(written: str, found: CallForm) -> None:
    assert form(TOOLS + START + written + END) == found


def test_a_template_without_tools_has_them_told_in_the_system_message() -> None:
    assert form(START + END) == calls.TOLD
    tool = {"function": {"name": "f", "parameters": {}}}
    call = {"function": {"name": "f", "arguments": {"x": 1}}}
    told = calls.told(
        [
            {"role": "system", "content": "Be kind."},
            {"role": "user", "content": "Go"},
            {"role": "assistant", "content": "", "tool_calls": [call]},
            {"role": "tool", "content": "42"},
        ],
        [tool],
    )
    assert [message["role"] for message in told] == ["system", "user", "assistant", "user"]
    assert told[0]["content"].startswith("Be kind.") and '"name": "f"' in told[0]["content"]
    assert "<tool_call>" in told[2]["content"] and "42" in told[3]["content"]


def test_calls_are_read_back_and_what_is_none_is_not() -> None:
    one, two = ('{"name": "f", "arguments": {"x": {"y": "}"}}}', '{"name": "g", "arguments": "{}"}')
    text = f"<tool_call>\n{one}\n</tool_call>\n<tool_call>{two}</tool_call>"
    assert calls.read(text, CallForm(), ["f", "g"]) == [("f", json.dumps({"x": {"y": "}"}})), ("g", "{}")]
    assert calls.read(text, CallForm(), ["g"]) == [("g", "{}")]
    for broken in ("", "{", '{"name": "f"}', '{"name": "f", "arguments": 3}', "{" * 5000, '[{"name": 1}]'):
        assert calls.read(broken, CallForm(), ["f"]) == []
