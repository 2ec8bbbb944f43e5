"""What a report is made of, whatever file it becomes: headings, sentences, tables, pictures, code."""

from __future__ import annotations

import msgspec


class Heading(msgspec.Struct, frozen=True):
    """`level` 1 is the report's own."""

    text: str
    level: int = 2


class Paragraph(msgspec.Struct, frozen=True):
    """`mark` is a symbol before it, where it says more than the words."""

    text: str
    mark: str = ""


class Table(msgspec.Struct, frozen=True):
    """`figures` are the columns that hold numbers."""

    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    figures: frozenset[int] = frozenset()


class Code(msgspec.Struct, frozen=True):
    """`language` is yaml or bash; a long one can be folded away under its `title`."""

    text: str
    language: str
    title: str = ""


class Picture(msgspec.Struct, frozen=True):
    """`name` is its file's, without what comes before and after; `said` is what it shows, in words."""

    name: str
    svg: str
    said: str


Block = Heading | Paragraph | Table | Code | Picture
