"""Activations: what backward keeps of a window, layer by layer, from a model's facts alone.

Counted as the worker's kernels keep it: norms keep their input and one number a token, attention its queries, keys,
values and output, a gated MLP its gate and up only. `tests/engine/test_planned_activations.py` holds these counts to
the tensors that autograd really keeps, family by family.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

import msgspec

from tunesmith.recipes.models.facts import ATTENTION, LINEAR, MLP, SHARED, ModelFacts

FUSED_MLP = ("gate_proj", "up_proj", "down_proj")  # what the fused MLP goes by
FLOAT32, INT64 = 4, 8
# What activation functions keep that are written out, in widths of the MLP; one of PyTorch's own keeps its input, but
# ReLU what it makes, which the product behind it keeps anyhow. Measured on transformers 5.23, activations.py.
WRITTEN: Mapping[str, int] = MappingProxyType({
    "gelu_10": 2, "gelu_accurate": 4, "gelu_fast": 7, "gelu_new": 4, "gelu_python": 3, "gelu_python_tanh": 4,
    "quick_gelu": 2, "relu": 0,
})  # fmt: skip


class Computing(msgspec.Struct, frozen=True, kw_only=True):
    """How a step is computed. `width` is bytes a number, `rank` 0 where the weights themselves are trained.

    What is trained is held in float32. With a smaller `width` products convert it and what they read (autocast), and
    where all weights are trained, embeddings make the numbers between layers float32 too.
    `length` tokens of a row count where attention keeps scores of every pair of tokens.
    """

    width: int = FLOAT32
    rank: int = 0
    dropout: float = 0.0
    fused: bool = True
    length: float = 0.0

    @property
    def adapter(self) -> bool:
        return self.rank > 0

    @property
    def converts(self) -> bool:
        """Whether products convert what they read, each for itself."""
        return self.width < FLOAT32 and not (self.adapter and self.fused)

    @property
    def between(self) -> int:
        """Bytes of a number between layers."""
        return self.width if self.adapter else FLOAT32


class Kept(msgspec.Struct, frozen=True):
    """Bytes of one token: by layer (the mean one), outside of the layers, of a layer's input, of one label."""

    layer: float
    rest: float
    inputs: float
    label: float

    def window(self, tokens: float, labels: float, layers: int, recomputed: int) -> float:
        """Bytes of a window with `recomputed` of `layers` checkpointed: one of these is there while it is again."""
        kept = (layers - recomputed) * self.layer + recomputed * self.inputs + (self.layer if recomputed else 0.0)
        return tokens * (kept + self.rest) + labels * self.label


def kept(facts: ModelFacts, how: Computing) -> Kept:
    """What backward keeps of a token."""
    layers, attended = max(1, facts.layers), attended_layers(facts)
    numbers = (norms(facts, how) + inputs(facts, how)) * layers
    numbers += attention(facts, how) * attended
    numbers += mixers(facts) * (layers - attended)
    numbers += feed_forward(facts, how)
    numbers += adapters(facts, how)
    return Kept(
        layer=numbers * how.width / layers,
        rest=rest(facts, how) * how.width,
        inputs=facts.hidden_size * how.between,
        label=label(facts, how),
    )


def rest(facts: ModelFacts, how: Computing) -> float:
    """Outside of the layers: the final norm, angles of positions, and which token it is, for its embedding.

    The first layer's norm reads what needs no gradient unless embeddings are trained, so that it keeps nothing.
    """
    angles = 0 if facts.position_embeddings else 2 * facts.head_dim
    if facts.head_norms == "head" and "s" in facts.kinds and "f" in facts.kinds:
        angles *= 2  # sliding layers turn by angles of their own
    tokens = (INT64 / how.width) * (2 if facts.position_embeddings else 1)
    numbers = norm(facts, how) + angles + (0 if how.adapter else tokens)
    if how.adapter and not fused_norms(facts, how) and not facts.post_norms:
        numbers -= norm(facts, how)
        if facts.parallel and facts.norm_means:
            numbers -= (facts.layer_norms - 1) * 2 * FLOAT32 / how.width
    return numbers


def label(facts: ModelFacts, how: Computing) -> float:
    """Bytes of a label: what the head reads; where its logits are changed, the logits of all labels at once."""
    chosen = facts.hidden_size * how.between
    if not (facts.scaled_logits or facts.capped_logits):
        return chosen + INT64
    capped = facts.vocabulary * how.width if facts.capped_logits else 0
    return facts.vocabulary * FLOAT32 + capped + (0 if how.adapter else chosen) + 3 * INT64


def fused_norms(facts: ModelFacts, how: Computing) -> bool:
    """Whether norms are computed by the kernel of ours, whose output products make again instead of keeping it."""
    return how.fused and not facts.norm_means and not facts.written_means


def norm(facts: ModelFacts, how: Computing) -> float:
    """One: its input and a number or two a token; written out, what its weight is multiplied with too, if trained."""
    hidden = facts.hidden_size * how.between / how.width
    if facts.norm_means:
        return hidden + 2 * FLOAT32 / how.width
    if fused_norms(facts, how):
        return hidden + FLOAT32 / how.width
    written = (2 if facts.written_means else 1) * facts.hidden_size + 1  # in float32, whatever the width
    return written * FLOAT32 / how.width + (0 if how.adapter else hidden)


def norms(facts: ModelFacts, how: Computing) -> float:
    """Of one layer. Two that read the same keep it once."""
    numbers = facts.layer_norms * norm(facts, how)
    if facts.parallel and facts.norm_means:
        numbers -= (facts.layer_norms - 1) * facts.hidden_size * how.between / how.width
    return numbers


