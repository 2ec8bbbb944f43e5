"""CSV and TSV with a header line: one record a row, whose cells are texts.

The comma, semicolon, tab or bar that splits the header into most names separates. Cells stay the texts they are, but:
- in the columns JSON_COLUMNS a cell must be JSON (lists of messages, tools, media), an empty one is null;
- in the columns MESSAGE_COLUMNS a cell that is a JSON list of messages (objects with a role) is read as one, in
  TEXTS_COLUMNS one that is a JSON list of texts; any other is text;
- in the column `label` true and false, in any case, are truth values.
A first column without a name, as pandas writes its index, is left out and a notice says so. A quotation mark that is
never closed costs its line; reading goes on with the next one.
"""

from __future__ import annotations

import csv
from collections import deque
from collections.abc import Iterator
from typing import Any

from tunesmith.recipes.data.files.formats import Format, Row
from tunesmith.recipes.data.files.json_rows import checked_depth, decoded, first_doubled, shown, too_long
from tunesmith.recipes.data.files.limits import Limits
from tunesmith.recipes.data.files.opened import Opened
from tunesmith.recipes.data.reasons import BadRow, short
from tunesmith.recipes.data.rows import FileNotice, RawRow

JSON_COLUMNS = frozenset(
    ("messages", "conversations", "conversation", "tools", "history", "images", "audios", "videos")
)
MESSAGE_COLUMNS = frozenset(("prompt", "completion", "chosen", "rejected"))
TEXTS_COLUMNS = frozenset(("positives", "negatives"))
TRUTH = {"true": True, "false": False}
MOST_LINES = 10_000  # of one record: longer texts stand in no cell, an open quotation mark does
MOST_COLUMNS = 10_000  # a table of texts has a few
SEPARATORS = {",": "comma", "\t": "tab", ";": "semicolon", "|": "bar"}


class Lines(Iterator[str]):
    """The lines of a file for csv.reader; remembers those of the record being read, which can be read again."""

    def __init__(self, opened: Opened) -> None:
        self.of_record: list[tuple[int, bytes | None]] = []
        self.size = 0
        self._opened = opened
        self._lines = opened.lines()
        self._again: deque[tuple[int, bytes | None]] = deque()

    def __next__(self) -> str:
        number, line = self._again.popleft() if self._again else next(self._lines)
        self.of_record.append((number, line))
        self.size += len(line or b"")
        if line is None or self.size > self._opened.limits.row_bytes:
            raise too_long(self._opened.limits)
        if len(self.of_record) > MOST_LINES:
            raise BadRow("stray_quote")
        return line.decode("utf-8", "surrogateescape") + "\n"

    def next_record(self) -> None:
        self.of_record.clear()
        self.size = 0

    def give_back(self, count: int) -> None:
        """The last `count` lines will come again."""
        if count:
            self._again.extendleft(reversed(self.of_record[-count:]))
            del self.of_record[-count:]

    def text(self) -> bytes:
        return b"\n".join(line for _, line in self.of_record if line is not None)


def rows(opened: Opened) -> Iterator[Row]:
    csv.field_size_limit(opened.limits.row_bytes)  # the module's own limit is 128 KiB, and is kept for the process
    lines = Lines(opened)
    separator = separator_of_file(lines, opened)
    names: list[str] | None = None
    for cells in records(lines, opened, separator):
        text = lines.text()
        try:
            if isinstance(cells, BadRow):
                raise cells if names is not None else BadRow("bad_header", error=cells)
            valid(text)
            if names is None:
                names = header(cells)
                yield from notices(opened.file, names, separator)
            else:
                yield RawRow(opened.file, opened.line, row(names, cells, opened.limits))
        except BadRow as error:
            yield error.at(opened.file, opened.line, shown(text))
            if names is None:
                return


