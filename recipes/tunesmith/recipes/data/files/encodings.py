"""Which encoding a file has, decided from its first 4 MiB, and its bytes as UTF-8.

Bytes that are no text in the encoding found come out as bytes that are not UTF-8, so that exactly their row is
rejected. Windows-1252 is assumed only where single bytes above 127 stand between ASCII letters, as in Western texts:
a UTF-8 file with some damaged rows stays UTF-8, and GBK or Shift-JIS are never taken for it.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterable, Iterator

import msgspec

from tunesmith.recipes.data.reasons import BadRow
from tunesmith.recipes.data.rows import FileNotice

HEAD_BYTES = 4 * 2**20
MARKS = {  # longest first: the mark of UTF-32 LE begins with that of UTF-16 LE
    codecs.BOM_UTF32_LE: "utf-32-le",
    codecs.BOM_UTF32_BE: "utf-32-be",
    codecs.BOM_UTF8: "utf-8",
    codecs.BOM_UTF16_LE: "utf-16-le",
    codecs.BOM_UTF16_BE: "utf-16-be",
}
UNMARKED = {rb"[\t-~]\0[\t-~]\0": "utf-16-le", rb"\0[\t-~]\0[\t-~]": "utf-16-be"}
ADJACENT = re.compile(rb"[\x80-\xff]{2,}")
HIGH = re.compile(rb"[\x80-\xff]+")
NOT_CP1252 = re.compile(rb"[\x81\x8d\x8f\x90\x9d]")
ACCIDENTS = 20  # a Western text has at most one pair that happens to be UTF-8 in so many high bytes


class Encoding(msgspec.Struct, frozen=True):
    """`mark` is the length of the byte order mark; `notices` are what a person should know.

    `plain`: the bytes after the mark can be read as UTF-8 lines as they are.
    """

    name: str
    mark: int = 0
    line_end: bytes = b"\n"
    notices: tuple[FileNotice, ...] = ()

    @property
    def plain(self) -> bool:
        return self.name == "utf-8" and self.line_end == b"\n"


def detect(head: bytes, file: str = "") -> Encoding:
    """The encoding of `file`, which begins with `head` (HEAD_BYTES, or the whole file)."""

    def note(code: str, text: str, **values: int) -> None:
        notices.append(FileNotice(file, text.format(**values), code, dict(values)))

    notices: list[FileNotice] = []
    mark = next((mark for mark in MARKS if head.startswith(mark)), b"")
    name = MARKS.get(mark) or next((name for start, name in UNMARKED.items() if re.match(start, head)), "utf-8")
    if name != "utf-8":
        how = "by its byte order mark" if mark else "it has no byte order mark"
        note(name[:6].replace("-", ""), f"read as {name.upper()} ({how})")
    elif mark:
        note("bom", "begins with a byte order mark, which is no part of the first row")
    elif (place := first_bad_byte(head)) is not None:
        line = head.count(b"\n", 0, place) + 1
        if is_cp1252(head):
            name = "cp1252"
            note("cp1252", "read as Windows-1252: line {line} is not UTF-8", line=line)
        else:
            note("damaged", "line {line} is not UTF-8; convert a file in another encoding first", line=line)
    ascii_like = name in ("utf-8", "cp1252")
    old_mac = ascii_like and b"\r" in head and b"\n" not in head
    if old_mac:
        note("cr", "its lines end with a carriage return alone")
    elif ascii_like and b"\r\n" in head:
        note("crlf", "its lines end as on Windows (CRLF)")
    return Encoding(name, len(mark), b"\r" if old_mac else b"\n", tuple(notices))


def first_bad_byte(head: bytes) -> int | None:
    """Where `head` stops being UTF-8; a character cut off by its end is none."""
    if head.isascii():
        return None
    try:
        codecs.getincrementaldecoder("utf-8")().decode(head)
    except UnicodeDecodeError as error:
        return error.start
    return None


def is_cp1252(head: bytes) -> bool:
    """Whether bytes that are not UTF-8 are rather a Western text of Windows-1252; see the first lines of this file."""
    if NOT_CP1252.search(head):
        return False
    high = sum(len(found) for found in HIGH.findall(head))
    adjacent = sum(len(found) for found in ADJACENT.findall(head))
    text = head.decode("utf-8", "ignore")
    utf8_bytes = len(text.encode()) - sum(map(len, re.findall(r"[\0-\x7f]+", text)))
    return adjacent * 2 <= high and utf8_bytes * ACCIDENTS <= high * 2


def as_utf8(pieces: Iterable[bytes], encoding: Encoding) -> Iterator[bytes]:
    """The text in UTF-8 without the mark, lines ending with `\\n`. Raises BadRow `broken_off` within a character."""
    skip = encoding.mark
    keep_bad = "surrogateescape" if encoding.name == "cp1252" else "surrogatepass"
    decoder = None if encoding.name == "utf-8" else codecs.getincrementaldecoder(encoding.name)(keep_bad)
    for piece in pieces:
        if skip:
            skip, piece = max(0, skip - len(piece)), piece[skip:]
        if decoder is not None:
            try:
                piece = decoder.decode(piece).encode("utf-8", "surrogatepass")
            except UnicodeDecodeError as error:
                raise BadRow("broken_off", error=f"it is not {encoding.name.upper()} any more") from error
        yield piece if encoding.line_end == b"\n" else piece.replace(encoding.line_end, b"\n")
    if decoder is not None and decoder.getstate()[0]:
        raise BadRow("broken_off", error="it ends in the middle of a character")
