"""A data file being read: its bytes as UTF-8, its lines, and where reading stands."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain
from pathlib import Path

from tunesmith.recipes.data.files import compression, encodings
from tunesmith.recipes.data.files.encodings import Encoding
from tunesmith.recipes.data.files.limits import DEFAULT, Limits
from tunesmith.recipes.data.reasons import BadRow
from tunesmith.recipes.data.rows import FileNotice


class Opened:
    """`file` is the path as a person gave it. `line` is that of the last row read, `bytes_read` counts unpacked bytes.

    Every method raises BadRow (`unreadable`, `broken_off`) where the file cannot be read further.
    """

    def __init__(self, file: str, packed: str = "", limits: Limits = DEFAULT) -> None:
        self.file = file
        self.path = Path(file)
        self.packed = packed
        self.limits = limits
        self.line = 0
        self.bytes_read = 0
        self.encoding = Encoding("utf-8")
        self._start: list[bytes] = []
        self._rest: Iterator[bytes] = iter(())
        self._broken: BadRow | None = None

    def open_text(self) -> list[FileNotice]:
        """Finds the encoding from the first bytes; what a person should know about it."""
        self._rest = compression.pieces(self.path, self.packed, self.limits)
        missing = encodings.HEAD_BYTES
        try:
            while missing > 0 and (piece := next(self._rest, b"")):
                self._start.append(piece)
                missing -= len(piece)
        except BadRow as error:
            if error.code == "unreadable":
                raise
            self._broken = error  # raised again where its place is reached
        head = b"".join(self._start)[: encodings.HEAD_BYTES]
        if foreign := compression.archive_of(head) or ("a Parquet file" if head.startswith(b"PAR1") else ""):
            raise BadRow("unreadable", error=f"its content is {foreign}")
        if compression.compression_of(head):
            raise BadRow("unreadable", error="it is compressed twice")
        self.encoding = encodings.detect(head, self.file)
        return list(self.encoding.notices)

    def pieces(self) -> Iterator[bytes]:
        """The text in UTF-8, piece by piece; once, after `open_text`."""
        for piece in encodings.as_utf8(chain(self._start, self._further()), self.encoding):
            self.bytes_read += len(piece)
            yield piece

    def _further(self) -> Iterator[bytes]:
        self._start = []
        if self._broken is not None:
            raise self._broken
        yield from self._rest

    def lines(self) -> Iterator[tuple[int, bytes | None]]:
        """Line numbers from 1 and the lines without their `\\n`; None for a line that is longer than a row may be."""
        return lines(self.pieces(), self.limits.row_bytes)


def lines(pieces: Iterator[bytes], longest: int, first_line: int = 1) -> Iterator[tuple[int, bytes | None]]:
    """Never holds more than `longest` bytes and a piece."""
    number, parts, held = first_line, list[bytes](), 0
    for piece in pieces:
        first, *others = piece.split(b"\n")
        held += len(first)
        if held <= longest:
            parts.append(first)
        else:
            parts.clear()
        if others:
            yield number, b"".join(parts) if held <= longest else None
            for line in others[:-1]:
                number += 1
                yield number, line if len(line) <= longest else None
            number += 1
            parts, held = [others[-1]], len(others[-1])
    if held:
        yield number, b"".join(parts) if held <= longest else None
