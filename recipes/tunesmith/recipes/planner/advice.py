"""Advice: from a run that does not fit to values that would make it fit, each of them forecast and none guessed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import msgspec

from tunesmith.recipes import optimizers, quants, tuners
from tunesmith.recipes.errors import RecipeError
from tunesmith.recipes.models.facts import ModelFacts
from tunesmith.recipes.planner import memory
from tunesmith.recipes.planner.fit import DISK_LEFT, fit
from tunesmith.recipes.planner.forecast import Forecast, forecast
from tunesmith.recipes.planner.learned import Learned
from tunesmith.recipes.planner.place import Place
from tunesmith.recipes.planner.rows import Rows
from tunesmith.recipes.planner.shrink import Change, shrunk
from tunesmith.recipes.spec import JobSpec, complete
from tunesmith.recipes.units import bytes_text

SHORTEST = 128  # tokens: rows cut below this hardly teach anything
WORTH = 0.02  # of what is needed: a way that saves less is none
NAMES = {"device": "GPU memory", "host": "memory", "disk": "disk"}
SHOWN = 3  # a person chooses among few


class Way(msgspec.Struct, frozen=True):
    """Recipe values as `key: value`, the bytes of `what` (device, host, disk) that the run then needs, and by how many
    that is less; `fits` says whether it then fits.
    """

    values: tuple[str, ...]
    what: str
    needed: int
    saved: int
    fits: bool


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
    """What makes the run of `spec`, or its `stage` alone, need less, one value at a time.

    Those that fit come first, then what saves most. Where nothing alone makes it fit the last is several together that
    do, if there are any.
    """
    before = forecast(spec, facts, rows, place, learned)
    what = scarcest(before, place)
    all_of_it = _needed(before, place, what, stage)

    def way(values: Iterable[str], changed: JobSpec) -> Way:
        after = forecast(changed, facts, rows, place, learned)
        needed = _needed(after, place, what, stage)
        return Way(tuple(values), what, needed, all_of_it - needed, fit(after, place).holds)

    single = [way(values, changed) for values, changed in _smaller(spec, facts, rows, place)]
    single = [one for one in single if one.saved > WORTH * all_of_it]
    single.sort(key=lambda one: (not one.fits, -one.saved if not one.fits else 0))
    if any(one.fits for one in single):
        return tuple(single)
    together = way((), spec)
    chosen, values = spec, dict[str, str]()
    while not together.fits:  # what is needed falls with every turn, by the value that saves most first
        possible = [
            (_cuts(taken), way((), changed).needed, taken, changed)
            for taken, changed in _smaller(chosen, facts, rows, place)
        ]
        possible = [one for one in possible if one[1] < together.needed]
        if not possible:
            return tuple(single)
        # Cutting rows loses what they teach: it comes last, and no further than it must.
        _, _, taken, chosen = min(possible, key=lambda one: (one[0], 0 if one[0] else one[1]))
        values |= {value.partition(":")[0]: value for value in taken}
        together = way(values.values(), chosen)
    return (*single, together) if values else tuple(single)


def hint(found: tuple[Way, ...]) -> str:
    """A sentence that names what to set; empty where nothing helps."""
    fitting = [way for way in found if way.fits]
    if fitting:
        told = [f"{' and '.join(way.values)} (needs {bytes_text(way.needed)})" for way in fitting[:SHOWN]]
        return f"It would fit with {'; or with '.join(told)}."
    told = [f"{' and '.join(way.values)} ({bytes_text(way.saved)} less)" for way in found[:SHOWN]]
    return f"Set {'; or '.join(told)}." if told else ""


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


def _needed(found: Forecast, place: Place, what: str, stage: str | None) -> int:
    if stage is None or what == "disk":
        return needs(found, place)[what][0]
    one = found.stage(stage)
    return one.device_bytes if what == "device" else one.host_bytes


def _cuts(values: tuple[str, ...]) -> bool:
    return any(value.startswith("training.max_length") for value in values)


def _smaller(spec: JobSpec, facts: ModelFacts, rows: Rows, place: Place) -> Iterator[tuple[tuple[str, ...], JobSpec]]:
    """Recipes that need less, what costs the result nothing first; each with what it sets."""
    replace = msgspec.structs.replace

    def training(**values: object) -> JobSpec:
        return replace(spec, training=replace(spec.training, **values))

    automatic, changes = shrunk(spec, facts, rows, place)
    if changes:
        yield tuple(f"{change.key}: {change.after}" for change in changes), automatic
    longest = memory.longest(spec, rows)
    if spec.training.window is not None and spec.training.window > max(8, longest):
        yield (f"training.window: {max(8, longest)}",), training(window=max(8, longest))
    told = {change.key for change in changes} if len(changes) == 1 else set()
    if spec.training.checkpointing != "full" and "training.gradient_checkpointing" not in told:
        yield ("training.gradient_checkpointing: full",), training(gradient_checkpointing="full")
    if spec.training.optimizer == "adamw" and place.device in optimizers.cards()["adamw_8bit"].devices:
        yield ("training.optimizer: adamw_8bit",), training(optimizer="adamw_8bit")
    adapter = tuners.cards()[spec.tuner["kind"]].adapter
    if adapter and spec.quantization == "none" and place.device in quants.cards()["nf4"].devices:
        yield ("quantization: nf4",), replace(spec, quantization="nf4")
    if not adapter and (lora := _lora(spec)) is not None:
        yield ("tuner.kind: lora",), lora
    if spec.evaluation.answers:
        yield ("evaluation.answers: 0",), replace(spec, evaluation=replace(spec.evaluation, answers=0))
    if spec.training.batch_size > 1:
        yield ("training.batch_size: 1",), training(batch_size=1)
    if longest // 2 >= SHORTEST:
        for length in _halves(longest):
            yield (f"training.max_length: {length}",), training(max_length=length)
    if spec.exports not in ((), ("adapter",)) and adapter:
        yield ("exports: [adapter]",), replace(spec, exports=("adapter",))


def _lora(spec: JobSpec) -> JobSpec | None:
    try:
        return complete(msgspec.structs.replace(spec, tuner={"kind": "lora"}))
    except RecipeError:  # something else in it does not go with an adapter
        return None


def _halves(longest: int) -> Iterator[int]:
    while (longest := longest // 2) >= SHORTEST:
        yield longest
