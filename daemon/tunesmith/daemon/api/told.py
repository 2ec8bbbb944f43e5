"""What every event is: something told at a time, under the name of its type."""

from __future__ import annotations

import msgspec


class Told(msgspec.Struct, frozen=True, tag_field="type", kw_only=True):
    """`time` is seconds since the epoch, set by whoever emits."""

    time: float
