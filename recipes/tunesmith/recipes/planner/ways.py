"""Ways: from a run that needs too much to values that make it need less, each of them forecast and none guessed.

Plans show them, the wizard takes them with a key, and the daemon names them where a run does not fit or memory ran out.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import msgspec

from tunesmith.recipes import optimizers, quants, tuners
from tunesmith.recipes.errors import RecipeError
from tunesmith.recipes.models.facts import ModelFacts
from tunesmith.recipes.planner import memory
from tunesmith.recipes.planner.filled import put, seen
from tunesmith.recipes.planner.fit import DISK_LEFT, fit
from tunesmith.recipes.planner.forecast import Forecast, forecast
from tunesmith.recipes.planner.learned import Learned
from tunesmith.recipes.planner.place import Place
from tunesmith.recipes.planner.plans import Way
from tunesmith.recipes.planner.rows import Rows
from tunesmith.recipes.planner.rules import rules
from tunesmith.recipes.planner.setups import OPTIMIZERS
from tunesmith.recipes.planner.shrink import Change
from tunesmith.recipes.spec import JobSpec, complete
from tunesmith.recipes.units import bytes_text

SHORTEST_WINDOW = 8  # tokens
WORTH = 0.02  # of what is needed: a way that saves less is none
NAMES = {"device": "GPU memory", "host": "memory", "disk": "disk"}
SHOWN = 3  # a person chooses among few
LENGTH = "training.max_length"
Smaller = tuple[tuple[Change, ...], JobSpec]


def needs(found: Forecast, place: Place) -> dict[str, tuple[int, int]]:
    """Bytes needed and free by device, host and disk; no device where it shares the machine's memory."""
    wanted = {"host": (found.host_bytes, place.host_free_bytes)}
    if not place.shared:
        wanted["device"] = (found.device_bytes, place.free_bytes)
    return wanted | {"disk": (found.disk_bytes + DISK_LEFT, place.disk_free_bytes)}


def scarcest(found: Forecast, place: Place) -> str:
    """What is missing most, else what it trains in."""
    short = fit(found, place).short
    return short[0][0] if short else "host" if place.shared else "device"


def ways(
    spec: JobSpec,
    facts: ModelFacts,
    rows: Rows,
    place: Place,
    learned: Learned | None = None,
    stage: str | None = None,
) -> tuple[Way, ...]:
    """What makes the run of `spec`, or its `stage` alone, need less of what is scarcest, one value at a time.

    The largest saving first.
    """
    single = [way for way, _ in _tried(spec, facts, rows, place, learned, stage)]
    return tuple(sorted(single, key=lambda way: -way.saved))


def ways_out(
    spec: JobSpec,
    facts: ModelFacts,
    rows: Rows,
    place: Place,
    learned: Learned | None = None,
    stage: str | None = None,
) -> tuple[Way, ...]:
    """As `ways`, but those that make it fit first, what costs the result least before the others.

    Where nothing alone makes it fit the last is several together that do, if there are any.
    """
    single = [way for way, _ in _tried(spec, facts, rows, place, learned, stage)]
    if any(way.fits for way in single):
        return tuple(sorted(single, key=lambda way: (not way.fits, 0 if way.fits else -way.saved)))
    single.sort(key=lambda way: -way.saved)
    together = _together(spec, facts, rows, place, learned, stage)
    return (*single, together) if together is not None else tuple(single)


def hint(found: tuple[Way, ...]) -> str:
    """A sentence that names what to set; empty where nothing helps."""
    fitting = [way for way in found if way.fits]
    if fitting:
        told = [f"{_values(way)} (needs {bytes_text(way.needed)})" for way in fitting[:SHOWN]]
        return f"It would fit with {'; or with '.join(told)}."
    told = [f"{_values(way)} ({bytes_text(way.saved)} less)" for way in found[:SHOWN]]
    return f"Set {'; or '.join(told)}." if told else ""


def _values(way: Way) -> str:
    return " and ".join(f"{change.key}: {change.after}" for change in way.changes)


def _tried(
    spec: JobSpec, facts: ModelFacts, rows: Rows, place: Place, learned: Learned | None, stage: str | None
) -> list[tuple[Way, JobSpec]]:
    """Each change alone, where it is worth it, what costs the result nothing first."""
    before = forecast(spec, facts, seen(spec, rows), place, learned)
    what = scarcest(before, place)
    all_of_it = _needed(before, place, what, stage)
    found = []
    for changes, changed in _smaller(spec, facts, rows, place):
        after = forecast(changed, facts, seen(changed, rows), place, learned)
        needed = _needed(after, place, what, stage)
        if all_of_it - needed > WORTH * all_of_it:
            found.append((Way(changes, what, needed, all_of_it - needed, fit(after, place).holds), changed))
    return found


