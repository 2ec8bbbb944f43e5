"""Methods: what the loss is and what data it wants. One file a card."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

import msgspec

from tunesmith.recipes import catalog
from tunesmith.recipes.fields import Field


class Method(msgspec.Struct, frozen=True):
    """`trainer(model, tokenizer, rows, arguments, knobs, callbacks)` builds a trl trainer; it runs in a worker only.

    `rows` are dicts of input_ids and labels (-100 where nothing is trained); `arguments` are trainer arguments.
    """

    key: str
    title: str
    blurb: str
    source: str
    data_shape: str
    example: str
    knobs: tuple[Field, ...]
    trainer: Callable[[Any, Any, list[dict[str, list[int]]], Mapping[str, Any], Mapping[str, Any], list[Any]], Any]


@cache
def cards() -> Mapping[str, Method]:
    return catalog.load(__name__, Method)
