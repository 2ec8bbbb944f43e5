"""Row shapes: which fields a row has and what they mean. One file a card."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

import msgspec

from tunesmith.recipes import catalog
from tunesmith.recipes.data.rows import Media, Part


class Content(msgspec.Struct, frozen=True):
    """What a shape takes from a row; see Sample for the fields. `used` names the columns it read."""

    parts: tuple[Part, ...]
    used: frozenset[str]
    tools: list[dict[str, Any]] | None = None
    media: tuple[Media, ...] = ()
    label: Any = None


class Shape(msgspec.Struct, frozen=True):
    """`recognise(row)` says in a few words why the row has this shape, or None; it never raises.

    `parse(row)` takes the row apart. Raises BadRow. `methods` are the keys of the methods that train on it.
    """

    key: str
    title: str
    blurb: str
    source: str
    example: str
    methods: tuple[str, ...]
    recognise: Callable[[Mapping[str, Any]], str | None]
    parse: Callable[[Mapping[str, Any]], Content]


@cache
def cards() -> Mapping[str, Shape]:
    return catalog.load(__name__, Shape)
