"""Badge: whether a model can be tuned in a place, in one word, for lists of many models."""

from __future__ import annotations

import msgspec

from tunesmith.recipes.models.facts import ModelFacts
from tunesmith.recipes.planner.fit import FITS, NOT, TIGHT
from tunesmith.recipes.planner.place import Place
from tunesmith.recipes.planner.rows import ASSUMED
from tunesmith.recipes.planner.rules import rules
from tunesmith.recipes.planner.search import Case, Found, tried
from tunesmith.recipes.planner.setups import COMPUTED, Setup
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
    """For LoRA over rows that nobody has looked at, as the balanced plan has it; under 5 ms."""
    case = Case(JobSpec(), frozenset(), facts, ASSUMED, place)
    rank = rules().rank.balanced
    # By what they need: nothing of the result differs between a setup and its smaller form.
    setups = [
        Setup(tuner="lora", rank=rank, quantization=base[0], dtype=base[1], computed=computed, whole=whole)
        for base in case.free.bases
        for whole in case.free.exports
        for computed in COMPUTED
    ]
    tight: Found | None = None
    for setup in setups:
        found = tried(case, setup)
        if found.fit.verdict == FITS:
            return of(QUANTIZED if setup.quantization != "none" else FITS, found, case)
        if found.fit.verdict == TIGHT and tight is None:
            tight = found
    return of(TIGHT, tight, case) if tight else of(NOT, found, case)


def of(verdict: str, found: Found, case: Case) -> Badge:
    seconds = found.forecast.stage("train").seconds / found.spec.training.epochs * 1000 / case.rows.rows
    return Badge(verdict, found.forecast.bytes, seconds if case.place.flops else None)
