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
    """`rows(opened)` reads an opened file to its end, row by row, and never raises for what is in it.

    `suffixes` are lower-case with the dot; `sniff(head)` says whether the first bytes (decoded) can be this format.
    """

    key: str
    title: str
    suffixes: tuple[str, ...]
    sniff: Callable[[bytes], bool]
    rows: Callable[[Any], Iterator[Row]]


@cache
def cards() -> Mapping[str, Format]:
    return catalog.load(__name__, Format)
