"""Recommend: three plans for a model and data in a place, what shrinks them, and why where none holds. Pure."""

from __future__ import annotations

from collections.abc import Collection

import msgspec

from tunesmith.recipes.checks import refuse_unsuited
from tunesmith.recipes.errors import RecipeError
from tunesmith.recipes.models.facts import ModelFacts
from tunesmith.recipes.planner.choices import choices
from tunesmith.recipes.planner.filled import put
from tunesmith.recipes.planner.fit import FITS, NOT, Fit
from tunesmith.recipes.planner.learned import Learned
from tunesmith.recipes.planner.lifts import lifts
from tunesmith.recipes.planner.place import Place
from tunesmith.recipes.planner.plans import BALANCED, BEST, LEAN, Choice, Lift, Plan, Reason, Recommendation, Way
from tunesmith.recipes.planner.refusal import refusal
from tunesmith.recipes.planner.rows import Rows
from tunesmith.recipes.planner.search import Case, three
from tunesmith.recipes.planner.ways import ways
from tunesmith.recipes.spec import JobSpec, complete

__all__ = ["Choice", "Lift", "Plan", "Reason", "Recommendation", "Way", "recommend"]


def recommend(
    spec: JobSpec,
    explicit: Collection[str],
    facts: ModelFacts,
    rows: Rows,
    place: Place,
    learned: Learned | None = None,
) -> Recommendation:
    """Three plans for a model of `facts` over `rows` in `place`.

    `explicit` are the keys (training.batch_size) of `spec` that a person set: they win and are checked, never changed.
    Raises RecipeError for values that are wrong wherever it runs.
    """
    keys = expanded(spec, explicit)
    chosen = {"exports": ("merged",), "quantization": "none"}  # until a setup says
    fixed = complete(put(spec, {key: value for key, value in chosen.items() if key not in keys}))
    case = Case(fixed, keys, facts, rows, place, learned)
    found = three(case)
    unsuited = not_suited(case)
    plans = tuple(
        Plan(key, one.spec, one.forecast, Fit(NOT) if unsuited else one.fit, choices(case, one))
        for key, one in found.items()
    )
    holding = [plan for plan in plans if plan.fit.holds]
    order = (BALANCED, LEAN, BEST)
    holding.sort(key=lambda plan: (plan.fit.verdict != FITS, order.index(plan.key)))
    recommended = holding[0].key if holding else ""
    shown = found[recommended or LEAN]
    return Recommendation(
        plans=plans,
        ways=ways(shown.spec, facts, rows, place, learned),
        lift=lifts(case, shown, found[BEST]) if recommended else (),
        recommended=recommended,
        refusal=None if recommended else unsuited or refusal(case, found[LEAN]),
    )


def expanded(spec: JobSpec, explicit: Collection[str]) -> frozenset[str]:
    """`explicit` with every key of a part (`tuner`) that is in it as a whole."""
    inner = {
        f"{part}.{name}"
        for part in explicit
        if "." not in part
        for value in [msgspec.to_builtins(getattr(spec, part, None))]
        if isinstance(value, dict)
        for name in value
    }
    return frozenset(explicit) | inner


def not_suited(case: Case) -> Reason | None:
    """Why values that a person set cannot run on this device at all."""
    kept = msgspec.structs.replace(
        case.spec,
        quantization=case.spec.quantization if "quantization" in case.explicit else "none",
        training=case.spec.training
        if "training.optimizer" in case.explicit
        else msgspec.structs.replace(case.spec.training, optimizer="adamw"),
    )
    try:
        refuse_unsuited(kept, case.place.device)
    except RecipeError as error:
        return Reason("unsuited", {"message": error.message, "hint": error.hint})
    return None
