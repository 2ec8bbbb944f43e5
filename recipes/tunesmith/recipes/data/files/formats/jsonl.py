"""JSON Lines: one object a line; a line that is none costs one row."""

from __future__ import annotations

import json
from collections.abc import Iterator

from tunesmith.recipes.data.files.formats import Format, Row
from tunesmith.recipes.data.files.json_rows import rows_of_lines, too_long
from tunesmith.recipes.data.files.opened import Opened
from tunesmith.recipes.data.reasons import BadRow
from tunesmith.recipes.data.rows import RejectedRow

BATCH_BYTES = 2**20  # of lines handed on together
LINES_SNIFFED = 50
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
    """Whether more lines are whole objects than objects with a comma after them, or there is only a part of a line."""
    lines = [line.rstrip() for line in head.split(b"\n") if line.strip()][:LINES_SNIFFED]
    whole = sum(is_object(line) for line in lines)
    before_comma = sum(is_object(line[:-1]) for line in lines if line.endswith(b","))
    if len(lines) == 1 and not whole:
        return lines[0].startswith(b"{")
    return whole > before_comma and (whole > 1 or not lines[0].startswith(b"["))


def is_object(line: bytes) -> bool:
    """Whether an unindented line is a JSON object; a list over several lines indents what it nests."""
    try:
        return line.startswith(b"{") and isinstance(json.loads(line), dict)
    except (ValueError, RecursionError):
        return False


CARD = Format(key="jsonl", title="JSON Lines", suffixes=(".jsonl", ".ndjson"), sniff=sniff, rows=rows)
