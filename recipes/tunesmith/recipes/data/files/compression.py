"""The plain bytes of a file, unpacked piece by piece and never further than the limits allow."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from tunesmith.recipes.data.files.limits import DEFAULT, Limits
from tunesmith.recipes.data.reasons import BadRow
from tunesmith.recipes.units import bytes_text

PIECE_BYTES = 256 * 1024
MAGIC = {b"\x1f\x8b": "gzip", b"\x28\xb5\x2f\xfd": "zstd"}
SUFFIXES = {".gz": "gzip", ".gzip": "gzip", ".zst": "zstd", ".zstd": "zstd"}
ARCHIVES = {b"PK\x03\x04": "a ZIP archive", b"PK\x05\x06": "a ZIP archive", b"7z\xbc\xaf": "a 7z archive"} | {
    b"Rar!": "a RAR archive",
    b"BZh": "packed with bzip2",
    b"\xfd7zXZ": "packed with xz",
}
ARCHIVE_SUFFIXES = (".zip", ".tar", ".tgz", ".tbz2", ".txz", ".7z", ".rar", ".bz2", ".xz", ".tar.gz", ".tar.zst")
TAR_MAGIC = slice(257, 262)


def compression_of(head: bytes) -> str:
    """`gzip`, `zstd` or "" by the first bytes of a file; what it is called does not matter."""
    return next((name for magic, name in MAGIC.items() if head.startswith(magic)), "")


def archive_of(head: bytes) -> str:
    """What kind of archive or foreign packing these first bytes begin, in words; "" for none."""
    if head[TAR_MAGIC] == b"ustar":
        return "a tar archive"
    return next((name for magic, name in ARCHIVES.items() if head.startswith(magic)), "")


def pieces(path: Path, compression: str, limits: Limits = DEFAULT) -> Iterator[bytes]:
    """The bytes of `path` in pieces of at most PIECE_BYTES.

    Raises BadRow: `unreadable` when the file cannot be opened, `broken_off` where it is damaged, ends too early or
    unpacks beyond the limits.
    """
    try:
        raw = path.open("rb")
    except OSError as error:
        raise BadRow("unreadable", error=error.strerror or error) from error
    with raw:
        try:
            if not compression:
                yield from iter(lambda: raw.read(PIECE_BYTES), b"")
                return
            unpacked = 0
            for piece in inflated(raw) if compression == "gzip" else zstd(raw):
                unpacked += len(piece)
                bounded(unpacked, raw.tell(), limits)
                yield piece
        except (OSError, zlib.error) as error:
            raise BadRow("broken_off", error=error) from error


def bounded(unpacked: int, packed: int, limits: Limits) -> None:
    """Raises BadRow when `packed` bytes have become too many."""
    if unpacked > limits.total_bytes:
        raise BadRow("broken_off", error=f"it unpacks to more than {bytes_text(limits.total_bytes)}")
    if unpacked > max(limits.ratio_free_bytes, packed * limits.ratio):
        error = f"{bytes_text(packed)} unpack to more than {bytes_text(unpacked)}, as only a decompression bomb does"
        raise BadRow("broken_off", error=error)


def inflated(raw: IO[bytes]) -> Iterator[bytes]:
    """gzip, also of several members; what stands before a damage still comes out. Raises OSError, zlib.error."""
    inflater, inside = gzip_member(), False
    while packed := raw.read(PIECE_BYTES // 4):
        while packed:
            inside = True
            piece = inflater.decompress(packed, PIECE_BYTES)
            packed = inflater.unconsumed_tail
            if piece:
                yield piece
            if inflater.eof:
                packed = inflater.unused_data.lstrip(b"\0")  # tapes and block devices pad with zeros
                inflater, inside = gzip_member(), False
    while inside and not inflater.eof and (piece := inflater.decompress(b"", PIECE_BYTES)):
        yield piece
    if inside and not inflater.eof:
        raise OSError("the compressed data end too early")


def gzip_member() -> zlib._Decompress:
    return zlib.decompressobj(wbits=31)  # 31: a gzip header and checksum are expected


def zstd(raw: IO[bytes]) -> Iterator[bytes]:
    """zstd, also of several frames. Raises OSError."""
    import pyarrow

    with pyarrow.CompressedInputStream(raw, "zstd") as stream:
        # A read that meets the damage loses what it had unpacked, so reads are small.
        yield from iter(lambda: stream.read(PIECE_BYTES // 16), b"")
