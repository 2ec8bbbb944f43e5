"""One chunk of rows read, recognised, rendered and measured: what the check reports and what training prepares from."""

from __future__ import annotations

from collections import Counter
from typing import Any

import msgspec

from tunesmith.recipes.data.rows import FileNotice, RejectedRow, Sample


class Settings(msgspec.Struct, frozen=True):
    """How rows are looked at; equal settings over equal rows give equal results. `model` is a folder, None: no tokens.

    `shape` is a key of shapes, `mapping` column -> field, `trained` one of assistant, last, all; `over_long` one of
    error, drop, cut_left, cut_right, split. With `keep_tokens` the tokens themselves come back, not only their counts.
    """

    shape: str
    mapping: dict[str, str] = {}
    model: str | None = None
    trained: str = "assistant"
    max_length: int | None = None
    over_long: str = "error"
    keep_tokens: bool = False
    keep_samples: int = 0  # how many samples of a chunk come back, for a preview


class Examined(msgspec.Struct):
    """What one chunk came to: rows_read == rows_kept + len(rejected). Arrays are numpy, one entry a kept row.

    `lengths` (int32) are tokens before anything is cut and `trained` (int32) those of them with a loss, 0 without a
    model; `lines` int64; `hashes` uint64 of the row's content (parts, tools, media, label), equal for duplicates.
    `cut` counts rows that `max_length` cuts or would refuse. `findings` counts what is odd but usable by code, with the
    place of the first in `first_places`. `ids`, `masks` are flat and `ends` (int64) says where each sequence ends.
    """

    rows_read: int
    rows_kept: int
    rejected: list[RejectedRow]
    notices: list[FileNotice]
    lines: Any
    lengths: Any
    trained: Any
    hashes: Any
    cut: int = 0
    fully_masked: int = 0
    findings: Counter[str] = msgspec.field(default_factory=Counter)
    first_places: dict[str, str] = {}
    labels: Counter[str] = msgspec.field(default_factory=Counter)
    samples: list[Sample] = []
    ids: Any = None
    masks: Any = None
    ends: Any = None
