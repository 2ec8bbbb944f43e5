"""How long rows are, in tokens: percentiles and a histogram from counts, whatever the number of rows."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

BARS = 12  # of a histogram: as many as fit beside a text and can still be told apart


class Tokens(msgspec.Struct, frozen=True):
    """Tokens a row (`p50`: half of the rows have at most that many), and `total` and `trained` over all rows."""

    p50: int
    p95: int
    p99: int
    max: int
    mean: float
    total: int
    trained: int


class Bar(msgspec.Struct, frozen=True):
    """`rows` have from `low` to `high` tokens, both included; the last bar of a histogram reaches to the longest."""

    low: int
    high: int
    rows: int


class Lengths:
    """Counts rows by their length; memory grows with the number of different lengths, not with the rows."""

    def __init__(self) -> None:
        self.rows_by_length: Counter[int] = Counter()
        self.trained = 0

    def add(self, lengths: NDArray[np.int32], trained: NDArray[np.int32]) -> None:
        """`lengths` and `trained` (rows,) in tokens."""
        import numpy

        values, rows = numpy.unique(lengths, return_counts=True)
        for length, count in zip(values.tolist(), rows.tolist(), strict=True):
            self.rows_by_length[length] += count
        self.trained += int(trained.sum(dtype=numpy.int64))

    def summary(self) -> Tokens | None:
        """None before the first row."""
        rows = self.rows_by_length.total()
        if not rows:
            return None
        total = sum(length * count for length, count in self.rows_by_length.items())
        p50, p95, p99, longest = self.percentiles(0.5, 0.95, 0.99, 1.0)
        return Tokens(p50, p95, p99, longest, round(total / rows, 1), total, self.trained)

    def percentiles(self, *shares: float) -> list[int]:
        """For each share (ascending, in (0, 1]) the least length that at least this share of the rows does not pass."""
        rows = self.rows_by_length.total()
        found: list[int] = []
        below = 0
        for length in sorted(self.rows_by_length):
            below += self.rows_by_length[length]
            while len(found) < len(shares) and below >= shares[len(found)] * rows:
                found.append(length)
        return found

    def histogram(self) -> tuple[Bar, ...]:
        """At most BARS bars of one round width up to the 99th percentile; what is longer joins the last."""
        if not self.rows_by_length:
            return ()
        p99, longest = self.percentiles(0.99, 1.0)
        width = round_width(p99 + 1, BARS - 1)
        last = p99 // width + (1 if longest // width > p99 // width else 0)
        rows = [0] * (last + 1)
        for length, count in self.rows_by_length.items():
            rows[min(length // width, last)] += count
        bars = [Bar(index * width, (index + 1) * width - 1, count) for index, count in enumerate(rows)]
        bars[-1] = msgspec.structs.replace(bars[-1], high=max(bars[-1].high, longest))
        first = next(index for index, bar in enumerate(bars) if bar.rows)
        return tuple(bars[first:])


def round_width(span: int, bars: int) -> int:
    """The least of 1, 2, 5, 10, 20, 50, ... of which `bars` cover `span`."""
    power = 1
    while True:
        for digit in (1, 2, 5):
            if digit * power * bars >= span:
                return digit * power
        power *= 10
