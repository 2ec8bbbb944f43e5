"""Tuners: what part of the model is trained. One file a card."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

import msgspec

from tunesmith.recipes import catalog
from tunesmith.recipes.fields import Field


class Tuner(msgspec.Struct, frozen=True):
    """`attach(model, knobs, seed)` returns the model to train; it runs in a worker only.

    `adapter` says whether what is trained lies beside a frozen base, `training_defaults` are values of `training` that
    stand where a recipe leaves them out.
    """

    key: str
    title: str
    blurb: str
    source: str
    merges: bool
    knobs: tuple[Field, ...]
    attach: Callable[[Any, Mapping[str, Any], int], Any]
    adapter: bool = True
    training_defaults: Mapping[str, Any] = {}


@cache
def cards() -> Mapping[str, Tuner]:
    return catalog.load(__name__, Tuner)
