"""A conversation as ShareGPT exports it: a list of turns with from and value."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tunesmith.recipes.data.parsing import columns, conversation, tool_calls
from tunesmith.recipes.data.reasons import BadRow, short
from tunesmith.recipes.data.rows import Media, Message, Part
from tunesmith.recipes.data.shapes import Content, Shape

ROLES = {
    "human": "user",
    "user": "user",
    "gpt": "assistant",
    "assistant": "assistant",
    "bot": "assistant",
    "chatgpt": "assistant",
    "model": "assistant",
    "system": "system",
    "tool": "tool",
    "observation": "tool",
    "function_response": "tool",
    "function_call": "assistant",
}
KEPT = ("loss", "weight", "reasoning_content", "reasoning", "tool_calls", "name", "tool_call_id")


def recognise(row: Mapping[str, Any]) -> str | None:
    name = columns.messages_column(row, "from", "value")
    if name is None or columns.filled(row, "rejected", *columns.LABEL):
        return None
    return f"{name} is a list of turns with from and value"


def parse(row: Mapping[str, Any]) -> Content:
    name = columns.messages_column(row, "from", "value") or columns.column(row, ("conversations", "messages"))
    media: list[Media] = []
    turns = row[name]
    if not isinstance(turns, list) or not turns:
        raise BadRow("no_messages")
    found = conversation.checked([message(turn, place) for place, turn in enumerate(turns, 1)], media)
    messages = columns.with_system(row, found)
    if not conversation.learns(messages):
        raise BadRow("no_assistant")
    return columns.content(row, (Part("conversation", messages),), (name,), media)


def message(turn: object, place: int) -> Message:
    """The turn as a message, not yet checked. Raises BadRow."""
    if not isinstance(turn, dict):
        raise BadRow("no_object", place=place)
    role, value = turn.get("from"), turn.get("value")
    if not isinstance(role, str) or role not in ROLES:
        raise BadRow("bad_role", place=place, role=short(role), roles=", ".join(ROLES))
    made: Message = {"role": ROLES[role], "content": value}
    if role == "function_call":
        made["content"] = None
        made["tool_calls"] = called(value, place)
    for key in KEPT:
        if turn.get(key) is not None:
            made[key] = turn[key]
    return made


def called(value: object, place: int) -> list[Any]:
    """The calls that a function_call turn holds as JSON text, an object or a list of them. Raises BadRow."""
    if isinstance(value, str):
        try:
            value = tool_calls.decoded(value)
        except (ValueError, RecursionError) as error:
            raise BadRow("bad_tool_calls", place=place, why=str(error)) from error
    return value if isinstance(value, list) else [value]


CARD = Shape(
    key="sharegpt",
    title="ShareGPT",
    blurb="Conversations with from (human, gpt, system, tool) and value.",
    source="https://github.com/lm-sys/FastChat",
    example='{"conversations": [{"from": "human", "value": "Hello"}, {"from": "gpt", "value": "Hi!"}]}',
    methods=("sft",),
    recognise=recognise,
    parse=parse,
)
