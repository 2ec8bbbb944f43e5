"""A file of conversations read row by row, every row accounted for, before any engine is loaded."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import msgspec

from tunesmith.recipes.data.reading import BadRow, parsed, training_row
from tunesmith.recipes.data.rows import Message
from tunesmith.recipes.errors import DataError
from tunesmith.tui.texts import t

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
        for read, (number, _, row) in enumerate(parsed(path, training_row), 1):
            if isinstance(row, BadRow):
                if len(rejected) < REJECTED_KEPT:
                    rejected.append(Rejected(number, t(f"data.{row.code}", **row.values)))
            else:
                rows_kept += 1
                if len(kept) < PREVIEW_ROWS:
                    kept.append(Row(number, shown(row.messages)))
            if read % REPORT_EVERY == 0:
                yield DataReport(path, read, rows_kept, read - rows_kept, tuple(rejected), tuple(kept))
    except DataError as error:
        raise DataError(t("data.unreadable", path=path, error=error.message), t("data.unreadable_hint")) from error
    if not read:
        raise DataError(t("data.empty_file", path=path), t("data.empty_file_hint"))
    yield DataReport(path, read, rows_kept, read - rows_kept, tuple(rejected), tuple(kept), finished=True)


def shown(messages: list[Message]) -> tuple[tuple[str, str], ...]:
    """(role, content) of each message, for the preview."""
    return tuple((str(message["role"]), str(message["content"])) for message in messages)


def starter(name: str, maker: str) -> DataReport:
    """The report of the starter's training rows about this persona."""
    from tunesmith.recipes import starter as starter_data
    from tunesmith.recipes.spec import Persona

    rows = starter_data.starter_rows("train", Persona(name=name, maker=maker))
    preview = tuple(
        Row(number, shown(row["messages"]))
        for number, row in enumerate(rows[:PREVIEW_ROWS], 1)
    )
    return DataReport(starter_data.path("train"), len(rows), len(rows), 0, preview=preview, finished=True)
