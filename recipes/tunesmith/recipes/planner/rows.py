"""Rows: what planning needs to know of the data."""

from __future__ import annotations

import msgspec

from tunesmith.recipes.data.checking.statistics import Tokens


class Rows(msgspec.Struct, frozen=True, kw_only=True):
    """`longest` and `mean` are tokens of a row, `trained_share` the share of tokens that have a loss.

    `held_out` rows are kept apart for evaluation; `answer` is the mean length of an answer in tokens. `percentile_99`:
    99 of 100 rows have at most that many tokens, 0 where that is not known. `known` is false while nobody has looked at
    the data: then these are assumptions.
    """

    rows: int
    longest: int
    mean: float
    trained_share: float = 0.5
    held_out: int = 0
    answer: float = 64.0
    known: bool = True
    percentile_99: int = 0

    @classmethod
    def of(cls, tokens: Tokens, rows: int, *, held_out_fraction: float = 0.0, held_out: int = 0) -> Rows:
        """From a check's statistics over `rows` rows; a fraction of them is held out where no file is."""
        apart = held_out or round(rows * held_out_fraction)
        return cls(
            rows=max(1, rows - (0 if held_out else apart)),
            longest=tokens.max,
            mean=tokens.mean,
            trained_share=tokens.trained / max(1, tokens.total),
            held_out=apart,
            answer=tokens.trained / max(1, rows),
            percentile_99=tokens.p99,
        )


ASSUMED = Rows(rows=1000, longest=1024, mean=300.0, held_out=50, known=False)


def assumed(rows: int, held_out_fraction: float) -> Rows:
    """So many rows whose tokens nobody has counted: usual lengths, and all that goes by their number."""
    apart = round(rows * held_out_fraction)
    return msgspec.structs.replace(ASSUMED, rows=max(1, rows - apart), held_out=apart)
