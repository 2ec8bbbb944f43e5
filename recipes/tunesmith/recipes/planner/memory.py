"""Memory: the bytes of a run's parts, and what each stage holds at once. Method by method, stage by stage.

Where a constant is not arithmetic it was measured: `bench/forecast.py` prints forecasts beside real workers.
"""

from __future__ import annotations

import math

import msgspec

from tunesmith.recipes import methods, optimizers, quants, tuners
from tunesmith.recipes.models.facts import ATTENTION, EXPERT, LINEAR, MIXER, ROUTER, SHARED, ModelFacts
from tunesmith.recipes.planner import activations, computed
from tunesmith.recipes.planner.activations import Computing
from tunesmith.recipes.planner.kernels import kernel_bytes
from tunesmith.recipes.planner.place import Place
from tunesmith.recipes.planner.rows import Rows
from tunesmith.recipes.spec import JobSpec

MIB = 1 << 20
WIDTHS = {"float32": 4, "bfloat16": 2, "float16": 2}
STORED_WIDTHS = {"F64": 8, "F32": 4, "BF16": 2, "F16": 2, "F8_E4M3": 1, "F8_E5M2": 1}
SLACK = {"cuda": 0.06}  # of what a GPU's allocator hands out, lost between blocks
PLAIN_TRANSIENT = 4  # of what fused layers need meanwhile: every operation has a result of its own
UNEVEN = 0.5  # of what the longest row has more than the mean, by which a window is longer than others of its step


class Parts(msgspec.Struct, frozen=True, kw_only=True):
    """Bytes of a training step by component, where it trains."""

    weights: int
    adapter: int
    gradients: int
    optimizer: int
    activations: int
    logits: int
    transient: int
    kernels: int
    recomputed: int
    tokens: int
    windows: int = 1  # of the largest step

    @property
    def held(self) -> int:
        """What is there between two steps."""
        return self.weights + self.adapter + self.gradients + self.optimizer


def dtype_of(spec: JobSpec, place: Place) -> str:
    """What the step is computed in."""
    return place.dtype if spec.training.dtype == "auto" else spec.training.dtype


def weights_dtype(spec: JobSpec, place: Place) -> str:
    """What the base is held in: float32 where it is trained itself."""
    return dtype_of(spec, place) if tuners.cards()[spec.tuner["kind"]].adapter else "float32"


def weight_bytes(facts: ModelFacts, width: float, quantization: str = "none") -> int:
    """Of the loaded model. Quantized are linear layers; embeddings, norms, experts and the head are not."""
    packed = quants.cards()[quantization].bytes_a_weight
    if packed is None:
        return int(facts.parameters * width)
    linear = facts.linear_parameters
    return int((facts.parameters - linear) * width + linear * packed)


def stored_width(facts: ModelFacts) -> float:
    """Bytes a weight in the model's files; 2 where they are not known."""
    stored = facts.stored
    if stored is None or not stored.parameters:
        return 2.0
    return stored.bytes / stored.parameters


def adapter_parameters(facts: ModelFacts, rank: int) -> int:
    """Weights of the two narrow matrices beside every linear layer.

    Where experts have adapters, so has their router; a dense or shared MLP, whose layers have the names of theirs, has
    none then. The two matrices into an expert are one tensor, with one adapter of twice the rank.
    """
    parts = (ATTENTION, MIXER, ROUTER, EXPERT) if facts.adapted_experts else LINEAR
    beside = [one for one in facts.matrices if one.part in parts or (one.part == SHARED and one.outputs == 1)]
    again = [one for one in beside if one.part == EXPERT and one.inputs == facts.hidden_size]
    numbers = sum((one.inputs + one.outputs) * one.count for one in beside)
    return rank * (numbers + sum(one.outputs * one.count for one in again))


def trained_parameters(spec: JobSpec, facts: ModelFacts) -> int:
    if not tuners.cards()[spec.tuner["kind"]].adapter:
        return facts.parameters
    return adapter_parameters(facts, int(spec.tuner.get("rank", 0)))


def computing(spec: JobSpec, place: Place, length: float = 0.0) -> Computing:
    """How a step is computed over rows of `length` tokens at most."""
    return Computing(
        width=WIDTHS[dtype_of(spec, place)],
        rank=int(spec.tuner.get("rank", 0)) if tuners.cards()[spec.tuner["kind"]].adapter else 0,
        dropout=float(spec.tuner.get("dropout", 0.0)),
        fused=spec.training.fused,
        length=length,
    )


def window_size(spec: JobSpec, place: Place) -> int:
    """Tokens computed at once, unless one row is longer."""
    adapter = tuners.cards()[spec.tuner["kind"]].adapter
    return spec.training.window or computed.window(place.device, adapter=adapter, quantized=spec.quantization != "none")


def longest(spec: JobSpec, rows: Rows) -> int:
    return min(rows.longest, spec.training.max_length or rows.longest)


