"""File formats: how rows are read from the bytes of a file. One file a card."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import cache
from typing import Any

import msgspec

from tunesmith.recipes import catalog
from tunesmith.recipes.data.rows import FileNotice, RawRow, RejectedRow

Row = RawRow | RejectedRow | FileNotice


class Format(msgspec.Struct, frozen=True):
    """`rows(opened)` reads a file (opened.Opened) row by row; a bad row costs one row. Raises BadRow where the file
    cannot be read further, after the rows before that.

    `suffixes` are lower-case with the dot; `sniff(head)` says whether a text that starts so (UTF-8) can be this format.
    A `binary` format reads `opened.path` itself.
    """

    key: str
    title: str
    suffixes: tuple[str, ...]
    sniff: Callable[[bytes], bool]
    rows: Callable[[Any], Iterator[Row]]
    binary: bool = False


@cache
def cards() -> Mapping[str, Format]:
    return catalog.load(__name__, Format)
