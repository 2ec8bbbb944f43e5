"""JSON text to a row, strictly: a doubled key, NaN and endless nesting are refused, not resolved."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from math import isinf
from typing import Any

from tunesmith.recipes.data.files.limits import DEFAULT, Limits
from tunesmith.recipes.data.reasons import BadRow, short
from tunesmith.recipes.data.rows import RawRow, RejectedRow

TEXT_KEPT = 2000  # characters of a rejected row that are shown: enough to find it again
BLANK = " \t\n\r"


def without_doubles(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) != len(pairs):
        raise BadRow("duplicate_key", key=short(first_doubled(key for key, _ in pairs)))
    return value


def first_doubled(names: Iterable[str]) -> str | None:
    """The first name that stood before; in a row of a million names too."""
    seen: set[str] = set()
    for name in names:
        if name in seen:
            return name
        seen.add(name)
    return None


def finite(text: str) -> float:
    number = float(text)
    if isinf(number):
        raise BadRow("not_json", error=f"the number {short(text)} is too large")
    return number


def no_constant(name: str) -> Any:
    raise BadRow("not_json", error=f"{name} is no JSON value")


DECODER = json.JSONDecoder(object_pairs_hook=without_doubles, parse_float=finite, parse_constant=no_constant)


def checked_depth(value: Any, limits: Limits) -> Any:
    """`value`, which may not be nested too deeply. Raises BadRow."""
    if depth(value) > limits.depth:
        raise BadRow("too_deep")
    return value


def depth(value: Any) -> int:
    """How deeply lists and objects are nested; 0 for a text or a number."""
    level, deepest = [value], 0
    while level := [item for item in level if isinstance(item, dict | list)]:
        deepest += 1
        level = [child for item in level for child in (item.values() if isinstance(item, dict) else item)]
    return deepest


def checked(value: Any, brackets: int, limits: Limits) -> dict[str, Any]:
    """`value` as a row; `brackets` bounds its depth from above. Raises BadRow."""
    if not isinstance(value, dict):
        raise BadRow("not_object", kind=kind(value))
    if brackets > limits.depth:
        checked_depth(value, limits)
    return value


def kind(value: Any) -> str:
    """What a JSON value is, in words."""
    names = {list: "a list", str: "a text", bool: "true or false", int: "a number", float: "a number"}
    return names.get(type(value), "null")


def decoded(text: str) -> Any:
    """The JSON value that `text` is. Raises BadRow."""
    try:
        return DECODER.decode(text)
    except BadRow:
        raise
    except RecursionError as error:
        raise BadRow("too_deep") from error
    except json.JSONDecodeError as error:
        raise BadRow("not_json", error=f"{error.msg} at character {error.pos + 1}") from error
    except ValueError as error:  # an integer of more digits than Python converts
        raise BadRow("not_json", error="a number has too many digits") from error


def too_long(limits: Limits) -> BadRow:
    return BadRow("too_long_row", limit=f"{limits.row_bytes / 2**20:g} MiB")


def row_of_line(line: bytes, limits: Limits = DEFAULT) -> dict[str, Any]:
    """The row that a line of UTF-8 is. Raises BadRow."""
    if len(line) > limits.row_bytes:
        raise too_long(limits)
    try:
        text = line.decode()
    except UnicodeDecodeError as error:
        raise BadRow("not_utf8", byte=error.start) from error
    return checked(decoded(text), text.count("[") + text.count("{"), limits)


def rows_of_lines(lines: bytes, file: str, first_line: int, limits: Limits = DEFAULT) -> Iterator[RawRow | RejectedRow]:
    """A row for every line that is not blank."""
    decode, deepest, longest = DECODER.raw_decode, limits.depth, limits.row_bytes
    for number, line in enumerate(lines.split(b"\n"), first_line):
        try:  # what nearly every line is, without the checks that name what is wrong with the others
            text = line.decode()
            value, end = decode(text)
            alone = end == len(text) or not text[end:].strip(BLANK)
            if alone and type(value) is dict and text.count("[") + text.count("{") <= deepest and len(line) <= longest:
                yield RawRow(file, number, value)
                continue
        except (ValueError, RecursionError):
            pass
        if line.strip():
            try:
                yield RawRow(file, number, row_of_line(line, limits))
            except BadRow as error:
                yield error.at(file, number, shown(line))


def shown(text: bytes | str) -> str:
    """The beginning of a rejected row, as text that can be written anywhere."""
    raw = text if isinstance(text, bytes) else text[:TEXT_KEPT].encode("utf-8", "replace")
    return raw[:TEXT_KEPT].decode("utf-8", "replace").strip()
