"""A file on its way: its bytes in pieces under a temporary name, and beside it a journal of what of each is there.

Nothing is synced before the end. After a power cut the checksums of the journal tell which bytes reached the disk, the
same as after any other damage; a process that is killed loses no more than what it has not journalled.
"""

from __future__ import annotations

import errno
import hashlib
import os
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import TypeVar

import msgspec
import xxhash

from tunesmith.daemon import crash_points
from tunesmith.daemon.hubs import HubFile
from tunesmith.daemon.hubs.limits import Limits
from tunesmith.recipes.errors import MachineError

FORMAT = "tunesmith-pieces"
VERSION = 1
BLOCK_BYTES = 1 << 20  # read from the disk at a time
LONGEST_NAME = 40  # characters of a file's own name in its temporary one, which must fit in 255 bytes
CANNOT_RESERVE = frozenset({errno.EOPNOTSUPP, errno.EINVAL, errno.ENOSYS})
Line = TypeVar("Line")


class Header(msgspec.Struct, frozen=True):
    """The first line of a journal: of a file of `bytes`, in pieces of `piece_bytes` but for the last."""

    format: str
    version: int
    bytes: int
    piece_bytes: int


class Mark(msgspec.Struct, frozen=True):
    """A later line: so many bytes of a piece are there, from its start, with this checksum. The last one counts."""

    piece: int
    bytes: int
    xxh3: str


class Piece:
    """Bytes `start` to `end` of a file, the first `there` of which have arrived.

    `checksum` is that of the journal for the first `journalled`; `running` goes on with it, and is None before the
    bytes that an earlier process left were read again. `done` is set when the whole piece is there and journalled.
    """

    def __init__(self, index: int, start: int, end: int) -> None:
        self.index, self.start, self.end = index, start, end
        self.there = self.journalled = 0
        self.checksum = ""
        self.running: xxhash.xxh3_128 | None = None
        self.done = False

    def __len__(self) -> int:
        return self.end - self.start


class Partial:
    """The temporary file and its journal, as an earlier process left them. Raises OSError, MachineError."""

    def __init__(self, staged: Path, file: HubFile, revision: str, limits: Limits) -> None:
        self.path, self.journal_path = places(staged, file, revision)
        self.journal_bytes = limits.journal_bytes
        self.data = open(self.path, "r+b" if self.path.exists() else "w+b", buffering=0)  # noqa: SIM115 - until `close`
        kept = os.fstat(self.data.fileno()).st_size == file.bytes
        header, marks = read_journal(self.journal_path) if kept else (None, [])
        if header is None or header.bytes != file.bytes:
            self.journal_path.unlink(missing_ok=True)
            reserve(self.data.fileno(), file.bytes)
            header, marks = Header(FORMAT, VERSION, file.bytes, limits.piece_bytes), []
        self.pieces = planned(header)
        for mark in marks:
            self.pieces[mark.piece].there = self.pieces[mark.piece].journalled = mark.bytes
            self.pieces[mark.piece].checksum = mark.xxh3
        for piece in self.pieces:
            piece.done = piece.there == len(piece)
        self.journal = open(self.journal_path, "ab", buffering=0)  # noqa: SIM115 - until `close`
        if self.journal.tell() == 0:
            self.journal.write(msgspec.json.encode(header) + b"\n")

    def write(self, piece: Piece, data: memoryview | bytes) -> None:
        """Append to what is there of `piece`, which `prepare` was called for."""
        assert piece.running is not None
        write_all(self.data.fileno(), data, piece.start + piece.there)
        crash_points.reach("piece.written")
        piece.running.update(data)
        piece.there += len(data)
        if piece.there == len(piece) or piece.there - piece.journalled >= self.journal_bytes:
            self.record(piece)

    def record(self, piece: Piece) -> None:
        """Journal what is there, unless it is already."""
        if piece.running is not None and piece.there != piece.journalled:
            piece.checksum = piece.running.hexdigest()
            self.journal.write(msgspec.json.encode(Mark(piece.index, piece.there, piece.checksum)) + b"\n")
            piece.journalled = piece.there
            crash_points.reach("piece.journalled")
        piece.done = piece.there == len(piece)

    def prepare(self, piece: Piece) -> None:
        """Before writing: go on with what an earlier process left, or begin anew when the disk has something else."""
        if piece.running is None:
            piece.running = xxhash.xxh3_128()
            for block in self.blocks(piece.start, piece.start + piece.there):
                piece.running.update(block)
            if piece.there and piece.running.hexdigest() != piece.checksum:
                self.reset(piece)
                piece.running = xxhash.xxh3_128()

    def reset(self, piece: Piece) -> None:
        """Nothing of the piece counts any more."""
        piece.done, piece.running, piece.checksum = False, None, ""
        piece.there = piece.journalled = 0
        self.journal.write(msgspec.json.encode(Mark(piece.index, 0, "")) + b"\n")

    def blocks(self, start: int, end: int) -> Iterator[bytes]:
        """The bytes from `start` to `end`; fewer when somebody cut the file off."""
        while start < end and (block := os.pread(self.data.fileno(), min(BLOCK_BYTES, end - start), start)):
            yield block
            start += len(block)

    def close(self) -> None:
        self.data.close()
        self.journal.close()

    def discard(self) -> None:
        self.path.unlink(missing_ok=True)
        self.journal_path.unlink(missing_ok=True)


