"""JSON Lines: one object a line; a line that is none costs one row."""

from __future__ import annotations

import json
from collections.abc import Iterator

from tunesmith.recipes.data.formats import Format, Row
from tunesmith.recipes.data.json_rows import rows_of_lines, too_long
from tunesmith.recipes.data.opened import Opened
from tunesmith.recipes.data.reasons import BadRow
from tunesmith.recipes.data.rows import RejectedRow

BATCH_BYTES = 2**20  # of lines handed on together
SNIFFED_LINES = 20  # of a pretty-printed document few lines are objects of their own


def rows(opened: Opened) -> Iterator[Row]:
    for first_line, lines in batches(opened):
        if isinstance(lines, RejectedRow):
            yield lines
        else:
            yield from rows_of_lines(lines, opened.file, first_line, opened.limits)


def batches(opened: Opened) -> Iterator[tuple[int, bytes | RejectedRow]]:
    """The number of the first line and whole lines of about BATCH_BYTES; a line that is too long comes rejected."""
    held: list[bytes] = []
    size = 0
    broken: BadRow | None = None
    try:
        for number, line in opened.lines():
            if line is None or size >= BATCH_BYTES:
                if held:
                    yield number - len(held), b"\n".join(held)
                held, size = [], 0
            opened.line = number
            if line is None:
                yield number, too_long(opened.limits).at(opened.file, number)
            else:
                held.append(line)
                size += len(line) + 1
    except BadRow as error:
        broken = error
    if held:  # a file that breaks off gives the lines before the damage first
        yield opened.line + 1 - len(held), b"\n".join(held)
    if broken is not None:
        raise broken


def sniff(head: bytes) -> bool:
    """Whether the first line that is not blank is an object of its own, or is not but half of the first lines are."""
    lines = [line for line in head.split(b"\n") if line.strip()][:SNIFFED_LINES]
    return bool(lines) and (is_object(lines[0]) or 2 * sum(map(is_object, lines)) >= len(lines))


def is_object(line: bytes) -> bool:
    try:
        return isinstance(json.loads(line), dict)
    except (ValueError, RecursionError):
        return False


CARD = Format(key="jsonl", title="JSON Lines", suffixes=(".jsonl", ".ndjson"), sniff=sniff, rows=rows)
