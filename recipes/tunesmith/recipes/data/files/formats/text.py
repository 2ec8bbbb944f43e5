"""Plain text and Markdown: pieces of at most 16 KiB, cut at blank lines, each a row {"text": piece}.

As many whole paragraphs as fit stand in one piece. A paragraph that is longer is cut after a line, a line that is
longer after a space, else anywhere between two characters. Blank lines at the ends of a piece are left out.
"""

from __future__ import annotations

from collections.abc import Iterator

from tunesmith.recipes.data.files.formats import Format, Row
from tunesmith.recipes.data.files.json_rows import shown
from tunesmith.recipes.data.files.opened import Opened
from tunesmith.recipes.data.reasons import BadRow
from tunesmith.recipes.data.rows import RawRow

PIECE_BYTES = 16 * 1024


def rows(opened: Opened) -> Iterator[Row]:
    held = b""
    first_line, next_line = 1, 1
    for piece in opened.pieces():
        held += piece
        while len(held) > PIECE_BYTES:
            cut = place_to_cut(held)
            yield from row(opened, first_line, held[:cut])
            next_line = first_line + held.count(b"\n", 0, cut)
            held, first_line = held[cut:], next_line
    yield from row(opened, first_line, held)


def row(opened: Opened, line: int, piece: bytes) -> Iterator[Row]:
    """The piece as a row; none when it is blank."""
    if not piece.strip():
        opened.line = line
        return
    line += piece[: len(piece) - len(piece.lstrip())].count(b"\n")
    opened.line = line
    try:
        if b"\0" in piece:
            raise BadRow("nul_byte")
        yield RawRow(opened.file, line, {"text": piece.decode().strip("\r\n")})
    except UnicodeDecodeError as error:
        yield BadRow("not_utf8", byte=error.start).at(opened.file, line, shown(piece))
    except BadRow as error:
        yield error.at(opened.file, line, shown(piece))


def place_to_cut(held: bytes) -> int:
    """Where the piece at the start of `held`, which is longer than a piece, ends."""
    for end in (b"\n\n", b"\n\r\n", b"\n", b" "):
        place = held.rfind(end, 0, PIECE_BYTES)
        if place > 0:
            return place + len(end)
    place = PIECE_BYTES
    while place > PIECE_BYTES - 4 and held[place] & 0xC0 == 0x80:  # within a character of UTF-8
        place -= 1
    return place


CARD = Format(key="text", title="plain text", suffixes=(".txt", ".md"), sniff=lambda head: False, rows=rows)
