"""A prompt to which the model finds answers itself; the other columns are for the reward functions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tunesmith.recipes.data.parsing import columns, conversation
from tunesmith.recipes.data.reasons import BadRow
from tunesmith.recipes.data.rows import Media, Part
from tunesmith.recipes.data.shapes import Content, Shape

PROMPT = ("prompt", "query", "question", "instruction", "input")
# With one of these the row has something to learn from, and another shape.
ANSWERS = (
    *("completion", "response", "output", "chosen", "rejected", "rejected_response", "text", "target", "summary"),
    *columns.POSITIVE,
    *columns.LABEL,
)


def recognise(row: Mapping[str, Any]) -> str | None:
    if columns.filled(row, *ANSWERS):
        return None
    name = columns.messages_column(row)
    if name is not None:
        return f"{name} ends with the user" if columns.roles(row)[-1:] == ["user"] else None
    prompt = row.get("prompt")
    if "answer" in row and isinstance(prompt, str):
        return None  # a question and its answer, unless the shape is given
    if isinstance(prompt, str):
        return "the column prompt and no answer to learn"
    if columns.turns(prompt) and isinstance(prompt, list) and isinstance(prompt[-1], dict):
        return "prompt is a list of messages that ends with the user" if prompt[-1].get("role") == "user" else None
    return None


def parse(row: Mapping[str, Any]) -> Content:
    media: list[Media] = []
    if columns.messages_column(row) or not any(name in row for name in PROMPT):
        name, messages = columns.messages(row, media)
    else:
        name = columns.column(row, PROMPT)
        asked = row[name]
        if not isinstance(asked, list):
            asked = [{"role": "user", "content": columns.filled_text(row, name)}]
        messages = columns.with_system(row, conversation.checked(asked, media))
    if messages[-1]["role"] not in ("user", "tool"):
        raise BadRow("no_question")
    return columns.content(row, (Part("prompt", messages),), (name,), media)


CARD = Shape(
    key="reward_prompt",
    title="Prompts for rewards",
    blurb="Messages that end with the user, or a prompt; the other columns are kept for the reward functions.",
    source="https://huggingface.co/docs/trl/grpo_trainer",
    example='{"messages": [{"role": "user", "content": "What is 6 x 7?"}], "answer": "42"}',
    methods=(),
    recognise=recognise,
    parse=parse,
)
