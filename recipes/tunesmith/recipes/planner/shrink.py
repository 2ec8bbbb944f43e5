"""Shrinking: automatic values of a recipe made smaller where memory does not suffice; explicit ones are never touched.

None of them changes what is learned: a smaller window and checkpointed layers compute the same step in less memory.
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from tunesmith.recipes.models.facts import ModelFacts
from tunesmith.recipes.planner import memory
from tunesmith.recipes.planner.place import Place
from tunesmith.recipes.planner.rows import Rows
from tunesmith.recipes.spec import JobSpec


class Change(msgspec.Struct, frozen=True):
    """A value of the recipe, by its key, before and after."""

    key: str
    before: str
    after: str


def shrunk(spec: JobSpec, facts: ModelFacts, rows: Rows, place: Place) -> tuple[JobSpec, tuple[Change, ...]]:
    """`spec` with every automatic value at its smallest that changes nothing of the result, and what changed."""
    changes: list[Change] = []
    new: dict[str, object] = {}
    training = spec.training
    if training.window is None:
        longest = memory.longest(spec, rows)
        if longest < memory.window_tokens(spec, rows, place):
            new["window"] = max(8, longest)
            changes.append(Change("training.window", "auto", str(new["window"])))
    if training.checkpointing == "auto" and memory.parts(spec, facts, rows, place).recomputed < facts.layers:
        new["gradient_checkpointing"] = "full"
        changes.append(Change("training.gradient_checkpointing", "auto", "full"))
    if not changes:
        return spec, ()
    return msgspec.structs.replace(spec, training=msgspec.structs.replace(training, **new)), tuple(changes)


def with_changes(spec: JobSpec, changes: Iterable[Change]) -> JobSpec:
    """`spec` with the values that `changes` made, in their own types."""
    values = msgspec.to_builtins(spec)
    for change in changes:
        *parts, last = change.key.split(".")
        inner = values
        for part in parts:
            inner = inner[part]
        inner[last] = change.after
    return msgspec.convert(values, JobSpec, strict=False)
