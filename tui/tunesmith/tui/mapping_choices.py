"""What the columns of ambiguous rows may mean: every answer offered has been tried on the rows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import permutations
from typing import Any

import msgspec

from tunesmith.recipes.data import shapes
from tunesmith.recipes.data.parsing import columns, media_tags, recognition
from tunesmith.recipes.data.reasons import BadRow
from tunesmith.recipes.data.rows import RawRow

CHOICES = 6  # more is no help; any other mapping can be typed
TEXT_COLUMNS = 4  # the first ones: pairs of more would be a long list of nonsense
ROWS_TRIED = 20


class Choice(msgspec.Struct, frozen=True):
    """A shape's key and the mapping (column -> field) that makes the rows fit it."""

    shape: str
    mapping: dict[str, str]


def choices(rows: Sequence[RawRow]) -> list[Choice]:
    """The likeliest first."""
    tried = rows[:ROWS_TRIED]
    found: list[Choice] = []
    for choice in candidates({name: value for row in reversed(tried) for name, value in row.value.items()}):
        if choice not in found and fits(choice, tried):
            found.append(choice)
    return found[:CHOICES]


def candidates(row: Mapping[str, Any]) -> Iterator[Choice]:
    for key, card in shapes.cards().items():
        if card.recognise(row) is not None:
            yield Choice(key, {})
    texts = [name for name, value in row.items() if isinstance(value, str) and name not in media_tags.COLUMNS]
    if any(columns.filled(row, name) for name in media_tags.COLUMNS):
        for name in texts[:TEXT_COLUMNS]:
            yield Choice("query_response", {name: "response"})
    for name, value in row.items():
        for shape, keys in (("messages", ("role", "content")), ("sharegpt", ("from", "value"))):
            if columns.turns(value, *keys):
                yield Choice(shape, {name: "messages" if shape == "messages" else "conversations"})
    for query, response in permutations(texts[:TEXT_COLUMNS], 2):
        yield Choice("query_response", {query: "query", response: "response"})
    for name in texts[:TEXT_COLUMNS]:
        yield Choice("text", {} if name == "text" else {name: "text"})


def fits(choice: Choice, rows: Sequence[RawRow]) -> bool:
    """Whether most of the rows can be read this way."""
    read = 0
    for row in rows:
        try:
            recognition.sample(row, choice.shape, choice.mapping)
        except BadRow:
            continue
        read += 1
    return read * 2 > len(rows)


def typed(text: str) -> dict[str, str]:
    """The mapping in `question=query, reply=response`; raises ValueError naming what is no pair."""
    mapping: dict[str, str] = {}
    for pair in text.replace(",", " ").split():
        column, equals, field = pair.partition("=")
        if not (column and equals and field):
            raise ValueError(pair)
        mapping[column] = field
    return mapping
