"""A question and its answer, under one of their usual names."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tunesmith.recipes.data.parsing import columns, conversation, media_tags
from tunesmith.recipes.data.rows import Part
from tunesmith.recipes.data.shapes import Content, Shape

# With one of these the question is more than its column, or the row is of another shape.
OTHERS = ("context", "chosen", "rejected", *columns.POSITIVE, *columns.LABEL)


def recognise(row: Mapping[str, Any]) -> str | None:
    query, response = columns.find(row, columns.QUERY), columns.find(row, columns.RESPONSE)
    if response is None or columns.filled(row, *OTHERS) or columns.messages_column(row):
        return None
    if query is None:
        files = [name for name in media_tags.COLUMNS if columns.filled(row, name)]
        fits = bool(files) and not any(name in row for name in (*columns.QUERY, "text"))
        return f"{files[0]} as query and {response} as response" if fits else None
    of_others = (("prompt", "completion"), ("instruction", "output"))
    if (query, response) in of_others or not isinstance(row[query], str):
        return None
    return f"{query} as query and {response} as response"


def parse(row: Mapping[str, Any]) -> Content:
    response = columns.column(row, columns.RESPONSE)
    answer = columns.filled_text(row, response)
    names = [response, "history"]
    if not any(name in row for name in columns.QUERY) and row.keys() & media_tags.COLUMNS.keys():
        # Files alone are the question: the answer describes them.
        question = "".join(media_tags.TAGS[kind] * len(files) for kind, (_, files) in media_tags.listed(row).items())
    else:
        names.append(columns.column(row, columns.QUERY))
        question = columns.filled_text(row, names[-1])
    turns = columns.history(row) + columns.question_answer(question, answer)
    messages = columns.with_system(row, conversation.checked(turns))
    return columns.content(row, (Part("conversation", messages),), names, [])


CARD = Shape(
    key="query_response",
    title="Question and answer",
    blurb="query (question, instruction, prompt, input) and response (answer, output, completion); history, system.",
    source="https://swift.readthedocs.io/en/latest/Customization/Custom-dataset.html",
    example='{"query": "What is the capital of France?", "response": "Paris."}',
    methods=("sft",),
    recognise=recognise,
    parse=parse,
)
