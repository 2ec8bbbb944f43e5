"""What packing saves, worked out from the lengths of the rows without packing them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

BATCH = 8  # rows: the batch that packing is compared with
CUTS = ("cut_left", "cut_right")


class Packing(msgspec.Struct, frozen=True):
    """`rows` of `max_length` tokens would hold all rows; `padding_saved` is the share of all tokens, padding included,
    of batches of BATCH rows in the order of the file that packing does without (0 where it saves none).
    """

    rows: int
    max_length: int
    padding_saved: float


class Batches:
    """Rows as they are trained: counted by length, and the tokens of their padded batches; holds under one batch."""

    def __init__(self) -> None:
        self.rows_by_length: Counter[int] = Counter()
        self.padded_tokens = 0
        self.waiting: list[int] = []

    def add(self, lengths: NDArray[np.int32]) -> None:
        """`lengths` (rows,) in tokens, as they are trained."""
        import numpy

        self.rows_by_length.update(lengths.tolist())
        waiting = numpy.concatenate([numpy.array(self.waiting, numpy.int64), lengths])
        whole = len(waiting) // BATCH * BATCH
        self.padded_tokens += int(waiting[:whole].reshape(-1, BATCH).max(axis=1).sum()) * BATCH if whole else 0
        self.waiting = waiting[whole:].tolist()

    def total(self) -> int:
        """Tokens, padding included."""
        return self.padded_tokens + (max(self.waiting) * len(self.waiting) if self.waiting else 0)


def as_trained(lengths: NDArray[np.int32], max_length: int | None, over_long: str) -> NDArray[np.int32]:
    """`lengths` (rows,) after `over_long` has dealt with those past `max_length`; refused and dropped ones are gone."""
    import numpy

    if max_length is None or not (lengths > max_length).any():
        return lengths
    if over_long in CUTS:
        return numpy.minimum(lengths, max_length)
    if over_long == "split":
        pieces = [piece for length in lengths.tolist() for piece in split(length, max_length)]
        return numpy.array(pieces, numpy.int32)
    return lengths[lengths <= max_length]


def split(length: int, max_length: int) -> list[int]:
    whole, rest = divmod(length, max_length)
    return [max_length] * whole + ([rest] if rest else [])


def estimate(batches: Batches, max_length: int | None) -> Packing | None:
    """The rows of `batches` in packed rows of `max_length` (None: the longest); None when there are none."""
    longest = max(batches.rows_by_length, default=0)
    if not longest:
        return None
    capacity = max_length or longest
    rows = first_fit_decreasing(batches.rows_by_length, capacity)
    return Packing(rows, capacity, round(max(0.0, 1 - rows * capacity / batches.total()), 4))


def first_fit_decreasing(rows_by_length: Mapping[int, int], capacity: int) -> int:
    """How many rows of `capacity` tokens first-fit-decreasing fills: exact, in steps of different lengths, not of rows.

    Packed rows that have the same room left and stand side by side are one entry of `room` and `count`. Rows of one
    length fill them from the left; at most one entry is filled in part and is split in three. Raises ValueError when a
    row is longer than `capacity`.
    """
    import numpy

    lengths = sorted((length for length, rows in rows_by_length.items() if rows and length), reverse=True)
    if lengths and lengths[0] > capacity:
        raise ValueError(f"a row of {lengths[0]} tokens does not fit into {capacity}")
    room, count = numpy.zeros(0, numpy.int64), numpy.zeros(0, numpy.int64)
    full = 0
    for length in lengths:
        left = rows_by_length[length]
        open_entries = room >= lengths[-1]  # the others can take no row any more
        full += int(count[~open_entries].sum())
        room, count = room[open_entries], count[open_entries]
        fits = room // length  # rows of this length in each packed row
        filled = numpy.cumsum(fits * count)
        entry = int(numpy.searchsorted(filled, left))  # the first entry with which all have found their place
        left -= int(filled[entry - 1]) if entry else 0
        before = room[:entry] - fits[:entry] * length
        if entry < len(room):
            used_room, used_count = fill(int(room[entry]), left, length)
            untouched = int(count[entry]) - sum(used_count)
            middle_room, middle_count = [*used_room, int(room[entry])], [*used_count, untouched]
        else:
            middle_room, middle_count = fill(capacity, left, length)
        room = numpy.concatenate([before, numpy.array(middle_room, numpy.int64), room[entry + 1 :]])
        count = numpy.concatenate([count[:entry], numpy.array(middle_count, numpy.int64), count[entry + 1 :]])
    return full + int(count.sum())


def fill(room: int, rows: int, length: int) -> tuple[list[int], list[int]]:
    """`rows` rows of `length` put, from the left, into packed rows that have `room` each: those in use after, as
    (room left, count)."""
    each = room // length
    whole, rest = divmod(rows, each)
    return [room - each * length, room - rest * length][: 2 if rest else 1], [whole, 1][: 2 if rest else 1]
