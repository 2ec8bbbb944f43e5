"""A JSONL file read line by line, so that one bad line costs one row."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

from tunesmith.recipes.data.rows import HeldOutRow, Message, RejectedRow, TrainingRow
from tunesmith.recipes.errors import DataError

ROLES = ("system", "user", "assistant", "tool")
LINE_KEPT = 2000  # characters of a rejected line written to rejected.jsonl: enough to find it again
Row = TypeVar("Row")


# Why a row cannot be used, by code; a screen in another language has the same codes.
REASONS = {
    "not_utf8": "not UTF-8 at byte {byte}",
    "not_json": "not valid JSON: {error}",
    "no_messages": "no filled list called messages",
    "no_object": "message {place} is not an object",
    "bad_role": "message {place} has the role {role}; known: {roles}",
    "no_content": "message {place} ({role}) has no text in content",
    "surrogate": "message {place} has half of a surrogate pair",
    "late_system": "message {place} is a system message and not the first",
    "bad_loss": "message {place} has a loss that is neither true nor false",
    "no_assistant": "no assistant turn to learn from",
    "no_answer": "no expected answer: give 'answer' or end with an assistant message",
    "no_question": "the question does not end with a user message",
    "bad_phrases": "'{key}' is not a list of texts",
}


class BadRow(ValueError):
    """Why one row cannot be used: a code of REASONS and the values of its places."""

    def __init__(self, code: str, **values: object) -> None:
        super().__init__(REASONS[code].format(**values))
        self.code = code
        self.values = values


def read(file: Path, parse: Callable[[dict[str, Any], str], Row]) -> tuple[list[Row], list[RejectedRow]]:
    """Every row of `file`, parsed or rejected. Raises DataError when the file cannot be opened."""
    rows: list[Row] = []
    rejected: list[RejectedRow] = []
    for number, raw, row in parsed(file, parse):
        if isinstance(row, BadRow):
            text = raw[:LINE_KEPT].decode("utf-8", "replace").strip()
            rejected.append(RejectedRow(f"{file.name}:{number}", str(row), text))
        else:
            rows.append(row)
    return rows, rejected


def parsed(file: Path, parse: Callable[[dict[str, Any], str], Row]) -> Iterator[tuple[int, bytes, Row | BadRow]]:
    """Line number from 1, bytes, and the row or why it is none; blank lines are no rows.

    Raises DataError when the file cannot be opened.
    """
    try:
        for number, raw in lines(file):
            try:
                yield number, raw, parse(decode(raw), f"{file.name}:{number}")
            except BadRow as error:
                yield number, raw, error
    except OSError as error:
        raise DataError(f"Cannot read {file}: {error.strerror or error}", "Give the path of a JSONL file.") from error


def lines(file: Path) -> Iterator[tuple[int, bytes]]:
    """Line numbers from 1 and the bytes of every line that is not blank; a byte order mark is dropped."""
    with file.open("rb") as stream:
        for number, raw in enumerate(stream, 1):
            if number == 1:
                raw = raw.removeprefix(b"\xef\xbb\xbf")
            if raw.strip():
                yield number, raw


def decode(raw: bytes) -> dict[str, Any]:
    """Raises BadRow."""
    try:
        value = json.loads(raw.decode("utf-8"))
    except UnicodeDecodeError as error:
        raise BadRow("not_utf8", byte=error.start) from error
    except (json.JSONDecodeError, RecursionError) as error:
        raise BadRow("not_json", error=error) from error
    if not isinstance(value, dict):
        raise BadRow("no_messages")
    return value


def messages_of(row: dict[str, Any]) -> list[Message]:
    """The checked `messages` of a row. Raises BadRow."""
    found = row.get("messages")
    if not isinstance(found, list) or not found:
        raise BadRow("no_messages")
    messages: list[Message] = []
    for place, message in enumerate(found, 1):
        if not isinstance(message, dict):
            raise BadRow("no_object", place=place)
        role, content = message.get("role"), message.get("content")
        if role not in ROLES:
            raise BadRow("bad_role", place=place, role=short(role), roles=", ".join(ROLES))
        if not isinstance(content, str) or (role == "assistant" and not content.strip()):
            raise BadRow("no_content", place=place, role=role)
        if any("\ud800" <= character <= "\udfff" for character in content):
            raise BadRow("surrogate", place=place)
        if role == "system" and place > 1:
            raise BadRow("late_system", place=place)
        trains = message.get("loss", True)
        if not isinstance(trains, bool):
            raise BadRow("bad_loss", place=place)
        messages.append({"role": role, "content": content} | ({} if trains else {"loss": False}))
    return messages


def training_row(row: dict[str, Any], where: str) -> TrainingRow:
    """Raises BadRow."""
    messages = messages_of(row)
    if not any(message["role"] == "assistant" and message.get("loss", True) for message in messages):
        raise BadRow("no_assistant")
    return TrainingRow(messages, where)


def held_out_row(row: dict[str, Any], where: str) -> HeldOutRow:
    """`answer` may stand in its own field or be the last assistant message. Raises BadRow."""
    messages = messages_of(row)
    answer = row.get("answer")
    if answer is None and messages[-1]["role"] == "assistant":
        answer = messages.pop()["content"]
    if not isinstance(answer, str) or not answer.strip():
        raise BadRow("no_answer")
    if not messages or messages[-1]["role"] != "user":
        raise BadRow("no_question")
    return HeldOutRow(messages, answer, phrases(row, "accept"), phrases(row, "reject"), where)


def phrases(row: dict[str, Any], key: str) -> tuple[str, ...]:
    """Raises BadRow unless `row[key]` is missing or a list of texts."""
    found = row.get(key, [])
    if not isinstance(found, list) or not all(isinstance(item, str) and item.strip() for item in found):
        raise BadRow("bad_phrases", key=key)
    return tuple(found)


def short(value: object) -> str:
    """A foreign value as a person can read it in one line."""
    text = repr(value)
    return text if len(text) <= 24 else text[:23] + "…"
