"""Rows of data files, read one by one: a bad row costs one row, and a file of any size the same memory."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec

from tunesmith.recipes.data.files import formats
from tunesmith.recipes.data.files.formats import Row, jsonl
from tunesmith.recipes.data.files.json_rows import rows_of_lines, too_long
from tunesmith.recipes.data.files.limits import DEFAULT, Limits
from tunesmith.recipes.data.files.opened import Opened, lines
from tunesmith.recipes.data.files.sources import SourceFile
from tunesmith.recipes.data.reasons import BadRow

CHUNK_BYTES = 2**20
CHUNK_ROWS = 2000


class Chunk(msgspec.Struct, frozen=True):
    """Neighbouring rows of one file, small enough for one piece of work; crosses to other processes.

    Either `rows` that are read already, or `lines` (whole lines of JSONL in UTF-8), or the bytes from `start` to `end`
    of a JSONL file, which whoever works on the chunk reads. `first_line` belongs to the last two.
    """

    file: str
    format: str
    first_line: int = 1
    start: int = 0
    end: int = 0
    rows: list[Row] | None = None
    lines: bytes | None = None


def rows(files: Sequence[SourceFile], limits: Limits = DEFAULT) -> Iterator[Row]:
    """Every row of `files`, and notices about them. Never raises for what is in a file."""
    for chunk in chunks(files, limits):
        yield from rows_of(chunk, limits)


def chunks(files: Sequence[SourceFile], limits: Limits = DEFAULT) -> Iterator[Chunk]:
    """`files` in pieces of about CHUNK_BYTES or CHUNK_ROWS. Never raises for what is in a file."""
    for file in files:
        yield from chunks_of(file, limits)


def chunks_of(file: SourceFile, limits: Limits) -> Iterator[Chunk]:
    """A file that cannot be read further ends with one rejected row, at the line after the last one read."""
    opened = Opened(file.path, file.compression, limits)
    try:
        card = formats.cards()[file.format]
        if not card.binary and (notices := opened.open_text()):
            yield Chunk(file.path, file.format, rows=list[Row](notices))
        if file.format != "jsonl":
            yield from gathered(card.rows(opened), opened, file)
        elif file.compression or not opened.encoding.plain:
            yield from line_chunks(opened, file)
        else:
            yield from byte_ranges(opened, file)
    except BadRow as error:
        yield Chunk(file.path, file.format, rows=[error.at(file.path, opened.line + 1)])


def gathered(found: Iterator[Row], opened: Opened, file: SourceFile) -> Iterator[Chunk]:
    """Rows read here, for formats whose rows cannot be told from its bytes. Raises BadRow after the rows before."""
    held: list[Row] = []
    from_byte = opened.bytes_read
    broken: BadRow | None = None
    try:
        for row in found:
            held.append(row)
            if len(held) >= CHUNK_ROWS or opened.bytes_read - from_byte >= CHUNK_BYTES:
                yield Chunk(file.path, file.format, rows=held)
                held, from_byte = [], opened.bytes_read
    except BadRow as error:
        broken = error
    if held:
        yield Chunk(file.path, file.format, rows=held)
    if broken is not None:
        raise broken


def line_chunks(opened: Opened, file: SourceFile) -> Iterator[Chunk]:
    """Lines unpacked or transcoded here and decoded by whoever works on the chunk. Raises BadRow."""
    for first_line, found in jsonl.batches(opened):
        if isinstance(found, bytes):
            yield Chunk(file.path, file.format, first_line, lines=found)
        else:
            yield Chunk(file.path, file.format, rows=[found])


def byte_ranges(opened: Opened, file: SourceFile) -> Iterator[Chunk]:
    """Ranges that start and end with whole lines; only the line ends are looked at here. Raises BadRow."""
    start = place = opened.encoding.mark
    first_line = 1
    try:
        with opened.path.open("rb") as stream:
            stream.seek(start)
            while block := stream.read(CHUNK_BYTES):
                if (last := block.rfind(b"\n")) >= 0:
                    end = place + last + 1
                    yield Chunk(file.path, file.format, first_line, start, end)
                    lines_before = block.count(b"\n")
                    start, first_line = end, first_line + lines_before
                    opened.line = first_line - 1
                place += len(block)
    except OSError as error:
        raise BadRow("broken_off", error=error.strerror or error) from error
    if place > start:
        yield Chunk(file.path, file.format, first_line, start, place)


def rows_of(chunk: Chunk, limits: Limits = DEFAULT) -> Iterator[Row]:
    """The rows of a chunk. Never raises for what is in it."""
    if chunk.rows is not None:
        yield from chunk.rows
    elif chunk.lines is not None:
        yield from rows_of_lines(chunk.lines, chunk.file, chunk.first_line, limits)
    elif chunk.end - chunk.start <= 8 * CHUNK_BYTES:
        yield from rows_of_range(chunk, limits)
    else:  # one line much longer than a chunk
        yield from rows_of_long_lines(chunk, limits)


def rows_of_range(chunk: Chunk, limits: Limits) -> Iterator[Row]:
    try:
        with Path(chunk.file).open("rb") as stream:
            stream.seek(chunk.start)
            found = stream.read(chunk.end - chunk.start)
    except OSError as error:
        yield BadRow("broken_off", error=error.strerror or error).at(chunk.file, chunk.first_line)
        return
    yield from rows_of_lines(found, chunk.file, chunk.first_line, limits)
    if len(found) < chunk.end - chunk.start:
        line = chunk.first_line + found.count(b"\n") + 1
        yield BadRow("broken_off", error="it became shorter while it was read").at(chunk.file, line)


def rows_of_long_lines(chunk: Chunk, limits: Limits) -> Iterator[Row]:
    number = chunk.first_line
    try:
        for number, line in lines(pieces_of_range(chunk), limits.row_bytes, chunk.first_line):
            if line is None:
                yield too_long(limits).at(chunk.file, number)
            elif line.strip():
                yield from rows_of_lines(line, chunk.file, number, limits)
    except OSError as error:
        yield BadRow("broken_off", error=error.strerror or error).at(chunk.file, number + 1)


def pieces_of_range(chunk: Chunk) -> Iterator[bytes]:
    """Raises OSError."""
    left = chunk.end - chunk.start
    with Path(chunk.file).open("rb") as stream:
        stream.seek(chunk.start)
        while left and (piece := stream.read(min(left, CHUNK_BYTES))):
            left -= len(piece)
            yield piece
    if left:
        raise OSError("it became shorter while it was read")
