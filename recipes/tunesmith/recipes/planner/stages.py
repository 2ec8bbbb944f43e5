"""Stages: what each stage of a run holds at once, on the device and beside it, and what it writes."""

from __future__ import annotations

from tunesmith.recipes import exports, native, optimizers
from tunesmith.recipes.models.facts import ModelFacts
from tunesmith.recipes.planner import activations, computed, inference, memory
from tunesmith.recipes.planner.memory import MIB, Parts
from tunesmith.recipes.planner.place import Place
from tunesmith.recipes.planner.rows import Rows
from tunesmith.recipes.quants import nf4
from tunesmith.recipes.spec import BENCHMARK, EVALUATE, TRAIN, WRITING, JobSpec

# Measured beside real workers by bench/forecast.py: what libraries take that a stage is the first to use.
PREPARE_BYTES = 550 * MIB  # tokenizers, and the engine that is imported meanwhile
LATER_BYTES = 60 * MIB  # of a worker with its libraries: what is not there yet while the model is read
STEPPING = {"adafactor": 1, "adamw_8bit": 0, "paged_adamw_8bit": 0}  # weights as large as the largest, beside it
GRADIENTS_BESIDE = 0.5  # of a step's only window, of those that come where its activations go
LIBRARIES_BYTES, LIBRARIES_FULL_FROM = 60 * MIB, 126 * MIB
# Of activations in blocks that lie in the heap, smaller than HEAPED_BLOCK (worker/processor.py). Gradients of a model
# that is trained whole fill most.
HOLES, HOLES_TRAINED = 0.3, 0.1
RECOMPUTED_HOLES = 2.2  # of what a layer takes for itself (60M checkpointed of bench/forecast.py, four runs)
HEAPED_BLOCK = 2 * MIB
SMALLER = 0.85  # of the largest window: where that lies just outside of the heap, most others lie in it
OPTIMIZING_BYTES = 45 * MIB  # bitsandbytes and what a step of its optimizers holds
# What comes to be resident after the probe, of runs of 12 to 96 steps.
GROWN_BYTES, GROWN_HEAP, GROWN_HEAP_TRAINED, RECOMPUTED_GROWTH, ALLOCATOR_GROWTH = 24 * MIB, 0.25, 0.45, 0.1, 0.025
EVALUATING_BYTES, EVALUATING_FULL_BYTES = 48 * MIB, 60 * MIB  # what generating text imports and uses, by model
PACKING_BYTES = 60 * MIB  # MKL's copies of the matrices it multiplies, for rows of PACKED_LENGTH tokens and more
PACKED_LENGTH = 3000
EXPORTING_BYTES = 60 * MIB
BENCHMARKING_BYTES = 1200 * MIB  # lm-eval or EvalScope beside the worker; the model is in a process of the daemon
VERIFYING_BYTES = 135 * MIB  # llama.cpp
MAPPED_BYTES = 1 << 30  # of files that are counted as needed
COMPARED_TOKENS = 320  # whose logits two models are compared by
MERGING_BYTES = 110 * MIB  # pieces of a few matrices, and peft's layers around a base without weights
CONVERTED_SHARE = 0.9  # of weights outside of embeddings: freed piece by piece, some of the old is there still


def sizes(
    spec: JobSpec, facts: ModelFacts, rows: Rows, place: Place, parts: Parts, correction: float
) -> dict[str, tuple[int, int]]:
    """Bytes (host, device) by stage."""
    found = {"fetch": (0, 0)} if facts.to_fetch else {}
    if spec.task == BENCHMARK:
        return found | {"evaluate": (BENCHMARKING_BYTES, 0)}
    found["prepare"] = (PREPARE_BYTES, 0)
    beside = compressing(spec, facts, place)
    if spec.task in WRITING:
        host = max(merged_anew(spec, facts, place)[0], beside)
        return found | {"export": (host, 0), "verify": verify(spec, facts, rows, place)}
    loading = load(spec, facts, place, parts)
    if spec.task == EVALUATE:
        host, device = evaluate(spec, facts, rows, place, parts)
        return found | {"evaluate": (max(host, loading[0]), max(device, loading[1]))}
    found["probe"] = loading
    found["train"] = train(spec, facts, place, parts)
    found["evaluate"] = evaluate(spec, facts, rows, place, parts)
    found["export"] = max(export(spec, facts, place, parts)[0], beside), 0
    found["verify"] = verify(spec, facts, rows, place)
    host, device = found["train"]
    found["train"] = (host, int(device * correction)) if device else (int(host * correction), 0)
    if spec.benchmark is not None:
        host, device = on(place, 0)
        found["benchmark"] = host + BENCHMARKING_BYTES, device
    return found


