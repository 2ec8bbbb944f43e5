"""Search: of a plan's setups the first whose forecast fits, else the first that is tight, else what lacks least."""

from __future__ import annotations

from collections.abc import Collection

import msgspec

from tunesmith.recipes.models.facts import ModelFacts
from tunesmith.recipes.planner.filled import filled, seen
from tunesmith.recipes.planner.fit import FITS, NOT, TIGHT, Fit, fit
from tunesmith.recipes.planner.forecast import Forecast, forecast
from tunesmith.recipes.planner.learned import Learned
from tunesmith.recipes.planner.place import Place
from tunesmith.recipes.planner.plans import BALANCED, BEST, LEAN
from tunesmith.recipes.planner.rows import Rows
from tunesmith.recipes.planner.rules import rules
from tunesmith.recipes.planner.setups import COMPUTED, SMALLEST, USUAL, Freedom, Setup, freedom, ladder
from tunesmith.recipes.spec import JobSpec

ORDER = (FITS, TIGHT, NOT)


class Case(msgspec.Struct, frozen=True):
    """What is asked: a recipe with the keys that a person set in it, a model, its rows, and where it would run."""

    spec: JobSpec
    explicit: frozenset[str]
    facts: ModelFacts
    rows: Rows
    place: Place
    learned: Learned | None = None

    @property
    def free(self) -> Freedom:
        return freedom(self.spec, self.explicit, self.facts, self.rows, self.place)

    def without(self, keys: Collection[str]) -> Case:
        return msgspec.structs.replace(self, explicit=self.explicit - frozenset(keys))


class Found(msgspec.Struct, frozen=True):
    """A setup and what came of it."""

    setup: Setup
    spec: JobSpec
    forecast: Forecast
    fit: Fit


def tried(case: Case, setup: Setup) -> Found:
    spec = filled(case.spec, case.explicit, case.facts, case.rows, case.place, setup)
    found = forecast(spec, case.facts, seen(spec, case.rows), case.place, case.learned)
    return Found(setup, spec, found, fit(found, case.place))


def search(case: Case, plan: str) -> Found:
    """The best setup of `plan` that fits. Free memory is judged, not total."""
    best: Found | None = None
    hopeless: Setup | None = None  # in the least memory no better than what was found: its kind needs no other look
    for setup in ladder(plan, case.free, case.rows, case.place, full_is_sensible(case)):
        least = msgspec.structs.replace(setup, computed=SMALLEST)
        if least == hopeless:
            continue
        found = tried(case, least if setup.computed == USUAL else setup)
        if found.setup == least and not promising(found.fit, best):
            hopeless = least
        elif setup != found.setup:
            found = tried(case, setup)
        if found.fit.verdict == FITS:
            return found
        if best is None or rating(found.fit) < rating(best.fit):
            best = found
    assert best is not None, "every ladder has a rung"
    return best


def promising(fit: Fit, best: Found | None) -> bool:
    """Whether a setup may be worth more than `best` whose own least memory fits like this."""
    if fit.verdict == NOT:
        return False
    return fit.verdict == FITS or best is None or rating(fit) < rating(best.fit)


def rating(fit: Fit) -> tuple[int, ...]:
    """Less is better: the verdict, then what is missing, of a GPU first: nobody adds memory to one."""
    missing = dict(fit.short)
    return ORDER.index(fit.verdict), *(missing.get(what, 0) for what in ("device", "host", "disk"))


def full_is_sensible(case: Case) -> bool:
    """Whether there is data enough for all weights to learn more than an adapter would."""
    rows = case.rows
    trained = rows.rows * rows.mean * rows.trained_share * rules().epochs_of(rows.rows)
    return rows.known and trained >= rules().full.trained_tokens


def three(case: Case) -> dict[str, Found]:
    """Lean never needs more than balanced, balanced never more than best."""
    balanced, best, lean = (search(case, plan) for plan in (BALANCED, BEST, LEAN))
    if best.forecast.bytes < balanced.forecast.bytes:
        smaller = (
            tried(case, msgspec.structs.replace(balanced.setup, computed=computed))
            for computed in COMPUTED[balanced.setup.computed + 1 :]
        )
        within = (one for one in smaller if one.forecast.bytes <= best.forecast.bytes)
        found = next((one for one in within if not worse(one.fit, balanced.fit)), None)
        best, balanced = (balanced, balanced) if found is None else (best, found)
    if worse(best.fit, balanced.fit):
        best = balanced
    if lean.forecast.bytes > balanced.forecast.bytes or worse(lean.fit, balanced.fit):
        lean = balanced
    return {LEAN: lean, BALANCED: balanced, BEST: best}


def worse(one: Fit, other: Fit) -> bool:
    return ORDER.index(one.verdict) > ORDER.index(other.verdict)
