"""Setups: the ways a run can be set up in a place, from the one that learns most to the one that needs least."""

from __future__ import annotations

from collections.abc import Collection, Iterator

import msgspec

from tunesmith.recipes import exports, optimizers, quants, tuners
from tunesmith.recipes.models.facts import ModelFacts
from tunesmith.recipes.planner.place import Place
from tunesmith.recipes.planner.plans import BEST, LEAN
from tunesmith.recipes.planner.rows import Rows
from tunesmith.recipes.planner.rules import rules
from tunesmith.recipes.spec import JobSpec

OPTIMIZERS = ("adamw", "adamw_8bit", "adafactor")  # of all weights: the usual one, then those with less state
LONGEST_ROW = 0  # as a length: no row is left out
# How a step is computed, each in less memory: in windows that suit the device, in smaller ones, with half of the layers
# checkpointed, with all of them.
COMPUTED = USUAL, SMALL, HALF, SMALLEST = 0, 1, 2, 3


class Setup(msgspec.Struct, frozen=True, kw_only=True):
    """`length` is the most tokens of a row. `computed`: the same steps in more or less memory, one of COMPUTED.
    `whole`: everything is exported, else only what training itself leaves.
    """

    tuner: str
    rank: int = 0
    quantization: str = "none"
    dtype: str = "auto"
    length: int = LONGEST_ROW
    optimizer: str = "adamw"
    computed: int = USUAL
    whole: bool = True


class Freedom(msgspec.Struct, frozen=True):
    """What may be chosen in a place beside the values that a person set, each best first.

    `adapter` is the tuner's key, empty where there can be none. `bases` are quantization and dtype. `lengths` leave out
    one row of a hundred at most, `shorter` more.
    """

    adapter: str
    full: bool
    bases: tuple[tuple[str, str], ...]
    lengths: tuple[int, ...]
    shorter: tuple[int, ...]
    optimizers: tuple[str, ...]
    exports: tuple[bool, ...]


def freedom(spec: JobSpec, explicit: Collection[str], facts: ModelFacts, rows: Rows, place: Place) -> Freedom:
    kind = spec.tuner["kind"]
    adapter = tuners.cards()[kind].adapter
    tuner_set = any(key.partition(".")[0] == "tuner" for key in explicit)
    exports_set = "exports" in explicit
    adapter_exported = exports_set and any(exports.find(target)[0].of_adapter for target in spec.exports)
    usual, shorter = lengths(spec, explicit, facts, rows)
    stored = bases(spec, explicit, place)
    return Freedom(
        adapter=kind if adapter else "" if tuner_set else "lora",
        full=not adapter if tuner_set else not adapter_exported and stored[0][0] == "none",
        bases=stored,
        lengths=usual,
        shorter=shorter,
        optimizers=(spec.training.optimizer,)
        if "training.optimizer" in explicit
        else tuple(key for key in OPTIMIZERS if place.device in optimizers.cards()[key].devices),
        exports=(True,) if exports_set else (True, False),
    )


def bases(spec: JobSpec, explicit: Collection[str], place: Place) -> tuple[tuple[str, str], ...]:
    """How the base can be stored and computed with: as it is, in bfloat16 where that is as fast, in 4 bits."""
    if "quantization" in explicit:
        quantizations = [spec.quantization]
    else:
        runs = [card for card in quants.cards().values() if place.device in card.devices]
        quantizations = [card.key for card in sorted(runs, key=lambda card: -(card.bytes_a_weight or 8))]
    dtypes = [spec.training.dtype]
    full, half = place.flops.get("float32"), place.flops.get("bfloat16")
    if (
        "training.dtype" not in explicit
        and place.dtype == "float32"
        and place.device != "cuda"  # there the dtype says that there are no units for it
        and full
        and half
        and half >= rules().faster.bfloat16 * full
    ):
        dtypes.append("bfloat16")
    return tuple((quantization, dtype) for quantization in quantizations for dtype in dtypes)


def lengths(
    spec: JobSpec, explicit: Collection[str], facts: ModelFacts, rows: Rows
) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """The longest row and the 99th percentile; then powers of two down to the mean row. Within the model's own limit.

    A model's limit alone is no plan: what counts are the rows.
    """
    if "training.max_length" in explicit:
        return (spec.training.max_length or LONGEST_ROW,), ()
    most = min(rows.longest, facts.context or rows.longest)
    found = [LONGEST_ROW if rows.longest <= most else most]
    usual = min(rows.percentile_99 or most, most)
    if most > usual * rules().lengths.outlier:
        found.append(usual)
    floor = max(rows.mean, rules().lengths.shorter[-1])
    return tuple(found), tuple(length for length in rules().lengths.shorter if floor <= length < usual)


def ladder(plan: str, free: Freedom, rows: Rows, place: Place, full: bool) -> Iterator[Setup]:
    """The setups of a plan, best first. `full`: there is data enough to train all weights."""
    rank = rules().rank
    if free.full and (not free.adapter or (plan == BEST and full)):
        yield from full_setups(plan, free)
    if free.adapter:
        wide = rank.best if rows.rows >= rank.few_rows else rank.best_of_few
        ranks = {BEST: (wide, rank.balanced, rank.lean), LEAN: (rank.lean,)}.get(plan, (rank.balanced, rank.lean))
        yield from adapter_setups(plan, free, ranks, place)


def adapter_setups(plan: str, free: Freedom, ranks: tuple[int, ...], place: Place) -> Iterator[Setup]:
    """Unquantized before quantized; the lean plan turns that around, but not on CPUs: there it halves the speed."""
    least = plan == LEAN
    bases = free.bases[::-1] if least and place.device != "cpu" else free.bases
    cores = [
        Setup(tuner=free.adapter, rank=rank, quantization=base[0], dtype=base[1], length=length)
        for base in bases
        for length in (free.lengths[-1:] if least else free.lengths)
        for rank in ranks
    ]
    shorter = [
        Setup(tuner=free.adapter, rank=rank, quantization=base[0], dtype=base[1], length=length)
        for length in free.shorter
        for base in bases
        for rank in ranks
    ]
    optimizer = free.optimizers[0]
    for core in (*variants(plan, free, cores), *variants(plan, free, shorter)):
        yield msgspec.structs.replace(core, optimizer=optimizer)


def full_setups(plan: str, free: Freedom) -> Iterator[Setup]:
    """All weights trained; an optimizer with less state before rows are left out."""
    least = plan == LEAN
    optimizers = free.optimizers[::-1] if least else free.optimizers
    quantization, dtype = free.bases[0]
    core = Setup(tuner="full", quantization=quantization, dtype=dtype)
    for lengths in ((free.lengths[-1:] if least else free.lengths), free.shorter):
        cores = [
            msgspec.structs.replace(core, optimizer=key, length=length) for length in lengths for key in optimizers
        ]
        yield from variants(plan, free, cores)


def variants(plan: str, free: Freedom, cores: list[Setup]) -> Iterator[Setup]:
    """Each core as it is and computed in less memory, with all exports before without."""
    for whole in free.exports:
        for core in cores:
            for computed in (SMALLEST,) if plan == LEAN else COMPUTED:
                yield msgspec.structs.replace(core, computed=computed, whole=whole)
