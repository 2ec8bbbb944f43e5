"""Which shape the rows of a file have, told from the first of them, and a row of that shape taken apart."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from tunesmith.recipes.data import shapes
from tunesmith.recipes.data.parsing import advice
from tunesmith.recipes.data.reasons import BadRow
from tunesmith.recipes.data.rows import RawRow, Sample
from tunesmith.recipes.errors import DataError, nearest

ROWS_LOOKED_AT = 200  # more would tell no more, and a person waits for it
NO_MAPPING: Mapping[str, str] = {}
# Where rows fit both, the first is meant: it says more about the row.
BEFORE = {("reward_prompt", "messages")}


class Recognised(msgspec.Struct, frozen=True):
    """`shape` is a key of shapes, `why` says in a few words what speaks for it, `mapping` is column -> field as given.

    `others` are further shapes that some of the rows have, `unused` the columns that this shape does not read.
    """

    shape: str
    why: str
    mapping: dict[str, str] = {}
    others: tuple[str, ...] = ()
    unused: tuple[str, ...] = ()


def recognise(
    values: Sequence[Mapping[str, Any]], mapping: Mapping[str, str] = NO_MAPPING, shape: str | None = None
) -> Recognised:
    """The shape of most of the first 200 rows, or the one that is asked for.

    Raises DataError when nothing fits, when two shapes fit equally, and for an unknown column or shape.
    """
    looked_at = values[:ROWS_LOOKED_AT]
    if not looked_at:
        raise DataError("There is no row to recognise", "Give a file with at least one readable row.")
    known_mapping(looked_at, mapping)
    rows = [mapped(value, mapping) for value in looked_at]
    if shape is not None:
        if shape not in shapes.cards():
            raise DataError(f"There is no shape called '{shape}'", nearest(shape, shapes.cards()))
        why = next((found for row in rows if (found := shapes.cards()[shape].recognise(row))), "as asked for")
        return Recognised(shape, why, dict(mapping), (), unused(shape, rows))
    counts: Counter[str] = Counter()
    reasons: dict[str, str] = {}
    for row in rows:
        for key, card in shapes.cards().items():
            why_row = card.recognise(row)
            if why_row is not None:
                counts[key] += 1
                reasons.setdefault(key, why_row)
    if not counts:
        raise advice.nothing_fits(rows, mapping)
    best, most = counts.most_common(1)[0]
    ties = [key for key, count in counts.items() if count == most]
    best = next((key for key in ties if all(key == tie or (key, tie) in BEFORE for tie in ties)), "")
    if not best:
        raise advice.ambiguous(ties, reasons)
    others = tuple(key for key, _ in counts.most_common() if key != best)
    return Recognised(best, reasons[best], dict(mapping), others, unused(best, rows))


def sample(raw: RawRow, shape: str, mapping: Mapping[str, str] = NO_MAPPING) -> Sample:
    """The row as `shape` reads it. Raises BadRow, `not_shape` when it has another shape."""
    value = mapped(raw.value, mapping) if mapping else raw.value
    card = shapes.cards()[shape]
    try:
        content = card.parse(value)
    except BadRow as error:
        if card.recognise(value) is None:
            other = next((key for key, known in shapes.cards().items() if known.recognise(value)), None)
            if other is not None:
                raise BadRow("not_shape", shape=shape, why=f"this row is of the shape {other}") from error
        raise
    used = content.used
    columns = {} if value.keys() <= used else {key: found for key, found in value.items() if key not in used}
    return Sample(raw.file, raw.line, shape, content.parts, content.tools, content.media, content.label, columns)


def mapped(value: Mapping[str, Any], mapping: Mapping[str, str]) -> Mapping[str, Any]:
    """The row with its columns renamed; a column whose name is taken by a renamed one keeps its value elsewhere."""
    if not mapping:
        return value
    targets = {field for column, field in mapping.items() if column in value}
    kept = {
        f"{column} (as it was)" if column in targets else column: found
        for column, found in value.items()
        if column not in mapping
    }
    return kept | {field: value[column] for column, field in mapping.items() if column in value}


def known_mapping(rows: Sequence[Mapping[str, Any]], mapping: Mapping[str, str]) -> None:
    """Raises DataError when a column to rename is in no row, or two become the same field."""
    columns = {column for row in rows for column in row}
    for column in mapping:
        if column not in columns:
            raise DataError(f"No row has a column '{column}'", nearest(column, columns))
    doubled = [field for field, count in Counter(mapping.values()).items() if count > 1]
    if doubled:
        raise DataError(f"Two columns are mapped to '{doubled[0]}'", "Map one column to each field.")


def unused(shape: str, rows: Sequence[Mapping[str, Any]]) -> tuple[str, ...]:
    """Columns of the rows, first seen first, that the shape reads from no row."""
    read: set[str] = set()
    for row in rows:
        try:
            read |= shapes.cards()[shape].parse(row).used
        except BadRow:
            continue  # counted and told where rows are read, this is only about columns
    return tuple(dict.fromkeys(column for row in rows for column in row if column not in read))