def places(staged: Path, file: HubFile, revision: str) -> tuple[Path, Path]:
    """The temporary names of a file's bytes and journal.

    They depend on its digest, so that bytes of another version are never gone on from and those of an unchanged file
    are kept when the rest of its repository changes; on the revision where the hub tells no digest.
    """
    key = f"{file.path}\0{file.bytes}\0{file.sha256 or file.git_sha1 or revision}"
    name = f"{PurePosixPath(file.path).name[:LONGEST_NAME]}.{hashlib.sha256(key.encode()).hexdigest()[:24]}"
    return staged / f"{name}.incomplete", staged / f"{name}.journal"


def planned(header: Header) -> list[Piece]:
    starts = range(0, header.bytes, header.piece_bytes)
    return [Piece(index, start, min(start + header.piece_bytes, header.bytes)) for index, start in enumerate(starts)]


def bytes_there(staged: Path, file: HubFile, revision: str) -> int:
    """How much an earlier process left of a file, by its journal. Raises MachineError, OSError."""
    path, journal_path = places(staged, file, revision)
    if not path.is_file() or path.stat().st_size != file.bytes:
        return 0
    header, marks = read_journal(journal_path)
    return 0 if header is None or header.bytes != file.bytes else sum(mark.bytes for mark in marks)


def read_journal(path: Path) -> tuple[Header | None, list[Mark]]:
    """The header and the last mark of each piece; None when there is no journal that can be gone on from.

    What follows the first broken line (a crash while it was written) is cut off. Raises MachineError for a journal of a
    newer version, which is left as it is.
    """
    if not path.is_file():
        return None, []
    with path.open("r+b") as journal:
        lines = journal.read().splitlines(keepends=True)
        header = decoded(lines[0], Header) if lines else None
        if header is None or header.format != FORMAT or header.bytes < 0 or header.piece_bytes < 1:
            return None, []
        if header.version > VERSION:
            raise MachineError(
                f"{path} was written by a newer tunesmith", "Update tunesmith, or delete the folder.", "newer_version"
            )
        pieces = planned(header)
        marks: dict[int, Mark] = {}
        good = len(lines[0])
        for line in lines[1:]:
            mark = decoded(line, Mark)
            if mark is None or not 0 <= mark.piece < len(pieces) or not 0 <= mark.bytes <= len(pieces[mark.piece]):
                break
            marks[mark.piece] = mark
            good += len(line)
        journal.truncate(good)
    return header, list(marks.values())


def decoded(line: bytes, form: type[Line]) -> Line | None:
    """None for a line that was not written to its end."""
    try:
        return msgspec.json.decode(line, type=form) if line.endswith(b"\n") else None
    except msgspec.DecodeError:
        return None


def reserve(descriptor: int, size: int) -> None:
    """Make the file so long, with room on the disk where the file system can: then it cannot run full on the way."""
    os.ftruncate(descriptor, 0)
    if size and hasattr(os, "posix_fallocate"):
        try:
            os.posix_fallocate(descriptor, 0, size)
        except OSError as error:
            if error.errno not in CANNOT_RESERVE:
                os.ftruncate(descriptor, 0)
                raise
    os.ftruncate(descriptor, size)


def write_all(descriptor: int, data: memoryview | bytes, offset: int) -> None:
    rest = memoryview(data)
    while rest:
        count = os.pwrite(descriptor, rest, offset)
        rest, offset = rest[count:], offset + count
