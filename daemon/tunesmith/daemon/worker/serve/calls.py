"""How a model writes a call of a tool: found out from its chat template, and read back out of an answer.

A template that knows no tools gets them told in the system message, in the form that most models were trained on.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Sequence
from typing import Any

import msgspec

from tunesmith.daemon.worker.engines import Form
from tunesmith.recipes.data.reasons import BadRow
from tunesmith.recipes.data.rendering.chat_template import PROBE_CALL, PROBE_TOOL, ChatTemplate
from tunesmith.recipes.data.rows import Message

MOST = 16  # calls in one answer
ANY_OBJECT: dict[str, Any] = {"type": "object"}
ASKED: Message = {"role": "user", "content": "qjxask"}


class CallForm(msgspec.Struct, frozen=True):
    """A call is JSON between `open` and `close`. `told`: the template knows no tools, so the messages must tell."""

    open: str = "<tool_call>\n"
    close: str = "\n</tool_call>"
    name_key: str = "name"
    arguments_key: str = "arguments"
    told: bool = False


TOLD = CallForm(told=True)


def form_of(template: ChatTemplate) -> CallForm:
    """From what the template makes of a call whose words it never writes itself. To be called within `bounds`."""
    if "tools" not in template.reads:
        return TOLD
    call: Message = {"role": "assistant", "content": "", "tool_calls": [PROBE_CALL]}
    try:
        prompt = template.text([ASKED], [PROBE_TOOL], prompt=True)
        whole = template.text(template.given([ASKED, call]), [PROBE_TOOL])
    except BadRow:
        return TOLD
    written = whole[len(prompt) :] if whole.startswith(prompt) else whole.rpartition("qjxask")[2]
    start = written.rfind("{", 0, written.find('"qjxcall"'))
    try:
        found, end = json.JSONDecoder().raw_decode(written, start)
    except ValueError:
        return TOLD  # no JSON: such calls are not read back
    name = next((key for key, value in found.items() if value == "qjxcall"), "")
    arguments = next((key for key, value in found.items() if "qjxkey" in str(value)), "")
    if start < 0 or not name or not arguments:
        return TOLD
    close = written[end:]
    for mark in template.tokens.values():
        if isinstance(mark, str) and mark:
            close = close.partition(mark)[0]
    return CallForm(written[:start], close, name, arguments)


def told(messages: Sequence[Message], tools: Sequence[dict[str, Any]]) -> list[Message]:
    """`messages` in plain roles, with `tools` in the system message."""
    listed = "\n".join(json.dumps(tool["function"], ensure_ascii=False) for tool in tools)
    text = (
        f"You may call these functions:\n<tools>\n{listed}\n</tools>\nTo call one, answer with nothing but:\n"
        f'{TOLD.open}{{"name": <its name>, "arguments": <an object>}}{TOLD.close}'
    )
    plain = [_plain(message) for message in messages]
    if plain and plain[0]["role"] == "system":
        return [{"role": "system", "content": f"{plain[0]['content']}\n\n{text}"}, *plain[1:]]
    return [{"role": "system", "content": text}, *plain]


def _plain(message: Message) -> Message:
    if message["role"] == "tool":
        return {"role": "user", "content": f"<tool_response>\n{message['content']}\n</tool_response>"}
    if not message.get("tool_calls"):
        return message
    calls = [json.dumps(call["function"], ensure_ascii=False) for call in message["tool_calls"]]
    said = [message["content"]] if message.get("content") else []
    return {"role": "assistant", "content": "\n".join([*said, *(f"{TOLD.open}{one}{TOLD.close}" for one in calls)])}


def forced(tools: Sequence[dict[str, Any]], form: CallForm) -> Form:
    """One call of one of `tools`, with arguments as its parameters say, between the marks of `form`."""
    calls = [
        {
            "type": "object",
            "properties": {
                form.name_key: {"const": tool["function"]["name"]},
                form.arguments_key: tool["function"].get("parameters") or ANY_OBJECT,
            },
            "required": [form.name_key, form.arguments_key],
        }
        for tool in tools
    ]
    return Form(calls[0] if len(calls) == 1 else {"anyOf": calls}, form.open, form.close)


def read(text: str, form: CallForm, names: Sequence[str]) -> list[tuple[str, str]]:
    """Name and arguments (JSON) of every call in `text`; empty where there is none that can be read."""
    found: list[tuple[str, str]] = []
    decoder, place = json.JSONDecoder(), text.find("{")
    while place >= 0 and len(found) < MOST:
        try:
            value, place = decoder.raw_decode(text, place)
        except (ValueError, RecursionError):
            place += 1
        else:
            name, arguments = value.get(form.name_key), value.get(form.arguments_key)
            if name in names and isinstance(arguments, dict | str):
                found.append((name, arguments if isinstance(arguments, str) else json.dumps(arguments)))
        place = text.find("{", place)
    return found


def new_id() -> str:
    return f"call_{uuid.uuid4().hex[:24]}"
