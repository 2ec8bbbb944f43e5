"""Quantization: how the frozen base is stored while an adapter is trained. One file a card."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

import msgspec

from tunesmith.recipes import catalog


class Quant(msgspec.Struct, frozen=True):
    """`config(dtype)` is what transformers loads the base with, None for as it is; it runs in a worker only.

    `settle(model)` is called on the model once it is loaded. `bytes_a_weight` is of the linear layers that are
    quantized (None: the dtype's own), `devices` where it trains, `package` what has its kernels, `slow_on` where it
    costs time that a device with enough memory would not spend.
    """

    key: str
    title: str
    blurb: str
    source: str
    bytes_a_weight: float | None
    devices: tuple[str, ...]
    config: Callable[[Any], Any]
    settle: Callable[[Any], None] = lambda model: None
    package: str = ""
    slow_on: tuple[str, ...] = ()


@cache
def cards() -> Mapping[str, Quant]:
    return catalog.load(__name__, Quant)