def step_tokens(spec: JobSpec, rows: Rows) -> tuple[float, float]:
    """Of the smallest and the largest step that is to be reckoned with.

    Of the lengths of rows the mean and the longest are known: half of what lies between is taken for the standard
    deviation, and two of it to each side for the steps.
    """
    most = longest(spec, rows)
    count = min(spec.training.batch_size * spec.training.gradient_accumulation, max(1, rows.rows))
    count *= methods.cards()[spec.method["kind"]].sequences
    mean = min(rows.mean, most)
    spread = (most - mean) * math.sqrt(count)
    return max(0.0, count * mean - spread), min(count * most, count * mean + spread)


def window_tokens(spec: JobSpec, rows: Rows, place: Place) -> int:
    """Of the largest window of any step: the longest row, or rows that share one.

    A step's rows are spread evenly over as few windows as hold them.
    """
    most, size = longest(spec, rows), window_size(spec, place)
    smallest, largest = step_tokens(spec, rows)
    windows = math.ceil(largest / size)
    if windows > max(1, math.ceil(smallest / size)):
        return max(most, size)  # some step has just too little for one window more
    uneven = 0.0 if windows == 1 else UNEVEN * (most - min(rows.mean, most))
    return max(most, min(size, math.ceil(largest / windows + uneven)))


def expert_bytes(facts: ModelFacts, width: float) -> float:
    """Of all routed experts and their routers."""
    return width * sum(matrix.parameters for matrix in facts.matrices if matrix.part in (EXPERT, ROUTER))


def recomputed_layers(spec: JobSpec, facts: ModelFacts, kept: activations.Kept, tokens: int, free: float) -> int:
    """How many layers are checkpointed; with `auto` as few as the memory `free` for activations allows."""
    how = spec.training.checkpointing
    if how == "off":
        return 0
    if how == "full":
        return facts.layers
    if how == "selective":
        return (facts.layers + 1) // 2
    for count in range(facts.layers + 1):
        if kept.window(tokens, tokens, facts.layers, count) <= free:
            return count
    return facts.layers


def parts(spec: JobSpec, facts: ModelFacts, rows: Rows, place: Place) -> Parts:
    """Of the largest window of a training step."""
    how = computing(spec, place, longest(spec, rows))
    tokens = window_tokens(spec, rows, place)
    labels = max(1.0, tokens * rows.trained_share)
    trained = trained_parameters(spec, facts)
    weights = weight_bytes(facts, WIDTHS[weights_dtype(spec, place)], spec.quantization)
    if methods.cards()[spec.method["kind"]].reference and not how.adapter:
        weights *= 2  # the model as it was, beside the one that is trained
    adapter = trained * 4 if how.adapter else 0
    optimizer = optimizers.cards()[spec.training.optimizer]
    state = int(trained * optimizer.state_bytes)
    if optimizer.package and not how.adapter:  # the state of embeddings stays in float32
        state += int(facts.vocabulary * facts.hidden_size * (8 - optimizer.state_bytes))
    gradients = trained * 4
    windows = math.ceil(step_tokens(spec, rows)[1] / window_size(spec, place))
    even = window_size(spec, place) if windows > 1 and how.adapter else 0
    fused = how.width == 4 and how.fused
    kept = activations.kept(facts, how)
    free = place.free_bytes - place.runtime_bytes * place.shared - weights - adapter - gradients - state
    recomputed = recomputed_layers(spec, facts, kept, tokens, 0.7 * free)
    rows_at_once = min(labels, computed.logit_rows(place.device, facts.vocabulary))
    if facts.scaled_logits or facts.capped_logits:  # what is done to them is done to all of them at once
        rows_at_once = labels
    logits = int(rows_at_once * facts.vocabulary * (4 if how.width == 4 else 6))
    head = facts.vocabulary * facts.hidden_size * 4
    kept_bytes = kept.window(tokens, labels, facts.layers, recomputed)
    if place.device == "cpu" and recomputed == facts.layers:  # the one that is there again comes when logits are gone
        kept_bytes -= min(tokens * kept.layer, logits) / 2  # which leave holes
    if not how.adapter:  # the head's gradient is made with the loss and kept until backward comes to it
        kept_bytes += head
        logits += head if rows_at_once < labels else 0
    if how.adapter and facts.adapted_experts:  # peft merges an adapter of experts into a copy of them for each step
        kept_bytes += expert_bytes(facts, how.width)
    if not how.adapter and how.width < 4 and place.device == "cuda":  # autocast keeps what it converted
        kept_bytes += facts.linear_parameters * how.width
    if spec.quantization != "none":  # the matrices of the largest part, dequantized for its products
        logits += int(3 * facts.intermediate_size * facts.hidden_size * how.width)
    return Parts(
        weights=weights,
        adapter=adapter,
        gradients=gradients,
        optimizer=state,
        activations=int(kept_bytes),
        logits=logits,
        transient=int(tokens * activations.transient(facts, how) * (1 if how.fused else PLAIN_TRANSIENT)),
        kernels=kernel_bytes(facts, rows, place, tokens=tokens, even=even) if fused else 0,
        recomputed=recomputed,
        tokens=tokens,
        windows=windows,
    )