def _together(
    spec: JobSpec, facts: ModelFacts, rows: Rows, place: Place, learned: Learned | None, stage: str | None
) -> Way | None:
    """Several changes with which it fits: with every turn that which saves most, and rows are cut last."""
    whole = forecast(spec, facts, seen(spec, rows), place, learned)
    what = scarcest(whole, place)
    all_of_it = _needed(whole, place, what, stage)
    chosen, changes, now = spec, dict[str, Change](), whole
    while not fit(now, place).holds:
        possible = []
        for taken, changed in _smaller(chosen, facts, rows, place):
            after = forecast(changed, facts, seen(changed, rows), place, learned)
            needed = _needed(after, place, what, stage)
            if needed < _needed(now, place, what, stage):
                cuts = any(change.key == LENGTH for change in taken)
                possible.append(((cuts, 0 if cuts else needed), taken, changed, after))  # cut no further than needed
        if not possible:
            return None
        _, taken, chosen, now = min(possible, key=lambda one: one[0])
        for change in taken:
            first = changes.get(change.key, change)
            changes[change.key] = msgspec.structs.replace(change, before=first.before)
    needed = _needed(now, place, what, stage)
    return Way(tuple(changes.values()), what, needed, all_of_it - needed, True)


def _needed(found: Forecast, place: Place, what: str, stage: str | None) -> int:
    if stage is None or what == "disk":
        return needs(found, place)[what][0]
    one = found.stage(stage)
    return one.device_bytes if what == "device" else one.host_bytes


def _smaller(spec: JobSpec, facts: ModelFacts, rows: Rows, place: Place) -> Iterator[Smaller]:
    """Recipes that need less, each with what it sets."""
    training, longest = spec.training, memory.longest(spec, rows)
    tokens = memory.window_tokens(spec, rows, place)
    if max(SHORTEST_WINDOW, longest) < tokens:
        before = "auto" if training.window is None else str(training.window)
        yield _set(spec, {"training.window": max(SHORTEST_WINDOW, longest)}, {"training.window": before})
    if training.checkpointing != "full":
        key = "training.gradient_checkpointing"
        yield _set(spec, {key: "full"}, {key: training.checkpointing})
    state = optimizers.cards()[training.optimizer].state_bytes
    for name in OPTIMIZERS:
        card = optimizers.cards()[name]
        if card.state_bytes < state and place.device in card.devices:
            yield _set(spec, {"training.optimizer": name})
    yield from _other_base(spec, place)
    if spec.evaluation.answers and not spec.evaluation.scores and spec.evaluation.fail_if is None:  # they need answers
        yield _set(spec, {"evaluation.answers": 0})
    if training.batch_size > 1:
        yield _set(spec, {"training.batch_size": 1})
    rank = spec.tuner.get("rank", 0)
    if rank > rules().rank.lean:
        smaller = msgspec.structs.replace(spec, tuner=spec.tuner | {"rank": rules().rank.lean})
        yield (Change("tuner.rank", str(rank), str(rules().rank.lean)),), smaller
    yield from _shorter(spec, rows, longest)
    if spec.exports not in ((), ("adapter",)) and tuners.cards()[spec.tuner["kind"]].adapter:
        changed = msgspec.structs.replace(spec, exports=("adapter",))
        yield (Change("exports", f"[{', '.join(spec.exports)}]", "[adapter]"),), changed


def _other_base(spec: JobSpec, place: Place) -> Iterator[Smaller]:
    """An adapter in all weights' place; a quantized base below an adapter."""
    if not tuners.cards()[spec.tuner["kind"]].adapter:
        try:
            adapter = complete(msgspec.structs.replace(spec, tuner={"kind": "lora"}))
        except RecipeError:  # something else in it does not go with an adapter
            return
        yield (Change("tuner.kind", spec.tuner["kind"], "lora"),), adapter
    elif spec.quantization == "none":
        for key, card in quants.cards().items():
            if card.bytes_a_weight is not None and place.device in card.devices:
                yield _set(spec, {"quantization": key})


def _shorter(spec: JobSpec, rows: Rows, longest: int) -> Iterator[Smaller]:
    """Longer rows are left out, or the run would end on the first; never below the mean row."""
    for length in rules().lengths.shorter:
        if rows.mean <= length < longest:
            values: dict[str, Any] = {LENGTH: length}
            if spec.data.over_long == "error":
                values["data.over_long"] = "drop"
            if spec.training.window is not None and spec.training.window > length:
                values["training.window"] = length
            yield _set(spec, values, {LENGTH: str(longest)})


def _set(spec: JobSpec, values: dict[str, Any], before: dict[str, str] | None = None) -> Smaller:
    """`before`: how values that the recipe leaves open are told."""
    told = before or {}
    changes = tuple(Change(key, told.get(key, _text(spec, key)), str(value)) for key, value in values.items())
    return changes, put(spec, values)


def _text(spec: JobSpec, key: str) -> str:
    found: Any = spec
    for part in key.split("."):
        found = getattr(found, part)
    return "auto" if found is None else str(found)


def sets(found: Iterable[Way], keys: Iterable[str]) -> tuple[Way, ...]:
    """Those of `found` that set nothing but `keys`."""
    known = set(keys)
    return tuple(way for way in found if {change.key for change in way.changes} <= known)
