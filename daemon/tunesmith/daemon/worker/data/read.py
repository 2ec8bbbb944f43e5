"""A JSONL file read line by line, so that one bad line costs one row."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

from tunesmith.daemon.worker.data.rows import HeldOutRow, Message, RejectedRow, TrainingRow
from tunesmith.recipes.errors import DataError

ROLES = ("system", "user", "assistant", "tool")
LINE_KEPT = 2000  # characters of a rejected line written to rejected.jsonl: enough to find it again
Row = TypeVar("Row")


class BadRow(ValueError):
    """Why one row cannot be used."""


def read(file: Path, parse: Callable[[dict[str, Any], str], Row]) -> tuple[list[Row], list[RejectedRow]]:
    """Every row of `file`: parsed, or rejected with its reason; blank lines are no rows.

    Raises DataError when the file cannot be opened.
    """
    rows: list[Row] = []
    rejected: list[RejectedRow] = []
    try:
        for number, raw in lines(file):
            where = f"{file.name}:{number}"
            try:
                rows.append(parse(decode(raw), where))
            except BadRow as error:
                rejected.append(RejectedRow(where, str(error), raw[:LINE_KEPT].decode("utf-8", "replace").strip()))
    except OSError as error:
        raise DataError(f"Cannot read {file}: {error.strerror or error}", "Give the path of a JSONL file.") from error
    return rows, rejected


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
        raise BadRow(f"not UTF-8 at byte {error.start}") from error
    except (json.JSONDecodeError, RecursionError) as error:
        raise BadRow(f"not valid JSON: {error}") from error
    if not isinstance(value, dict):
        raise BadRow("not a JSON object")
    return value


def messages_of(row: dict[str, Any]) -> list[Message]:
    """The checked `messages` of a row. Raises BadRow."""
    found = row.get("messages")
    if not isinstance(found, list) or not found:
        raise BadRow("no 'messages' list" if "messages" not in row else "'messages' is not a filled list")
    messages: list[Message] = []
    for index, message in enumerate(found):
        if not isinstance(message, dict):
            raise BadRow(f"message {index + 1} is not an object")
        role, content = message.get("role"), message.get("content")
        if role not in ROLES:
            raise BadRow(f"message {index + 1} has role {role!r}")
        if not isinstance(content, str):
            raise BadRow(f"message {index + 1} has no text in 'content'")
        if any("\ud800" <= character <= "\udfff" for character in content):
            raise BadRow(f"message {index + 1} has half of a surrogate pair")
        if role == "assistant" and not content.strip():
            raise BadRow(f"message {index + 1} is an empty answer")
        if role == "system" and index:
            raise BadRow(f"message {index + 1} is a system message and not the first")
        trains = message.get("loss", True)
        if not isinstance(trains, bool):
            raise BadRow(f"message {index + 1} has 'loss' that is neither true nor false")
        messages.append({"role": role, "content": content} | ({} if trains else {"loss": False}))
    return messages


def training_row(row: dict[str, Any], where: str) -> TrainingRow:
    """Raises BadRow."""
    messages = messages_of(row)
    if not any(message["role"] == "assistant" and message.get("loss", True) for message in messages):
        raise BadRow("no assistant turn to learn from")
    return TrainingRow(messages, where)


def held_out_row(row: dict[str, Any], where: str) -> HeldOutRow:
    """`answer` may stand in its own field or be the last assistant message. Raises BadRow."""
    messages = messages_of(row)
    answer = row.get("answer")
    if answer is None and messages[-1]["role"] == "assistant":
        answer = messages.pop()["content"]
    if not isinstance(answer, str) or not answer.strip():
        raise BadRow("no expected answer: give 'answer' or end with an assistant message")
    if not messages or messages[-1]["role"] != "user":
        raise BadRow("the question does not end with a user message")
    return HeldOutRow(messages, answer, phrases(row, "accept"), phrases(row, "reject"), where)


def phrases(row: dict[str, Any], key: str) -> tuple[str, ...]:
    """Raises BadRow unless `row[key]` is missing or a list of texts."""
    found = row.get(key, [])
    if not isinstance(found, list) or not all(isinstance(item, str) and item.strip() for item in found):
        raise BadRow(f"'{key}' is not a list of texts")
    return tuple(found)