def records(lines: Lines, opened: Opened, separator: str) -> Iterator[list[str] | BadRow]:
    """The cells of each record, whose lines are in `lines` and the first of them in `opened.line`; blank ones left out.

    Of a record that cannot be read only the first line is rejected: the next ones may be whole records again.
    """
    reader = csv.reader(lines, delimiter=separator, strict=True)
    while True:
        lines.next_record()
        cells: list[str] | BadRow
        try:
            cells = next(reader)
        except StopIteration:
            return
        except (csv.Error, BadRow) as error:
            if isinstance(error, BadRow) and error.code == "broken_off":
                raise
            alone = len(lines.of_record) == 1
            cells = error if alone and isinstance(error, BadRow) else BadRow("stray_quote")
            lines.give_back(len(lines.of_record) - 1)
            reader = csv.reader(lines, delimiter=separator, strict=True)
        opened.line = lines.of_record[0][0]
        if isinstance(cells, BadRow) or lines.text().strip(b" \r\n"):
            yield cells


def separator_of_file(lines: Lines, opened: Opened) -> str:
    """The character that separates the names of the header; the header is still to be read."""
    lines.next_record()
    line = ""
    try:
        while not line.strip():
            line = next(lines)
    except (StopIteration, BadRow):
        pass
    lines.give_back(len(lines.of_record))
    tab_first = sorted(SEPARATORS, key=lambda separator: separator != "\t")
    candidates = tab_first if opened.path.name.lower().endswith((".tsv", ".tsv.gz", ".tsv.zst")) else SEPARATORS
    return max(candidates, key=lambda separator: columns(line, separator))


def columns(line: str, separator: str) -> int:
    try:
        return len(next(csv.reader([line], delimiter=separator, strict=True), []))
    except csv.Error:
        return 0


def valid(text: bytes) -> None:
    """Raises BadRow unless the record is text."""
    if b"\0" in text:
        raise BadRow("nul_byte")
    try:
        text.decode()
    except UnicodeDecodeError as error:
        raise BadRow("not_utf8", byte=error.start) from error


def header(cells: list[str]) -> list[str]:
    """Column names; "" for one that is left out. Raises BadRow."""
    if len(cells) > MOST_COLUMNS:
        raise BadRow("bad_header", error=f"it has {len(cells):,} columns")
    names = [name.strip() for name in cells]
    if "" in names[1:] or names == [""]:
        raise BadRow("bad_header", error="a column has no name")
    if (doubled := first_doubled(names)) is not None:
        raise BadRow("bad_header", error=f"the column {short(doubled)} stands twice")
    return names


def notices(file: str, names: list[str], separator: str) -> Iterator[FileNotice]:
    if names[0] == "":
        yield FileNotice(file, "the first column has no name and is not read", "unnamed")
    if separator != ("\t" if ".tsv" in file.lower() else ","):
        name = SEPARATORS[separator]
        yield FileNotice(file, f"its columns are separated by the {name}", "separator", {"name": name})


def row(names: list[str], cells: list[str], limits: Limits) -> dict[str, Any]:
    """Raises BadRow."""
    if len(cells) != len(names):
        raise BadRow("wrong_fields", count=len(cells), expected=len(names))
    return {name: value(name, cell, limits) for name, cell in zip(names, cells, strict=True) if name}


def value(column: str, cell: str, limits: Limits) -> Any:
    """A cell by the rules in the first lines of this file. Raises BadRow."""
    if column in JSON_COLUMNS:
        try:
            return checked_depth(decoded(cell), limits) if cell.strip() else None
        except BadRow as error:
            raise BadRow("bad_cell", column=column, error=error) from error
    if column in MESSAGE_COLUMNS | TEXTS_COLUMNS and cell.lstrip().startswith("["):
        try:
            found = checked_depth(decoded(cell), limits)
        except BadRow:
            return cell
        return found if found and all(map(is_message if column in MESSAGE_COLUMNS else is_text, found)) else cell
    return TRUTH.get(cell.strip().lower(), cell) if column == "label" else cell


def is_message(item: Any) -> bool:
    return isinstance(item, dict) and ("role" in item or "from" in item)


def is_text(item: Any) -> bool:
    return isinstance(item, str)


def sniff(head: bytes) -> bool:
    """Whether the first two lines have the same number of columns, more than one."""
    first, second, *_ = [*head.decode("utf-8", "replace").splitlines(), "", ""]
    return any(1 < columns(first, separator) == columns(second, separator) for separator in SEPARATORS)


CARD = Format(key="csv", title="CSV or TSV", suffixes=(".csv", ".tsv"), sniff=sniff, rows=rows)
