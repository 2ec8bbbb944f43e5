"""How sure a figure is that was taken of few rows: 95 % intervals of proportions, of any measure, and of a difference.

- A proportion has Wilson's score interval: E. B. Wilson, "Probable Inference, the Law of Succession, and Statistical
  Inference", JASA 22, 1927; recommended for few rows by Brown, Cai, DasGupta, "Interval Estimation for a Binomial
  Proportion", Statistical Science 16, 2001. It says something at 0 of 20 too.
- Any other measure, and every difference of two models that answered the same rows, has the percentile interval of a
  paired bootstrap: Efron, "Bootstrap Methods", Annals of Statistics 7, 1979; for scores of texts Koehn, "Statistical
  Significance Tests for Machine Translation Evaluation", EMNLP 2004. Rows are drawn with replacement, each with both
  of its answers. The seed is fixed: the same answers have the same interval. With few rows it is too narrow; where
  nothing differs it is a point.
- The difference of two figures of different rows is made of their own intervals: Zou, Donner, "Construction of
  confidence limits about effect measures: a general approach", Statistics in Medicine 27, 2008; of two proportions with
  Wilson's intervals that is the method that Newcombe recommends, Statistics in Medicine 17, 1998.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import msgspec

Z = 1.959963984540054  # of the normal distribution, for 95 %
RESAMPLES = 1000  # Koehn's number; more changes the third digit of an end
SEED = 20261129


class Interval(msgspec.Struct, frozen=True):
    """A figure, and the ends of its 95 % interval."""

    value: float
    low: float
    high: float


def wilson(right: float, rows: int, top: float = 1.0) -> Interval:
    """Of `right` ones among `rows`, as a share of `top`. Raises ValueError without rows."""
    if rows < 1:
        raise ValueError("no rows")
    share, square = right / rows, Z * Z
    middle = (share + square / (2 * rows)) / (1 + square / rows)
    half = Z / (1 + square / rows) * math.sqrt(share * (1 - share) / rows + square / (4 * rows * rows))
    return Interval(top * share, top * max(0.0, min(share, middle - half)), top * min(1.0, max(share, middle + half)))


def difference(first: Interval, second: Interval) -> Interval:
    """Of `second` against `first`, which know nothing of each other."""
    value = second.value - first.value
    below = math.hypot(second.value - second.low, first.high - first.value)
    above = math.hypot(second.high - second.value, first.value - first.low)
    return Interval(value, value - below, value + above)


def resamples(rows: int) -> Any:
    """How often each row is drawn, RESAMPLES times (resample, row): the same for the same number of rows."""
    import numpy as np

    return np.random.default_rng(SEED).multinomial(rows, [1 / rows] * rows, size=RESAMPLES)


def bootstrapped(
    before: Sequence[Sequence[float]],
    after: Sequence[Sequence[float]],
    value: Callable[[Sequence[float]], float],
) -> tuple[Interval, Interval, Interval]:
    """Of a measure before and after, and of its change, from the counts of each row; `value` is of their sums.

    Both have the same rows in the same order. Raises ValueError without rows.
    """
    import numpy as np

    if not before or len(before) != len(after):
        raise ValueError(f"{len(before)} rows before and {len(after)} after")
    drawn = resamples(len(before))
    found, ends = [], []
    for rows in (np.asarray(before, float), np.asarray(after, float)):
        found.append(value(rows.sum(axis=0).tolist()))
        ends.append(np.array([value(sums) for sums in (drawn @ rows).tolist()]))
    changes = ends[1] - ends[0]
    return (
        percentile(found[0], ends[0]),
        percentile(found[1], ends[1]),
        percentile(found[1] - found[0], changes),
    )


def percentile(value: float, resampled: Any) -> Interval:
    """The middle 95 % of `resampled`; `value` is within, which with very few rows it need not be by itself."""
    import numpy as np

    low, high = (float(end) for end in np.percentile(resampled, (2.5, 97.5)))
    return Interval(value, min(low, value), max(high, value))