def inputs(facts: ModelFacts, how: Computing) -> float:
    """Of one layer: what its first products read, unless a fused norm made it and makes it again."""
    if how.converts:
        return converted(facts, how)
    if fused_norms(facts, how) and not facts.post_norms:
        return 0.0
    return facts.hidden_size * (1 if facts.parallel and facts.layer_norms == 1 else dense_share(facts) + 1)


def converted(facts: ModelFacts, how: Computing) -> float:
    """Of one layer: what each product converts for itself; the way out of attention only beside its adapter."""
    inward = 2 if gated_mlp(facts) else 1
    numbers = facts.hidden_size * (per_layer(facts, ATTENTION) - 1 + inward * dense_share(facts))
    return numbers + (facts.heads * facts.head_dim if how.adapter else 0)


def dense_share(facts: ModelFacts) -> float:
    """Layers with an MLP of their own instead of experts, whose router's input `routed` counts."""
    return facts.dense_layers / facts.layers if facts.experts else 1.0


def attention(facts: ModelFacts, how: Computing) -> float:
    """Of one layer with attention: queries, keys and values as they are attended with, the output, a sum a head."""
    query, key = facts.heads * facts.head_dim, facts.key_value_heads * facts.head_dim
    numbers = 2.0 * query + 2 * key
    if facts.capped_scores:  # eager: keys and values are repeated, scores of all pairs kept before and after softmax
        pairs = facts.heads * how.length
        numbers += 2 * (query - key) + pairs * (1 + max(how.width, FLOAT32) / how.width)
        numbers += pairs if how.width < FLOAT32 else 0  # the float32 softmax is converted
    else:
        numbers += facts.heads * FLOAT32 / how.width
    if facts.head_norms:
        numbers += (query + key) * (1 if how.fused else FLOAT32 / how.width)
        numbers += 0 if how.fused or how.adapter else query + key
        numbers += (facts.heads + facts.key_value_heads if facts.head_norms == "head" else 2) * FLOAT32 / how.width
    if per_layer(facts, ATTENTION) == 2 and not facts.position_embeddings:
        numbers += query + key  # values are a view of what one matrix makes; queries and keys are turned into new ones
    return numbers


def feed_forward(facts: ModelFacts, how: Computing) -> float:
    """Of all layers together, dense ones and experts."""
    numbers = 0.0
    dense = facts.layers if not facts.experts else facts.dense_layers
    if any(matrix.part == MLP for matrix in facts.matrices):
        activated = WRITTEN.get(facts.activation, 1)
        if gated_mlp(facts) and how.fused:
            wide = 2 if how.adapter and not how.dropout else 3
        elif gated_mlp(facts) or merged(facts):
            wide = activated + 3
        else:
            wide = activated + 1
        numbers += wide * facts.intermediate_size * dense
    return numbers + (facts.layers - dense) * routed(facts, how)


def routed(facts: ModelFacts, how: Computing) -> float:
    """Of one layer with experts: gate and up, activation, product and output of each chosen one, scores and places.

    What router and experts read, and the product, are kept where weights or adapters beside them are trained.
    """
    if not facts.experts:
        return 0.0
    chosen, hidden = facts.experts_per_token, facts.hidden_size
    numbers = chosen * (3.0 * facts.expert_intermediate_size + hidden)
    if facts.adapted_experts or not how.adapter:
        numbers += hidden + chosen * (facts.expert_intermediate_size + hidden)
    if any(matrix.part == SHARED for matrix in facts.matrices):
        numbers += 4.0 * facts.shared_intermediate_size
    numbers += facts.experts + 2 * chosen + 1
    return numbers * how.between / how.width + 4 * chosen * INT64 / how.width  # grouped products convert nothing


def mixers(facts: ModelFacts) -> float:
    """Of one layer that mixes otherwise than by attention: about four times what its matrices make."""
    made = sum(matrix.outputs * matrix.count for matrix in facts.matrices if matrix.part == "mixer")
    count = facts.linear_layers
    return 4.0 * made / count if count else 0.0


def adapters(facts: ModelFacts, how: Computing) -> float:
    """Of all layers together: the narrow middle of each adapter, and what dropout left of its input."""
    if not how.adapter:
        return 0.0
    adapted = [matrix for matrix in facts.matrices if matrix.part in LINEAR]
    numbers = float(how.rank * sum(matrix.count for matrix in adapted))
    if how.dropout:  # a mask of one byte a number; unfused, the input that is left too
        inputs = sum(matrix.inputs * matrix.count for matrix in adapted)
        numbers += inputs / how.width + (0 if how.fused else inputs)
    return numbers


def gated_mlp(facts: ModelFacts) -> bool:
    """Whether gate and up are matrices of their own."""
    names = {matrix.name for matrix in facts.matrices if matrix.part == MLP}
    return names.issuperset(FUSED_MLP)


def attended_layers(facts: ModelFacts) -> int:
    return sum(facts.kinds.count(kind) for kind in "fsh")


def merged(facts: ModelFacts) -> bool:
    """Whether one matrix makes gate and up together."""
    return any(m.part == MLP and m.outputs == 2 * facts.intermediate_size for m in facts.matrices)


def per_layer(facts: ModelFacts, part: str) -> int:
    """How many matrices of `part` a layer with attention has."""
    attended = max(1, sum(facts.kinds.count(kind) for kind in "fsh"))
    return round(sum(matrix.count for matrix in facts.matrices if matrix.part == part) / attended)


def transient(facts: ModelFacts, how: Computing) -> float:
    """Bytes of a token that one layer needs for itself while its backward pass is computed."""
    query = facts.heads * facts.head_dim
    wide = max(facts.intermediate_size, facts.experts_per_token * facts.expert_intermediate_size)
    return how.width * max(4.0 * wide + 3.0 * facts.hidden_size, 8.0 * query + 2.0 * facts.hidden_size)
