"""JSON: a list of objects, or one object that is a row or has one list of rows under any key; read as a stream.

An object is a container when it has a list of objects under a key that is no field of a row and the first of them is
no message. What stands beside that list is not read, and a notice says so. Several objects one after the other are
rows, too.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from tunesmith.recipes.data.files.formats import Format, Row, jsonl
from tunesmith.recipes.data.files.json_rows import DECODER, checked, shown
from tunesmith.recipes.data.files.json_stream import NOT_BLANK, Buffer
from tunesmith.recipes.data.files.opened import Opened
from tunesmith.recipes.data.reasons import BadRow, short
from tunesmith.recipes.data.rows import FileNotice, RawRow, RejectedRow

FIELDS_OF_TURNS = ("messages", "conversations", "conversation", "prompt", "completion", "chosen", "rejected")
ROW_LISTS = frozenset((*FIELDS_OF_TURNS, "tools", "history", "images", "audios", "videos"))
LIST_OF_OBJECTS = re.compile(r"\[\s*\{")
LIST_OF_MESSAGES = re.compile(r'\[\s*\{\s*"(role|from)"')
ENOUGH = 200  # characters that tell what a value is


def rows(opened: Opened) -> Iterator[Row]:
    buffer = Buffer(opened.pieces(), opened.limits)
    if buffer.peek() == "[":
        yield from elements(buffer, opened)
    elif buffer.peek() not in ("", "{"):
        opened.line = 1
        yield BadRow("not_json", error="neither a list nor an object").at(opened.file, 1, shown(buffer.text))
        return
    while buffer.peek() == "{":
        keys = keys_before_list(buffer)
        if keys is None:
            yield one(buffer, opened)
        else:
            yield from container(buffer, opened, keys)
    if buffer.peek():
        raise BadRow("broken_off", error=f"after the end follows {short(buffer.text[buffer.at : buffer.at + 20])}")


def one(buffer: Buffer, opened: Opened) -> RawRow | RejectedRow:
    """The row that starts here. Raises BadRow `broken_off`."""
    text, value = buffer.take()
    opened.line += 1
    try:
        if isinstance(value, BadRow):
            raise value
        if not text.isascii():
            text.encode()
        return RawRow(opened.file, opened.line, checked(value, text.count("[") + text.count("{"), opened.limits))
    except UnicodeEncodeError as error:
        return BadRow("not_utf8", byte=error.start).at(opened.file, opened.line, shown(text))
    except BadRow as error:
        return error.at(opened.file, opened.line, shown(text))


def elements(buffer: Buffer, opened: Opened) -> Iterator[RawRow | RejectedRow]:
    """The rows of the list that starts here; reading goes on behind it. Raises BadRow `broken_off`."""
    buffer.at += 1
    while (character := buffer.peek()) != "]":
        if not character:
            raise BadRow("broken_off", error="the list is not closed")
        row = one(buffer, opened)
        yield row
        if buffer.peek() == ",":
            buffer.at += 1
        elif buffer.peek() != "]" and isinstance(row, RawRow):
            raise BadRow("broken_off", error="a comma or the end of the list is missing")
    buffer.at += 1


def container(buffer: Buffer, opened: Opened, beside: list[str]) -> Iterator[Row]:
    """The rows of the list that starts here, and then what else the object has. Raises BadRow `broken_off`."""
    yield from elements(buffer, opened)
    while buffer.peek() == ",":
        buffer.at += 1
        buffer.peek()
        _, key = buffer.take()
        if buffer.peek() != ":":
            break
        buffer.at += 1
        buffer.peek()
        if len(buffer.text) - buffer.at < ENOUGH and not buffer.ended:
            buffer.more()
        if is_list_of_rows(buffer.text, buffer.at, str(key), ended=True):
            line = opened.line
            count = sum(1 for _ in elements(buffer, opened))
            opened.line = line + 1
            yield BadRow("second_list", key=short(key), count=count).at(opened.file, opened.line)
        else:
            buffer.skip()
            beside.append(str(key))
    if buffer.peek() != "}":
        raise BadRow("broken_off", error="the object is not closed")
    buffer.at += 1
    if beside:
        names = ", ".join(short(key) for key in beside[:10])
        yield FileNotice(opened.file, f"not rows and not read: {names}", "beside", {"names": names})


def keys_before_list(buffer: Buffer) -> list[str] | None:
    """Moves to the list of rows when a container starts here; its keys before that. None for any other object."""
    while True:
        try:
            found = place_of_list(buffer.text, buffer.at, buffer.ended)
        except (IndexError, ValueError, RecursionError):  # more text may tell; if not, reading it as a row says why
            if buffer.ended or len(buffer.text) - buffer.at > buffer.limits.row_bytes:
                return None
            buffer.more()
            continue
        if found is None:
            return None
        buffer.at, keys = found
        return keys


def place_of_list(text: str, at: int, ended: bool) -> tuple[int, list[str]] | None:
    """Where the list of rows of the object at `at` starts, and its keys before that; None when it has none.

    Raises IndexError or ValueError where `text` ends too early to tell, or is no JSON.
    """
    keys: list[str] = []
    place = after_blanks(text, at + 1)
    while text[place] != "}":
        if text[place] == ",":
            place = after_blanks(text, place + 1)
        key, place = DECODER.raw_decode(text, place)
        place = after_blanks(text, place)
        if text[place] != ":" or not isinstance(key, str):
            return None
        place = after_blanks(text, place + 1)
        if is_list_of_rows(text, place, key, ended):
            return place, keys
        place = after_blanks(text, DECODER.raw_decode(text, place)[1])
        keys.append(key)
    return None


def after_blanks(text: str, at: int) -> int:
    found = NOT_BLANK.search(text, at)
    return len(text) if found is None else found.start()


def is_list_of_rows(text: str, at: int, key: str, ended: bool) -> bool:
    """Whether the value of `key` at `at` is a list of rows. Raises IndexError where `text` ends too early to tell."""
    if len(text) - at < ENOUGH and not ended:
        raise IndexError
    return key not in ROW_LISTS and bool(LIST_OF_OBJECTS.match(text, at)) and not LIST_OF_MESSAGES.match(text, at)


def sniff(head: bytes) -> bool:
    """Whether it starts with a list of objects, or with an object that goes on over lines or stands alone."""
    start = head.strip()
    if start[:1] == b"[":
        return start[1:].lstrip()[:1] in (b"{", b"]", b"") and not jsonl.sniff(start)
    _, _, others = start.partition(b"\n")
    goes_on = others.lstrip()[:1] != b"{" and not jsonl.sniff(start)
    return start[:1] == b"{" and (not others or goes_on)


CARD = Format(key="json", title="JSON", suffixes=(".json",), sniff=sniff, rows=rows)
