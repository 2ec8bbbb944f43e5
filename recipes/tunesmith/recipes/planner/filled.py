"""Filled: a recipe with the values of a setup put in, except those that a person set."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import msgspec

from tunesmith.recipes import tuners
from tunesmith.recipes.models.facts import ModelFacts
from tunesmith.recipes.planner import memory
from tunesmith.recipes.planner.place import Place
from tunesmith.recipes.planner.rows import Rows
from tunesmith.recipes.planner.rules import rules
from tunesmith.recipes.planner.setups import HALF, LONGEST_ROW, SMALLEST, USUAL, Setup
from tunesmith.recipes.spec import JobSpec


def filled(
    spec: JobSpec, explicit: Collection[str], facts: ModelFacts, rows: Rows, place: Place, setup: Setup
) -> JobSpec:
    """`spec` as `setup` says, with what follows from that (learning rate, exports) and from the data (epochs, batch).

    Keys in `explicit` keep their values.
    """
    tuner = tuners.cards()[setup.tuner]
    rate = rules().learning_rate
    epochs = spec.training.epochs if "training.epochs" in explicit else rules().epochs_of(rows.rows)
    values: dict[str, Any] = {
        "quantization": setup.quantization,
        "training.dtype": setup.dtype,
        "training.optimizer": setup.optimizer,
        "training.max_length": setup.length or None,
        "training.epochs": epochs,
        "training.batch_size": rules().batch_of(rows.rows, epochs),
        "training.gradient_accumulation": 1,  # a step is computed in windows: more rows of it need no more memory
        "training.packing": True,
        "training.learning_rate": rate.full
        if not tuner.adapter
        else rate.adapter_wide
        if setup.rank >= rate.wide
        else rate.adapter,
        "training.weight_decay": 0.0 if tuner.adapter else rate.full_weight_decay,
        "training.gradient_checkpointing": {HALF: "selective", SMALLEST: "full"}.get(setup.computed, "auto"),
        "training.window": None,
        "exports": targets(setup, facts),
    }
    if setup.length != LONGEST_ROW and setup.length < rows.longest:
        values["data.over_long"] = "drop"
    of_step = ("training.batch_size", "training.gradient_accumulation")
    if any(key in explicit for key in of_step) and not all(key in explicit for key in of_step):
        set_key, other = of_step if of_step[0] in explicit else of_step[::-1]
        at_once = getattr(spec.training, set_key.partition(".")[2])
        values[other] = max(1, values["training.batch_size"] // at_once)
    found = put(spec, {key: value for key, value in values.items() if key not in explicit})
    found = msgspec.structs.replace(found, tuner=tuned(spec, explicit, setup))
    if setup.computed != USUAL and "training.window" not in explicit:
        longest = max(rules().window.least(place.device), memory.longest(found, rows))
        if longest < memory.window_tokens(found, rows, place):
            found = put(found, {"training.window": longest})
    return found


def tuned(spec: JobSpec, explicit: Collection[str], setup: Setup) -> dict[str, Any]:
    """The tuner with its knobs: rank and twice as much alpha, where it has these."""
    card = tuners.cards()[setup.tuner]
    given = spec.tuner if spec.tuner["kind"] == setup.tuner else {}
    knobs = {field.name: given.get(field.name, field.default) for field in card.knobs}
    if "rank" in knobs and "tuner.rank" not in explicit:
        knobs["rank"] = setup.rank
    if "alpha" in knobs and "tuner.alpha" not in explicit:
        knobs["alpha"] = min(4096, rules().rank.alpha_per_rank * knobs["rank"])
    return {"kind": setup.tuner, **knobs}


def targets(setup: Setup, facts: ModelFacts) -> tuple[str, ...]:
    """What is exported: the adapter, the whole model, and GGUF in the bits that suit its size."""
    own = ("adapter",) if tuners.cards()[setup.tuner].adapter else ("merged",)
    if not setup.whole:
        return own
    return tuple(dict.fromkeys((*own, "merged", f"gguf:{rules().gguf_of(facts.parameters)}")))


def seen(spec: JobSpec, rows: Rows) -> Rows:
    """`rows` without those that `spec` leaves out: neither training nor evaluation meets them."""
    longest = memory.longest(spec, rows)
    return msgspec.structs.replace(rows, longest=longest, mean=min(rows.mean, longest))


def put(spec: JobSpec, values: dict[str, Any]) -> JobSpec:
    """`spec` with values by their keys (`training.window`, `quantization`)."""
    inner: dict[str, dict[str, Any]] = {}
    outer: dict[str, Any] = {}
    for key, value in values.items():
        part, dot, name = key.partition(".")
        if dot:
            inner.setdefault(part, {})[name] = value
        else:
            outer[part] = value
    for part, changed in inner.items():
        outer[part] = msgspec.structs.replace(getattr(spec, part), **changed)
    return msgspec.structs.replace(spec, **outer)
