"""A prompt and what follows it, as texts or as lists of messages; only the completion is learned."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tunesmith.recipes.data.parsing import columns, conversation
from tunesmith.recipes.data.reasons import BadRow
from tunesmith.recipes.data.rows import Media, Message, Part
from tunesmith.recipes.data.shapes import Content, Shape


def recognise(row: Mapping[str, Any]) -> str | None:
    if not {"prompt", "completion"} <= row.keys() or columns.filled(row, *columns.LABEL):
        return None
    return "the columns prompt and completion"


def parse(row: Mapping[str, Any]) -> Content:
    media: list[Media] = []
    messages = joined(row, columns.column(row, ("prompt",)), columns.column(row, ("completion",)), media)
    return columns.content(row, (Part("conversation", messages),), ("prompt", "completion"), media)


def joined(row: Mapping[str, Any], prompt: str, completion: str, media: list[Media]) -> list[Message]:
    """The conversation of two columns, with no loss before the completion. Raises BadRow."""
    before = row[prompt] if isinstance(row[prompt], list) else None
    after = row[completion] if isinstance(row[completion], list) else None
    if before is None:
        before = [{"role": "user", "content": columns.filled_text(row, prompt)}]
    if after is None:
        after = [{"role": "assistant", "content": columns.filled_text(row, completion)}]
    messages = conversation.checked(before + after, media)
    answers = messages[len(before) :]
    if not conversation.learns(answers):
        raise BadRow("no_assistant")
    return columns.with_system(row, conversation.untrained(messages[: len(before)]) + answers)


CARD = Shape(
    key="prompt_completion",
    title="Prompt and completion",
    blurb="Two texts or two lists of messages; only the completion is learned.",
    source="https://huggingface.co/docs/trl/dataset_formats",
    example='{"prompt": "The sky is", "completion": "blue."}',
    methods=("sft",),
    recognise=recognise,
    parse=parse,
)
