"""Lifts: what more free memory would take a plan to."""

from __future__ import annotations

import msgspec

from tunesmith.recipes.planner import memory
from tunesmith.recipes.planner.fit import FITS, fit
from tunesmith.recipes.planner.place import Place
from tunesmith.recipes.planner.plans import Lift
from tunesmith.recipes.planner.search import Case, Found, full_is_sensible, three, tried
from tunesmith.recipes.planner.setups import SMALLEST, Setup


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
