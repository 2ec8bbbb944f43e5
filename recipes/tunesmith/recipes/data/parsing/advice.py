"""What to tell a person whose rows have no shape that is known, or more than one: the nearest one and what to map."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from typing import Any

from tunesmith.recipes.data.parsing import columns, media_tags
from tunesmith.recipes.errors import DataError

COLUMNS_SHOWN = 12
# field -> names that are close to it in meaning though no alias
MEANINGS = {
    "query": ("q", "user", "user_input", "human", "ask", "problem", "source", "request", "post", "document", "article"),
    "response": ("a", "assistant", "bot", "gpt", "reply", "solution", "target", "summary", "highlights", "translation"),
}


def nothing_fits(rows: Sequence[Mapping[str, Any]], mapping: Mapping[str, str]) -> DataError:
    """The error for rows of no known shape."""
    row = {column: value for row in reversed(rows) for column, value in row.items()}
    found = ", ".join(list(row)[:COLUMNS_SHOWN]) + (", …" if len(row) > COLUMNS_SHOWN else "")
    files = [name for name in media_tags.COLUMNS if columns.filled(row, name)]
    if isinstance(row.get("text"), str) and files and "text" not in mapping:
        return DataError(
            f"The columns {files[0]} and text may mean several things",
            f"If the text is the answer to the {media_tags.COLUMNS[files[0]]}, add: --map text=response. "
            f"If it is a text with {media_tags.TAGS[media_tags.COLUMNS[files[0]]]} tags, add: --shape text.",
        )
    return DataError(f"These rows have no shape that is known; their columns: {found or 'none'}", hint(row))


def ambiguous(shapes: Sequence[str], reasons: Mapping[str, str]) -> DataError:
    """The error for rows that fit several shapes equally well."""
    said = "; ".join(f"{shape} ({reasons[shape]})" for shape in shapes)
    return DataError(f"The rows fit several shapes: {said}", f"Say which one: --shape {shapes[0]}.")


def hint(row: Mapping[str, Any]) -> str:
    """The nearest shape and what to map for it."""
    lists = [name for name, value in row.items() if columns.turns(value) or columns.turns(value, "from", "value")]
    if lists and lists[0] not in columns.MESSAGES:
        return f"Nearest is messages. Add: --map {lists[0]}=messages."
    texts = [name for name, value in row.items() if isinstance(value, str) and name not in media_tags.COLUMNS]
    if {"chosen", "rejected"} <= row.keys():
        prompt = next((name for name in texts if name not in ("chosen", "rejected")), None)
        how = f"Add: --map {prompt}=prompt" if prompt else "Give a column prompt, or lists of messages in both"
        return f"A preference also needs what both answer. {how}."
    if "context" in texts and len(texts) >= 3:
        query = closest(texts, "query", ("question", "instruction", "query"))
        response = closest([name for name in texts if name != query], "response", columns.RESPONSE)
        if query and response and "context" not in (query, response):
            return f"If the context belongs to the question, add: {maps(query, 'instruction', response, 'output')}."
    response = closest(texts, "response", columns.RESPONSE)
    query = closest([name for name in texts if name != response], "query", columns.QUERY)
    if response is None and query is not None:
        response = next((name for name in texts if name != query), None)
    if query is None and response is not None:
        query = next((name for name in texts if name != response), None)
    if query is None and response is None and len(texts) >= 2:
        query, response = texts[:2]
    if query is not None and response is not None:
        return f"Nearest is a question and its answer. Add: {maps(query, 'query', response, 'response')}."
    if query in columns.QUERY:
        return f"There is a question but no answer. To find answers by rewards, add: --map {query}=prompt."
    if texts:
        return f"To learn the whole text, add: --map {texts[0]}=text."
    return "Name the columns as one of the shapes does: messages, query and response, prompt and completion, or text."


def maps(query: str, query_field: str, response: str, response_field: str) -> str:
    pairs = ((query, query_field), (response, response_field))
    return " ".join(f"--map {column}={field}" for column, field in pairs if column != field)


def closest(names: Sequence[str], field: str, aliases: Sequence[str]) -> str | None:
    """The column whose name is nearest to a field in letters or meaning."""
    lower = {name.lower(): name for name in names}
    for known in (*aliases, *MEANINGS[field]):
        if known in lower:
            return lower[known]
    for known in aliases:
        close = difflib.get_close_matches(known, lower, n=1, cutoff=0.7)
        if close:
            return lower[close[0]]
    return None
