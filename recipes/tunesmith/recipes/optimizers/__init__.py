"""Optimizers: what turns gradients into updates, and what it keeps in memory for that. One file a card."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache

import msgspec

from tunesmith.recipes import catalog


class Optimizer(msgspec.Struct, frozen=True):
    """`name` is the trainer's for it, `state_bytes` what it keeps for each trained weight on the device.

    `devices` are where it runs, `package` what has its kernels.
    """

    key: str
    title: str
    blurb: str
    source: str
    name: str
    state_bytes: float
    devices: tuple[str, ...]
    package: str = ""


@cache
def cards() -> Mapping[str, Optimizer]:
    return catalog.load(__name__, Optimizer)
