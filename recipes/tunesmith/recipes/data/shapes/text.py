"""Plain text, all of it learned (continued pre-training)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tunesmith.recipes.data.parsing import columns, media_tags
from tunesmith.recipes.data.rows import Part
from tunesmith.recipes.data.shapes import Content, Shape

# Beside one of these a text is likely only half of what is to be learned.
OTHERS = frozenset(
    (
        *("query", "question", "instruction", "prompt", "input", "context"),
        *("response", "answer", "output", "completion", "target", "summary", "translation"),
        *("chosen", "rejected", "positive", "negative", "pos", "neg"),
        *columns.LABEL,
        *columns.MESSAGES,
        *media_tags.COLUMNS,
    )
)


def recognise(row: Mapping[str, Any]) -> str | None:
    if not isinstance(row.get("text"), str) or columns.filled(row, *OTHERS):
        return None
    return "the column text and no answer beside it"


def parse(row: Mapping[str, Any]) -> Content:
    name = columns.column(row, ("text",))
    return columns.content(row, (Part("text", text=columns.filled_text(row, name)),), (name,), [])


CARD = Shape(
    key="text",
    title="Plain text",
    blurb="Texts without turns; every token is learned.",
    source="https://huggingface.co/docs/trl/dataset_formats",
    example='{"text": "The sky is blue because air scatters blue light more than red."}',
    methods=("sft",),
    recognise=recognise,
    parse=parse,
)
