"""Badge: whether a model can be tuned in a place, in one word, for lists of many models."""

from __future__ import annotations

import msgspec

from tunesmith.recipes.models.facts import ModelFacts
from tunesmith.recipes.planner.fit import FITS, NOT, TIGHT
from tunesmith.recipes.planner.place import Place
from tunesmith.recipes.planner.plans import BALANCED
from tunesmith.recipes.planner.rows import ASSUMED
from tunesmith.recipes.planner.search import Case, Found, search
from tunesmith.recipes.spec import JobSpec

QUANTIZED = "quantized"  # it fits with the base in 4 bits
VERDICTS = (FITS, TIGHT, QUANTIZED, NOT)


class Badge(msgspec.Struct, frozen=True):
    """`verdict` is fits, tight, quantized (it fits in nf4) or not; `bytes` what it needs where it trains.

    `seconds_per_1k_rows` of one epoch; None where nobody knows how fast the device is.
    """

    verdict: str
    bytes: int
    seconds_per_1k_rows: float | None


def badge(facts: ModelFacts, place: Place) -> Badge:
    """The balanced plan's, over rows that nobody has looked at; under 5 ms."""
    case = Case(JobSpec(), frozenset(), facts, ASSUMED, place)
    found = search(case, BALANCED)
    quantized = found.setup.quantization != "none"
    return of(QUANTIZED if quantized and found.fit.verdict == FITS else found.fit.verdict, found, case)


def of(verdict: str, found: Found, case: Case) -> Badge:
    seconds = found.forecast.stage("train").seconds / found.spec.training.epochs * 1000 / case.rows.rows
    return Badge(verdict, found.forecast.bytes, seconds if case.place.flops else None)
