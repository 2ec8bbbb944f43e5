"""Two answers to the same messages, one better than the other."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tunesmith.recipes.data.parsing import columns, conversation
from tunesmith.recipes.data.reasons import BadRow
from tunesmith.recipes.data.rows import Media, Message, Part
from tunesmith.recipes.data.shapes import Content, Shape, sharegpt

PROMPT = ("prompt", "query", "question", "instruction", "input")


def recognise(row: Mapping[str, Any]) -> str | None:
    if "rejected_response" in row and columns.messages_column(row):
        return f"{columns.messages_column(row)} and rejected_response"
    if not {"chosen", "rejected"} <= row.keys() or columns.filled(row, "label"):
        return None
    before = columns.messages_column(row) or columns.messages_column(row, "from", "value") or columns.find(row, PROMPT)
    if before is not None and row[before] is not None:
        return f"the columns {before}, chosen and rejected"
    if isinstance(row["chosen"], list):
        return "chosen and rejected are whole conversations"
    return None


def parse(row: Mapping[str, Any]) -> Content:
    media: list[Media] = []
    sides: dict[str, list[Message]] = {}
    if columns.filled(row, "rejected_response") or ("rejected_response" in row and "rejected" not in row):
        name, messages = columns.messages(row, media)
        if messages[-1]["role"] != "assistant":
            raise BadRow("no_last_answer", part=name)
        rejected = columns.filled_text(row, "rejected_response")
        sides = {"chosen": messages, "rejected": [*messages[:-1], {"role": "assistant", "content": rejected}]}
        names: tuple[str, ...] = (name, "rejected_response")
    else:
        prompt, before = prompt_of(row)
        for side in ("chosen", "rejected"):
            columns.column(row, (side,))
            found: list[Media] = []
            sides[side] = columns.with_system(row, whole(row, side, prompt, before, found))
            media = media or found
        names = ("chosen", "rejected", *([prompt] if prompt else []))
        if sides["chosen"][:-1] != sides["rejected"][:-1]:
            raise BadRow("different_prompts")
    parts = tuple(Part(side, conversation.last_learned(messages)) for side, messages in sides.items())
    return columns.content(row, parts, names, media)


def prompt_of(row: Mapping[str, Any]) -> tuple[str | None, list[Any]]:
    """The column of what both answers follow, and it as messages not yet checked. Raises BadRow."""
    name = columns.messages_column(row) or columns.messages_column(row, "from", "value")
    if name is None and any(alias in row for alias in PROMPT):
        name = columns.column(row, PROMPT)
    if name is None or row[name] is None:
        return None, []
    if isinstance(row[name], list):
        return name, as_messages(row[name])
    return name, [{"role": "user", "content": columns.filled_text(row, name)}]


def whole(
    row: Mapping[str, Any], side: str, prompt: str | None, before: list[Any], media: list[Media]
) -> list[Message]:
    """The conversation that ends with the answer in the column `side`. Raises BadRow.

    A list that starts before the assistant's turn is the whole conversation; a prompt beside it must be how it begins.
    """
    answer = row[side]
    if isinstance(answer, dict):
        answer = [answer]
    if not isinstance(answer, list):
        if prompt is None:
            raise BadRow("no_column", field="prompt", others=", ".join(PROMPT[1:]))
        answer = [{"role": "assistant", "content": columns.filled_text(row, side)}]
    turns = as_messages(answer)
    begins = isinstance(turns[0], dict) and turns[0].get("role") in ("system", "user") if turns else False
    messages = conversation.checked(turns if begins else before + turns, media)
    if messages[-1]["role"] != "assistant":
        raise BadRow("no_last_answer", part=side)
    if begins and before:
        asked = [message["content"] for message in conversation.checked(before) if message["role"] == "user"]
        if asked != [message["content"] for message in messages if message["role"] == "user"][: len(asked)]:
            raise BadRow("prompt_differs", part=side)
    return messages


def as_messages(turns: list[Any]) -> list[Any]:
    """Turns with from and value as messages, others as they are. Raises BadRow."""
    if columns.turns(turns, "from", "value"):
        return [sharegpt.message(turn, place) for place, turn in enumerate(turns, 1)]
    return turns


CARD = Shape(
    key="preference",
    title="Preference pairs",
    blurb="A better answer (chosen) and a worse one (rejected) to the same prompt or messages.",
    source="https://huggingface.co/docs/trl/dataset_formats",
    example='{"prompt": "What is 2 + 2?", "chosen": "4.", "rejected": "5."}',
    methods=(),
    recognise=recognise,
    parse=parse,
)
