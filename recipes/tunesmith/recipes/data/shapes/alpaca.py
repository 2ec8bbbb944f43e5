"""An instruction, an optional input to it, and the output."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tunesmith.recipes.data.parsing import columns, conversation
from tunesmith.recipes.data.reasons import BadRow
from tunesmith.recipes.data.rows import Part
from tunesmith.recipes.data.shapes import Content, Shape

INPUT = ("input", "context")
OUTPUT = ("output", "response", "answer")


def recognise(row: Mapping[str, Any]) -> str | None:
    output = columns.find(row, OUTPUT)
    if "instruction" not in row or output is None or columns.filled(row, "chosen", "rejected", *columns.LABEL):
        return None
    further = columns.find(row, INPUT)
    if output != "output" and further is None:
        return None  # instruction and response alone are a query and a response
    return f"the columns instruction{f', {further}' if further else ''} and {output}"


def parse(row: Mapping[str, Any]) -> Content:
    names = [columns.column(row, ("instruction",)), columns.column(row, OUTPUT)]
    question = columns.text(row, names[0])
    further = columns.column(row, INPUT) if columns.filled(row, *INPUT) else None
    if further is not None:
        names.append(further)
        text = columns.text(row, further)
        question = f"{question}\n\n{text}" if question.strip() and text.strip() else question or text
    answer = columns.filled_text(row, names[1])
    if not question.strip():
        raise BadRow("empty_text", column=names[0])
    turns = columns.history(row) + columns.question_answer(question, answer)
    messages = columns.with_system(row, conversation.checked(turns))
    return columns.content(row, (Part("conversation", messages),), (*names, "history"), [])


CARD = Shape(
    key="alpaca",
    title="Alpaca",
    blurb="Instruction, optional input (or context) after an empty line, and output; history holds earlier turns.",
    source="https://github.com/tatsu-lab/stanford_alpaca",
    example='{"instruction": "Translate to French", "input": "Good day", "output": "Bonjour"}',
    methods=("sft",),
    recognise=recognise,
    parse=parse,
)
