"""Methods: what the loss is and what data it wants. One file a card."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

import msgspec

from tunesmith.recipes import catalog
from tunesmith.recipes.fields import Field

Row = dict[str, list[int]]
Data = Callable[[Callable[[list[Row]], Any]], Any]


class Method(msgspec.Struct, frozen=True):
    """`trainer(model, tokenizer, data, arguments, knobs, callbacks)` builds a trl trainer; it runs in a worker only.

    `data(collate)` is a torch DataLoader that collates dicts of input_ids and labels (-100 where nothing is trained)
    into batches; `arguments` are trainer arguments.
    """

    key: str
    title: str
    blurb: str
    source: str
    data_shape: str
    example: str
    knobs: tuple[Field, ...]
    trainer: Callable[[Any, Any, Data, Mapping[str, Any], Mapping[str, Any], list[Any]], Any]


@cache
def cards() -> Mapping[str, Method]:
    return catalog.load(__name__, Method)
