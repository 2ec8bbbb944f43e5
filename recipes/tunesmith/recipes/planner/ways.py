"""Ways: what shrinks a plan and by how much, and what more memory would lift it to."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from tunesmith.recipes import optimizers, quants, tuners
from tunesmith.recipes.planner import memory
from tunesmith.recipes.planner.filled import put, seen
from tunesmith.recipes.planner.fit import FITS, fit
from tunesmith.recipes.planner.forecast import Forecast, forecast
from tunesmith.recipes.planner.place import Place
from tunesmith.recipes.planner.plans import Lift, Way
from tunesmith.recipes.planner.rules import rules
from tunesmith.recipes.planner.search import Case, Found, full_is_sensible, three, tried
from tunesmith.recipes.planner.setups import OPTIMIZERS, SMALLEST, Setup
from tunesmith.recipes.spec import JobSpec

WORTH_BYTES = 10_000_000  # a way that saves less is none


def ways(case: Case, found: Found) -> tuple[Way, ...]:
    """Each on its own, the one that saves most first; values that a person set are among them."""
    all_ways = [
        Way(key, before, after, found.forecast.bytes - forecast_of(case, spec).bytes)
        for key, before, after, spec in changes(case, found.spec)
    ]
    return tuple(sorted((way for way in all_ways if way.saves >= WORTH_BYTES), key=lambda way: -way.saves))


def forecast_of(case: Case, spec: JobSpec) -> Forecast:
    return forecast(spec, case.facts, seen(spec, case.rows), case.place, case.learned)


def changes(case: Case, spec: JobSpec) -> Iterator[tuple[str, str, str, JobSpec]]:
    """Key, value before and after, and the recipe with it."""
    training, device = spec.training, case.place.device
    if not tuners.cards()[spec.tuner["kind"]].adapter:
        lora = msgspec.structs.replace(
            case.spec, tuner={"kind": "lora", "rank": rules().rank.balanced, "alpha": 32, "dropout": 0.0}
        )
        yield "tuner.kind", spec.tuner["kind"], "lora", msgspec.structs.replace(spec, tuner=lora.tuner)
        state = optimizers.cards()[training.optimizer].state_bytes
        for key in OPTIMIZERS:
            card = optimizers.cards()[key]
            if card.state_bytes < state and device in card.devices:
                yield "training.optimizer", training.optimizer, key, put(spec, {"training.optimizer": key})
    elif spec.quantization == "none":
        for key, quant in quants.cards().items():
            if quant.bytes_a_weight is not None and device in quant.devices:
                yield "quantization", "none", key, put(spec, {"quantization": key})
    longest = memory.longest(spec, case.rows)
    shorter = [length for length in rules().lengths.shorter if length < longest and length >= case.rows.mean]
    for length in shorter[:1]:
        shortened = put(spec, {"training.max_length": length, "data.over_long": "drop"})
        if training.window is not None:
            shortened = put(shortened, {"training.window": min(training.window, length)})
        yield "training.max_length", str(longest), str(length), shortened
    if training.checkpointing != "full":
        full = put(spec, {"training.gradient_checkpointing": "full"})
        yield "training.gradient_checkpointing", training.checkpointing, "full", full
    tokens = memory.window_tokens(spec, case.rows, case.place)
    if longest < tokens:
        yield "training.window", str(tokens), str(longest), put(spec, {"training.window": max(8, longest)})
    rank = spec.tuner.get("rank", 0)
    if rank > rules().rank.lean:
        smaller = spec.tuner | {"rank": rules().rank.lean}
        yield "tuner.rank", str(rank), str(rules().rank.lean), msgspec.structs.replace(spec, tuner=smaller)


def lifts(case: Case, found: Found, best: Found) -> tuple[Lift, ...]:
    """What the next steps up would need beyond what is free, the nearest first."""
    setup, steps = found.setup, []
    if "quantization" not in case.explicit and setup.quantization != "none":
        # Rows come before bits: an unquantized base is taken only once they are no longer cut for memory.
        length = case.free.lengths[-1] if setup.length in case.free.shorter else setup.length
        whole = msgspec.structs.replace(setup, quantization="none", length=length)
        steps.append(("quantization", setup.quantization, "none", whole))
    longest = case.free.lengths[0]
    if setup.length != longest:
        longer = msgspec.structs.replace(setup, length=longest)
        steps.append(("training.max_length", str(setup.length), str(longest or case.rows.longest), longer))
    if best.setup.tuner != "full" and case.free.full and full_is_sensible(case):
        full = Setup(tuner="full", optimizer=case.free.optimizers[-1], length=best.setup.length)
        steps.append(("tuner.kind", best.setup.tuner, "full", full))
    lifted = []
    for key, before, after, step in steps:
        there = tried(case, msgspec.structs.replace(step, computed=SMALLEST))
        high = there.forecast.device_high_bytes or there.forecast.host_high_bytes
        missing = high - case.place.free_bytes
        roomier = msgspec.structs.replace(case, place=with_free(case, high))
        if missing > 0 and fit(there.forecast, roomier.place).verdict == FITS and reached(roomier, key, after):
            lifted.append(Lift(key, before, after, missing))
    return tuple(sorted(lifted, key=lambda lift: lift.bytes))


def reached(case: Case, key: str, value: str) -> bool:
    """Whether a plan would really take `value` there: something better may fit before it."""
    for found in three(case).values():
        taken = {
            "quantization": found.spec.quantization,
            "training.max_length": str(memory.longest(found.spec, case.rows)),
            "tuner.kind": found.spec.tuner["kind"],
        }
        if taken[key] == value:
            return True
    return False


def with_free(case: Case, bytes: int) -> Place:
    place = case.place
    return msgspec.structs.replace(
        place, free_bytes=bytes, host_free_bytes=bytes if place.shared else place.host_free_bytes
    )
