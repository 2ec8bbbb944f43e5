"""A conversation as a list of messages with role and content, as chat APIs have it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tunesmith.recipes.data.parsing import columns, conversation
from tunesmith.recipes.data.reasons import BadRow
from tunesmith.recipes.data.rows import Media, Part
from tunesmith.recipes.data.shapes import Content, Shape


def recognise(row: Mapping[str, Any]) -> str | None:
    name = columns.messages_column(row)
    if name is None or columns.filled(row, "rejected_response", "rejected", *columns.LABEL):
        return None
    return f"{name} is a list of messages with role and content" if "assistant" in columns.roles(row) else None


def parse(row: Mapping[str, Any]) -> Content:
    media: list[Media] = []
    name, messages = columns.messages(row, media)
    if not conversation.learns(messages):
        raise BadRow("no_assistant")
    return columns.content(row, (Part("conversation", messages),), (name,), media)


CARD = Shape(
    key="messages",
    title="Messages",
    blurb="Conversations of any length; the assistant's turns are learned, loss: false on a message takes it out.",
    source="https://platform.openai.com/docs/guides/supervised-fine-tuning",
    example='{"messages": [{"role": "user", "content": "Hello"}, {"role": "assistant", "content": "Hi!"}]}',
    methods=("sft",),
    recognise=recognise,
    parse=parse,
)