def on(place: Place, bytes: float) -> tuple[int, int]:
    """`bytes` where it trains, with what the process or the GPU's context takes."""
    if place.shared:
        return int(place.runtime_bytes + bytes), 0
    return place.runtime_bytes, int(place.context_bytes + bytes * (1 + memory.SLACK.get(place.device, 0.0)))


def load(spec: JobSpec, facts: ModelFacts, place: Place, parts: Parts) -> tuple[int, int]:
    """The model is read: its mapped files lie beside it until all is converted. The probe's steps are training's."""
    host, device = on(place, parts.weights)
    stored = facts.parameters * memory.stored_width(facts)
    converted = memory.stored_width(facts) != memory.WIDTHS[memory.weights_dtype(spec, place)]
    beside = max(0.0, stored - LATER_BYTES) if converted else 0.0
    if spec.quantization != "none":  # and copies of the matrix that is quantized
        beside += nf4.LIBRARY_BYTES + 3 * 4 * facts.intermediate_size * facts.hidden_size
    return int(host + (beside if place.shared else min(MAPPED_BYTES, beside))), device


def train(spec: JobSpec, facts: ModelFacts, place: Place, parts: Parts) -> tuple[int, int]:
    """At the worst moment of a step."""
    # Gradients come as activations go, but few fit where those were.
    moment: float = parts.gradients + parts.activations + parts.logits
    small = 4 * facts.hidden_size**2 < HEAPED_BLOCK
    if parts.windows == 1 and small and place.device == "cpu" and not memory.computing(spec, place).adapter:
        # Those of a step's only window do, where they are small enough for the heap. The head's is among activations.
        layers = parts.gradients - 4 * embedded(facts) * (1 if facts.tied_embeddings else 2)
        moment = max(parts.activations + parts.logits, parts.gradients)
        moment += GRADIENTS_BESIDE * min(layers, parts.activations)
    if not memory.computing(spec, place).adapter:  # while AdamW steps it makes two more of the largest weight
        moment = max(moment, parts.gradients + STEPPING.get(spec.training.optimizer, 2) * 4 * embedded(facts))
    held = parts.weights + parts.adapter + parts.optimizer
    more = unpacked(spec, facts, place) + parts.transient + parts.kernels
    return on(place, held + moment + more + holes(spec, facts, place, parts))


def holes(spec: JobSpec, facts: ModelFacts, place: Place, parts: Parts) -> float:
    """Bytes between the blocks of a heap, and libraries' own: with a model of some size they use more (CPU)."""
    if place.device != "cpu":
        return 0.0
    libraries = LIBRARIES_BYTES * filled(parts)
    if optimizers.cards()[spec.training.optimizer].package:
        libraries += OPTIMIZING_BYTES
    return libraries + (HOLES if parts.adapter else HOLES_TRAINED) * heaped(facts, parts) + emptied(facts, parts)


def emptied(facts: ModelFacts, parts: Parts) -> float:
    """Bytes of a heap's holes that layers leave which are computed again."""
    return RECOMPUTED_HOLES * parts.transient * parts.recomputed / facts.layers if heaped(facts, parts) else 0.0


def filled(parts: Parts) -> float:
    """How much of what libraries can take for themselves a model of this size lets them take, at most 1."""
    return min(1.0, parts.weights / LIBRARIES_FULL_FROM)


def heaped(facts: ModelFacts, parts: Parts) -> int:
    """Bytes of activations of layers in blocks of the heap; larger ones lie outside, and leave nothing there
    (worker's Heap).
    """
    if SMALLER * 4 * parts.tokens * facts.hidden_size >= HEAPED_BLOCK:
        return 0
    return parts.activations - (0 if parts.adapter else 4 * embedded(facts))  # the gradient of a head that is trained


