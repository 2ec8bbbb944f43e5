"""A text or a conversation and its class: a name, a number, or a list of classes."""

from __future__ import annotations

from collections.abc import Mapping
from math import isfinite
from typing import Any

from tunesmith.recipes.data.parsing import columns
from tunesmith.recipes.data.reasons import BadRow, short
from tunesmith.recipes.data.rows import Media, Part
from tunesmith.recipes.data.shapes import Content, Shape, kto

TEXT = ("text", "sentence")


def recognise(row: Mapping[str, Any]) -> str | None:
    label = columns.find(row, columns.LABEL)
    if label is None or row[label] is None or kto.recognise(row):
        return None
    name = columns.messages_column(row) or columns.find(row, TEXT)
    return f"the columns {name} and {label}" if name else None


def parse(row: Mapping[str, Any]) -> Content:
    column = columns.column(row, columns.LABEL)
    label = checked(row[column])
    media: list[Media] = []
    if columns.messages_column(row) or not any(name in row for name in TEXT):
        name, messages = columns.messages(row, media)
        part = Part("conversation", messages)
    else:
        name = columns.column(row, TEXT)
        part = Part("text", text=columns.filled_text(row, name))
    return columns.content(row, (part,), (name, column), media, label)


def checked(label: Any) -> Any:
    """A text, a whole number, a finite number, true or false, or a list of texts or whole numbers. Raises BadRow."""
    if isinstance(label, str) and label.strip():
        return label
    if isinstance(label, bool | int) or (isinstance(label, float) and isfinite(label)):
        return label
    if isinstance(label, list) and all(isinstance(item, str | int) and not isinstance(item, bool) for item in label):
        return label
    raise BadRow("no_label", why=f"{short(label)} is no class")


CARD = Shape(
    key="classification",
    title="Classification",
    blurb="text (sentence) or messages, and a label: a name, a number or a list of them.",
    source="https://huggingface.co/docs/transformers/tasks/sequence_classification",
    example='{"text": "What a lovely film.", "label": "positive"}',
    methods=(),
    recognise=recognise,
    parse=parse,
)
