"""One answer and whether it is wanted."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tunesmith.recipes.data.parsing import columns, conversation
from tunesmith.recipes.data.reasons import BadRow, short
from tunesmith.recipes.data.rows import Media, Part
from tunesmith.recipes.data.shapes import Content, Shape
from tunesmith.recipes.data.shapes.prompt_completion import joined

PROMPT = ("prompt", "query", "question", "instruction", "input")
COMPLETION = ("completion", "response", "answer", "output")
WORDS = {"true": True, "false": False, "1": True, "0": False}  # as tables spell them


def recognise(row: Mapping[str, Any]) -> str | None:
    label = row.get("label")
    name = columns.messages_column(row)
    if name is not None:
        ends = columns.roles(row)[-1:] == ["assistant"]
        return f"{name} and label, true or false" if ends and wanted(label, numbers=False) is not None else None
    prompt, completion = columns.find(row, PROMPT), columns.find(row, COMPLETION)
    if prompt is None or completion is None or wanted(label) is None or isinstance(label, float):
        return None
    return f"the columns {prompt}, {completion} and label, true or false"


def wanted(label: object, numbers: bool = True) -> bool | None:
    """What a label says, None when it is neither true nor false; `numbers` lets 1 and 0 say so too."""
    if isinstance(label, bool):
        return label
    if isinstance(label, str):
        word = label.strip().lower()
        return WORDS.get(word) if numbers or not word.isdigit() else None
    return bool(label) if numbers and isinstance(label, int) and label in (0, 1) else None


def parse(row: Mapping[str, Any]) -> Content:
    label = wanted(row.get("label"))
    if label is None:
        raise BadRow("no_label", why=f"{short(row.get('label'))} is neither true nor false")
    media: list[Media] = []
    if columns.messages_column(row):
        name, messages = columns.messages(row, media)
        names = [name]
        if messages[-1]["role"] != "assistant":
            raise BadRow("no_last_answer", part=name)
    else:
        names = [columns.column(row, PROMPT), columns.column(row, COMPLETION)]
        messages = joined(row, names[0], names[1], media)
        if messages[-1]["role"] != "assistant":
            raise BadRow("no_last_answer", part=names[1])
    part = Part("conversation", conversation.last_learned(messages))
    return columns.content(row, (part,), (*names, "label"), media, label)


CARD = Shape(
    key="kto",
    title="Wanted and unwanted answers",
    blurb="One answer a row and a label: true when it is wanted, false when it is not.",
    source="https://huggingface.co/docs/trl/dataset_formats",
    example='{"prompt": "What is 2 + 2?", "completion": "4.", "label": true}',
    methods=(),
    recognise=recognise,
    parse=parse,
)