def growing(place: Place, facts: ModelFacts, parts: Parts, *, kernels: int, peak_bytes: int) -> int:
    """Bytes that come to training after its worst window, whose peak was `peak_bytes`.

    On a CPU for windows of other lengths: `kernels` bytes for numbers of rows that were not met, what is between the
    activations in the heap, more where gradients and what the optimizer makes come between, and with each layer that
    is computed again.
    """
    if place.device != "cpu":
        return int(ALLOCATOR_GROWTH * peak_bytes)
    between = (GROWN_HEAP if parts.adapter else GROWN_HEAP_TRAINED) * heaped(facts, parts)
    again = RECOMPUTED_GROWTH * parts.recomputed / facts.layers * max(0, peak_bytes - place.runtime_bytes)
    return int(GROWN_BYTES + kernels + between + again)


def evaluate(spec: JobSpec, facts: ModelFacts, rows: Rows, place: Place, parts: Parts) -> tuple[int, int]:
    """Rows are scored in windows as they were trained in, and questions answered many at once."""
    how = memory.computing(spec, place)
    longest, mean = memory.longest(spec, rows), min(rows.mean, memory.longest(spec, rows))
    scored = min(computed.EVALUATED_ROWS * mean, max(parts.tokens, longest))
    at_once = min(computed.EVALUATED_ROWS, spec.evaluation.answers, rows.held_out)
    asked = at_once * longest * (1 - rows.trained_share)  # tokens of prompts, padded to the longest
    written = asked + at_once * spec.evaluation.max_new_tokens
    cache = facts.kv_cache_bytes(1, how.width) * written
    logits = at_once * facts.vocabulary * 4 * 2
    again = parts.weights if not how.adapter else 0  # the base beside it
    transient = activations.transient(facts, how)
    working = max(scored * transient + parts.logits, asked * transient, cache + logits)
    packing = PACKING_BYTES * min(1.0, longest / PACKED_LENGTH) if place.device == "cpu" else 0
    libraries = EVALUATING_BYTES + filled(parts) * (EVALUATING_FULL_BYTES - EVALUATING_BYTES)
    more = parts.kernels + packing + libraries + unpacked(spec, facts, place)
    if place.device == "cpu" and parts.adapter:
        more += HOLES * heaped(facts, parts) + emptied(facts, parts)  # what training left behind
    return on(place, parts.weights + parts.adapter + again + working + more)


def unpacked(spec: JobSpec, facts: ModelFacts, place: Place) -> float:
    """Bytes of a quantized base that stay beside it: bitsandbytes, and the mapped files where a part is used as is."""
    if spec.quantization == "none":
        return 0.0
    stored = facts.parameters * memory.stored_width(facts)
    as_is = memory.stored_width(facts) == memory.WIDTHS[memory.weights_dtype(spec, place)]
    quantized = facts.linear_parameters * memory.stored_width(facts)
    return nf4.LIBRARY_BYTES + (quantized if as_is and place.device == "cpu" and stored else 0.0)


def needs_merging(spec: JobSpec) -> bool:
    """Whether anything is exported that is made of the merged model or compared with it."""
    cards = [exports.find(target)[0] for target in spec.exports]
    return any(not card.of_adapter or card.kl_limits for card in cards)


def export(spec: JobSpec, facts: ModelFacts, place: Place, parts: Parts) -> tuple[int, int]:
    """An adapter is merged from file to file, once the trained model is let go. Of a base that was quantized the merged
    model is loaded too, in the dtype of its files, and compared. Where every weight is trained the model is written.
    """
    runtime = place.runtime_bytes + EXPORTING_BYTES
    held = parts.weights if place.shared else 0
    if not needs_merging(spec):
        return int(runtime + held), 0
    width, loaded = memory.stored_width(facts), memory.WIDTHS[memory.weights_dtype(spec, place)]
    if spec.quantization != "none":
        compares = max(held, loaded_as_stored(facts)) + compared(facts) * 3.5  # one model after the other
        return int(runtime + max(merging(spec, facts, place) + nf4.LIBRARY_BYTES, compares)), 0
    if memory.computing(spec, place).adapter:
        return int(runtime + max(held, merging(spec, facts, place))), 0
    if width == loaded:
        return int(runtime + held), 0
    converted = max(embedded(facts), CONVERTED_SHARE * (facts.parameters - embedded(facts)))
    return int(runtime + held + width * converted), 0


def merged_anew(spec: JobSpec, facts: ModelFacts, place: Place) -> tuple[int, int]:
    """The adapter of a finished run, merged into the base's files."""
    return int(place.runtime_bytes + EXPORTING_BYTES + merging(spec, facts, place)), 0


