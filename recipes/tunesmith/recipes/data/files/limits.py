"""How much of a file reading will hold or unpack, so that no file can exhaust memory or disk time."""

from __future__ import annotations

import msgspec


class Limits(msgspec.Struct, frozen=True):
    """`row_bytes` bounds what is held at once; a longer row is one rejected row and is skipped unread.

    A compressed file may unpack to `ratio` times what was read of it (text rarely passes 20, a bomb reaches 1000) once
    `ratio_free_bytes` are passed, and to `total_bytes` at most. `depth` counts nested lists and objects of a row.
    """

    row_bytes: int = 32 * 2**20
    ratio: int = 200
    ratio_free_bytes: int = 64 * 2**20  # small files of equal rows compress better than any honest large one
    total_bytes: int = 64 * 2**30
    depth: int = 100  # a JSON schema of a tool stays below 20; Python's own recursion ends near 1000


DEFAULT = Limits()
