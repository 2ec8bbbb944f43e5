"""A file of conversations read row by row, every row accounted for, before any engine is loaded."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import msgspec

from tunesmith.recipes.errors import DataError
from tunesmith.tui.texts import t

ROLES = ("system", "user", "assistant", "tool")
PREVIEW_ROWS = 50  # kept for the preview; the rest is counted only
REJECTED_KEPT = 200  # line numbers kept with their reason
REPORT_EVERY = 2000  # rows between two reports while a large file is read


class Rejected(msgspec.Struct, frozen=True):
    line: int
    reason: str


class Row(msgspec.Struct, frozen=True):
    """A kept row: (role, content) of each message."""

    line: int
    messages: tuple[tuple[str, str], ...]


class DataReport(msgspec.Struct, frozen=True):
    """`rows_read == rows_kept + rows_rejected`; `rejected` and `preview` hold the first of each."""

    file: Path
    rows_read: int = 0
    rows_kept: int = 0
    rows_rejected: int = 0
    rejected: tuple[Rejected, ...] = ()
    preview: tuple[Row, ...] = ()
    finished: bool = False


def check(text: str) -> Iterator[DataReport]:
    """Reports while the file named `text` is read, the last one `finished`.

    Raises DataError when the file cannot be read or holds no usable row.
    """
    path = Path(text.strip()).expanduser()
    if not text.strip():
        raise DataError(t("data.empty_path"), t("data.empty_path_hint"))
    if not path.exists():
        raise DataError(t("data.missing", path=path), t("data.missing_hint"))
    if path.is_dir():
        raise DataError(t("data.folder", path=path), t("data.folder_hint"))
    kept: list[Row] = []
    rejected: list[Rejected] = []
    read = rows_kept = 0
    try:
        with path.open("rb") as file:
            for number, line in enumerate(file, 1):
                line = line.removeprefix(b"\xef\xbb\xbf") if number == 1 else line
                if not line.strip():
                    continue
                read += 1
                row = read_row(line, number)
                if isinstance(row, Rejected):
                    if len(rejected) < REJECTED_KEPT:
                        rejected.append(row)
                else:
                    rows_kept += 1
                    if len(kept) < PREVIEW_ROWS:
                        kept.append(row)
                if read % REPORT_EVERY == 0:
                    yield DataReport(path, read, rows_kept, read - rows_kept, tuple(rejected), tuple(kept))
    except OSError as error:
        raise DataError(t("data.unreadable", path=path, error=error.strerror), t("data.unreadable_hint")) from error
    if not read:
        raise DataError(t("data.empty_file", path=path), t("data.empty_file_hint"))
    yield DataReport(path, read, rows_kept, read - rows_kept, tuple(rejected), tuple(kept), finished=True)


def read_row(line: bytes, number: int) -> Row | Rejected:
    """One line as a conversation, or why it is none; the same rules as the worker's reader (a test compares them)."""
    try:
        row = json.loads(line.decode("utf-8"))
    except UnicodeDecodeError as error:
        return Rejected(number, t("data.not_utf8", byte=error.start))
    except (json.JSONDecodeError, RecursionError) as error:
        return Rejected(number, t("data.not_json", error=error))
    messages = row.get("messages") if isinstance(row, dict) else None
    if not isinstance(messages, list) or not messages:
        return Rejected(number, t("data.no_messages"))
    read: list[tuple[str, str]] = []
    trains = False
    for place, message in enumerate(messages, 1):
        if not isinstance(message, dict):
            return Rejected(number, t("data.no_object", place=place))
        role, content, loss = message.get("role"), message.get("content"), message.get("loss", True)
        if role not in ROLES:
            return Rejected(number, t("data.bad_role", place=place, role=_short(role), roles=", ".join(ROLES)))
        if not isinstance(content, str) or (role == "assistant" and not content.strip()):
            return Rejected(number, t("data.no_content", place=place, role=role))
        if any("\ud800" <= character <= "\udfff" for character in content):
            return Rejected(number, t("data.surrogate", place=place))
        if role == "system" and place > 1:
            return Rejected(number, t("data.late_system", place=place))
        if not isinstance(loss, bool):
            return Rejected(number, t("data.bad_loss", place=place))
        trains = trains or (role == "assistant" and loss)
        read.append((role, content))
    return Row(number, tuple(read)) if trains else Rejected(number, t("data.no_assistant"))


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 24 else text[:23] + "…"


def starter(name: str, maker: str) -> DataReport:
    """The report of the starter's training rows about this persona."""
    from tunesmith.recipes import starter as starter_data
    from tunesmith.recipes.spec import Persona

    rows = starter_data.starter_rows("train", Persona(name=name, maker=maker))
    preview = tuple(
        Row(number, tuple((message["role"], message["content"]) for message in row["messages"]))
        for number, row in enumerate(rows[:PREVIEW_ROWS], 1)
    )
    return DataReport(starter_data.path("train"), len(rows), len(rows), 0, preview=preview, finished=True)
