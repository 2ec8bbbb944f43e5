"""Activations: what backward keeps of a window, layer by layer, from a model's facts alone.

Counted as the worker's kernels keep it: norms keep their input and one number a token, attention its queries, keys,
values and output, a gated MLP its gate and up only. `tests/engine/test_planned_activations.py` holds these counts to
the tensors that autograd really keeps, family by family.
"""

from __future__ import annotations

import msgspec

from tunesmith.recipes.models.facts import ATTENTION, EXPERT, LINEAR, MLP, SHARED, ModelFacts

FUSED_MLP = ("gate_proj", "up_proj", "down_proj")  # what the fused MLP goes by
FLOAT32 = 4


class Computing(msgspec.Struct, frozen=True, kw_only=True):
    """How a step is computed. `width` is bytes a number, `rank` 0 where the weights themselves are trained."""

    width: int = FLOAT32
    rank: int = 0
    dropout: float = 0.0
    fused: bool = True
    method_sequences: int = 1

    @property
    def adapter(self) -> bool:
        return self.rank > 0


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
    hidden = facts.hidden_size
    layers = max(1, facts.layers)
    attended = sum(facts.kinds.count(kind) for kind in "fsh")
    numbers = norms(facts, how) * layers
    numbers += attention(facts, how) * attended
    numbers += mixers(facts) * (layers - attended)
    numbers += feed_forward(facts, how)
    numbers += adapters(facts, how)
    rotary = 2 * facts.head_dim
    rest = hidden + 1 + rotary
    return Kept(
        layer=numbers * how.width / layers,
        rest=rest * how.width,
        inputs=hidden * how.width,
        label=hidden * how.width + 8,
    )


def norms(facts: ModelFacts, how: Computing) -> float:
    """Of one layer. Norms with a mean keep what they make too: nothing computes it again."""
    count, hidden = facts.layer_norms, facts.hidden_size
    if facts.norm_means:
        return count * (2 * hidden + 2)
    if how.fused:
        return count * (hidden + 1)
    return count * (2 * hidden + 1 + (0 if how.adapter else hidden))


def attention(facts: ModelFacts, how: Computing) -> float:
    """Of one layer with attention: queries, keys and values as they are attended with, the output, a sum a head."""
    query, key = facts.heads * facts.head_dim, facts.key_value_heads * facts.head_dim
    numbers = 2.0 * query + 2 * key + facts.heads
    if facts.head_norms:
        numbers += query + key
        if not how.fused:
            numbers += 0 if how.adapter else query + key
        numbers += facts.heads + facts.key_value_heads if facts.head_norms == "head" else 2
    if per_layer(facts, ATTENTION) == 2:  # one matrix for all three: they are views of what it makes
        numbers += query + key
    return numbers


def feed_forward(facts: ModelFacts, how: Computing) -> float:
    """Of all layers together, dense ones and experts."""
    gated = gated_mlp(facts)
    numbers = 0.0
    dense = facts.layers if not facts.experts else facts.dense_layers
    if any(matrix.part == MLP for matrix in facts.matrices):
        if gated and how.fused:
            wide = 2.0 if how.adapter and not how.dropout else 3.0
        elif gated or merged(facts):
            wide = 4.0
        else:
            wide = 2.0
        numbers += wide * facts.intermediate_size * dense
    sparse = facts.layers - dense
    if facts.experts:
        # Measured: gate, up, activation and product of each chosen expert, its input and output; the router beside.
        routed = facts.experts_per_token * (4.0 * facts.expert_intermediate_size + 2.0 * facts.hidden_size)
        shared = 4.0 * facts.shared_intermediate_size if any(m.part == SHARED for m in facts.matrices) else 0.0
        numbers += sparse * (routed + shared + facts.hidden_size + 5.0 * facts.experts)
    return numbers


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


def expert_weights(facts: ModelFacts) -> int:
    return sum(matrix.parameters for matrix in facts.matrices if matrix.part == EXPERT)