def merging(spec: JobSpec, facts: ModelFacts, place: Place) -> float:
    """Bytes of an adapter, whose file is mapped, and of pieces of the base."""
    if not needs_merging(spec) or not memory.computing(spec, place).adapter:
        return 0.0
    adapter = memory.trained_parameters(spec, facts)
    pieces = min(MERGING_BYTES, 4 * facts.parameters * memory.stored_width(facts))  # of a tiny model there are few
    return float(max(1, len(spec.adapters)) * (pieces + 4 * adapter))


def compressing(spec: JobSpec, facts: ModelFacts, place: Place) -> int:
    """The worker with the process beside it that makes an export, which maps the model."""
    model = known(spec, facts)
    held = max((card.held(variant, model) for card, variant in map(exports.find, spec.exports)), default=0)
    return int(2 * place.runtime_bytes + EXPORTING_BYTES + min(MAPPED_BYTES, model.stored) + held) if held else 0


def known(spec: JobSpec, facts: ModelFacts) -> exports.Planned:
    """What exports are planned by."""
    return exports.Planned(facts, memory.stored_width(facts), memory.trained_parameters(spec, facts))


def loaded_as_stored(facts: ModelFacts) -> float:
    """Bytes of the model in the dtype of its files, float16 in float32 with most of those mapped beside it."""
    width = memory.stored_width(facts)
    float16 = facts.stored is not None and "F16" in facts.stored.dtypes
    return facts.parameters * (CONVERTED_SHARE * width + 4 if float16 else width)


def embedded(facts: ModelFacts) -> int:
    return facts.vocabulary * facts.hidden_size


def compared(facts: ModelFacts) -> float:
    """Bytes of the logits that one model leaves for the comparison with another."""
    return COMPARED_TOKENS * facts.vocabulary * 4.0


def verify(spec: JobSpec, facts: ModelFacts, rows: Rows, place: Place) -> tuple[int, int]:
    """The merged model in float32, computed on the processor; then each file beside what it said. Of what a model sees
    with, that alone is in float32, beside the files.
    """
    cards = [exports.find(target)[0] for target in spec.exports]
    if not any(card.kl_limits for card in cards):
        merged = facts.parameters * memory.stored_width(facts) if needs_merging(spec) else 0.0
        sees = any(card.sees for card in cards)
        seen = 4 * facts.tower_parameters + VERIFYING_BYTES + inference.SEEING_BYTES if sees else 0
        return int(place.runtime_bytes + EXPORTING_BYTES + min(MAPPED_BYTES, merged) + seen), 0
    # The merged model's file, or an export's. Where memory is short the system takes it back.
    mapped = min(MAPPED_BYTES, CONVERTED_SHARE * facts.parameters * 2.0)
    here = place.runtime_bytes + facts.parameters * 4 + mapped + 1.6 * compared(facts) + VERIFYING_BYTES
    return int(max(here, computed_apart(spec, facts, place))), 0


def computed_apart(spec: JobSpec, facts: ModelFacts, place: Place) -> float:
    """Of exports that their tool's environment computes: the worker with what the merged model said, and a process
    beside it that holds the folder, its embeddings in float32.
    """
    model = known(spec, facts)
    folders = [card.planned(variant, model) for card, variant in map(exports.find, spec.exports) if card.apart]
    if not folders:
        return 0.0
    beside = place.runtime_bytes + native.LIBRARY_BYTES + max(folders) + 4 * embedded(facts)
    return place.runtime_bytes + EXPORTING_BYTES + beside + 1.6 * compared(facts)


def disk(spec: JobSpec, facts: ModelFacts) -> dict[str, int]:
    """Bytes by stage that writes any: the model where it is not here yet, checkpoints while it trains, the merged model
    and every export.
    """
    model = known(spec, facts)
    found = [exports.find(target) for target in spec.exports]
    written = model.stored if needs_merging(spec) else 0
    written += sum(card.planned(variant, model) for card, variant in found)
    written += max((card.beside(variant, model) for card, variant in found), default=0)
    checkpoint = 2 * model.trained * 12 if spec.training.save_steps != 0 and spec.task == TRAIN else 0
    exported = written if spec.task in (TRAIN, *WRITING) else 0
    return {"fetch": facts.to_fetch, "train": checkpoint, "export": exported}
