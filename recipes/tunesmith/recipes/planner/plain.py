"""Plain: the memory of a training step on a GPU as other engines compute it, operation by operation.

`activations` counts our own engine's, with kernels and without; this is the same arithmetic for how others write it.

What autograd keeps follows from the operations as they are written: a product with a frozen weight keeps nothing of its
input, one with a trained weight keeps it; an elementwise product keeps both factors; softmax and attention keep
what they made (torch/tools/autograd/derivatives.yaml). The published measurements of other frameworks hold this
arithmetic to reality: `tests/recipes/planner/test_published.py`.
"""

from __future__ import annotations

import msgspec

from tunesmith.recipes.models.facts import MLP, ModelFacts
from tunesmith.recipes.planner.activations import FLOAT32, attended_layers, gated_mlp, merged

HEAD, QUERY, KEY, VALUE, OUTPUT = "head", "query", "key", "value", "output"
# Bytes a weight: half a byte, and a float32 scale for each 64 weights; with double quantization a byte for each 64 and
# a float32 for each 256 of those. Source: bitsandbytes, functional.quantize_4bit.
QUANTIZED = {"nf4": 0.5 + 4 / 64, "nf4-dq": 0.5 + 1 / 64 + 4 / (64 * 256)}
# A 4-bit weight is dequantized to float16 and then converted: both copies are there at once.
DEQUANTIZED_COPIES = 2
ADAM_STATES = 2


class Engine(msgspec.Struct, frozen=True, kw_only=True):
    """How an engine computes a step.

    `rank` 0 trains all weights; `adapted` are the products with an adapter. `width` is bytes of a weight and of an
    activation. `merged` says whether one product makes queries, keys and values, `logits_width` bytes of a logit when
    the loss is computed, `logits_held` whether they stay while backward runs, `chunk` how many tokens of a row the head
    and the loss take at once (0: all). `accumulates` says whether gradients of earlier rows are there.
    """

    width: int = 2
    rank: int = 0
    dropout: float = 0.0
    adapted: frozenset[str] = frozenset()
    merged: bool = True
    logits_width: int = FLOAT32
    logits_held: bool = False
    chunk: int = 0
    accumulates: bool = True
    quantization: str = "none"

    @property
    def trained(self) -> bool:
        """Whether it is the weights themselves that are trained."""
        return self.rank == 0

    @property
    def inputs_kept(self) -> bool:
        """Whether products keep their inputs: for the weight's gradient, or because the 4-bit product always does."""
        return self.trained or self.quantization != "none"


class Need(msgspec.Struct, frozen=True, kw_only=True):
    """Bytes at the peak of a step by component."""

    weights: int
    adapter: int
    gradients: int
    optimizer: int
    activations: int = 0
    logits: int = 0
    dequantized: int = 0

    @property
    def bytes(self) -> int:
        return sum(getattr(self, name) for name in self.__struct_fields__)


def need(facts: ModelFacts, engine: Engine, rows: int, length: int, length_before: int = 0) -> Need:
    """Of a step over `rows` rows, padded to `length` tokens each; those of the step before to `length_before`."""
    trained = facts.parameters if engine.trained else adapter_parameters(facts, engine)
    held = Need(
        weights=weight_bytes(facts, engine),
        adapter=0 if engine.trained else trained * engine.width,
        gradients=trained * engine.width if engine.accumulates else 0,
        optimizer=trained * engine.width * ADAM_STATES,
    )
    # The optimizer needs the roots of all second moments at once, where it computes many weights in one call.
    step = msgspec.structs.replace(
        held, gradients=trained * engine.width, optimizer=trained * engine.width * (ADAM_STATES + 1)
    )
    moments = at_the_head(facts, engine, rows, length, rows * length_before)
    found = [step, *(msgspec.structs.replace(held, **moment) for moment in moments)]
    return max(found, key=lambda one: one.bytes)


def at_the_head(
    facts: ModelFacts, engine: Engine, rows: int, length: int, tokens_before: int
) -> tuple[dict[str, int], ...]:
    """Bytes of activations, logits and dequantized weights when the head, the loss and the way back are computed.

    All layers are kept then and nothing is freed, so the peak of forward and backward is one of the three.
    """
    tokens = rows * length
    layers = int(tokens * kept(facts, engine))
    logits = tokens * facts.vocabulary
    chunk = rows * min(engine.chunk or length, length) * facts.vocabulary * engine.logits_width
    dequantized = before = 0
    if engine.quantization != "none":
        dequantized = DEQUANTIZED_COPIES * facts.vocabulary * facts.hidden_size * engine.width
        before = int(tokens_before * held_inputs(facts) * engine.width)
    held = logits * engine.logits_width if engine.logits_held else 0
    lost = logits * engine.logits_width  # logarithms of probabilities, whose place gradients take
    return (
        {"activations": layers + before, "logits": logits * engine.width, "dequantized": dequantized},
        {"activations": layers + before, "logits": held + lost},
        {"activations": layers, "logits": held + lost + 2 * chunk},
        {"activations": layers, "logits": held + lost + chunk, "dequantized": dequantized},
    )


def held_inputs(facts: ModelFacts) -> int:
    """Numbers of a token that 4-bit products keep by themselves, so that they are there as long as the graph.

    A training loop that has the last loss in a name has the last graph until it has computed the next loss.
    """
    query = facts.heads * facts.head_dim
    return facts.layers * (facts.layer_norms * facts.hidden_size + query + facts.intermediate_size) + facts.hidden_size


def weight_bytes(facts: ModelFacts, engine: Engine) -> int:
    """Quantized are all linear layers and the head; embeddings and norms are not."""
    if engine.quantization == "none":
        return facts.parameters * engine.width
    packed = facts.linear_parameters + facts.vocabulary * facts.hidden_size
    return int((facts.parameters - packed) * engine.width + packed * QUANTIZED[engine.quantization])


def kept(facts: ModelFacts, engine: Engine) -> float:
    """Bytes of a token that backward keeps, in all layers and the final norm."""
    numbers = facts.layers * (norms(facts, engine) + attention(facts, engine) + feed_forward(facts, engine))
    numbers += facts.layers * adapters(facts, engine) + norm(facts, engine)
    numbers += dropped(facts.hidden_size, engine) if HEAD in engine.adapted else 0.0
    numbers += facts.hidden_size if engine.inputs_kept else 0
    if not engine.trained:
        numbers -= unneeded(facts, engine)
    return numbers * engine.width


def norm(facts: ModelFacts, engine: Engine) -> float:
    """Of one: LayerNorm's kernel keeps input, mean and deviation; a root mean square is written out in float32."""
    per_float32 = FLOAT32 / engine.width
    if facts.norm_means:
        return facts.hidden_size + 2 * per_float32
    normed = facts.hidden_size if engine.trained else 0  # before the weight, for the weight's gradient
    return per_float32 * (facts.hidden_size + 1) + normed


def norms(facts: ModelFacts, engine: Engine) -> float:
    """Of a layer, with what they make where products keep their inputs. Parallel ones keep the same input."""
    numbers = facts.layer_norms * norm(facts, engine)
    if facts.parallel and facts.norm_means:
        numbers -= (facts.layer_norms - 1) * facts.hidden_size
    return numbers + (facts.layer_norms * facts.hidden_size if engine.inputs_kept else 0)


def attention(facts: ModelFacts, engine: Engine) -> float:
    """Queries, keys repeated for every head, values, the output, and a float32 a head.

    Values are a view of what one product makes, which stays whole with it, unless they are repeated too. One head of
    values for all is repeated without a copy.
    """
    query, key = facts.heads * facts.head_dim, facts.key_value_heads * facts.head_dim
    viewed = engine.merged and facts.key_value_heads in (1, facts.heads)
    values = query + 2 * key if viewed else query
    return attended_layers(facts) / facts.layers * (3 * query + values + facts.heads * FLOAT32 / engine.width)


def feed_forward(facts: ModelFacts, engine: Engine) -> float:
    """With a gate: it, its activation and the other factor. What the last product takes, where that is kept."""
    wide = 3 if gated_mlp(facts) or merged(facts) else 1
    return (wide + (1 if engine.inputs_kept else 0)) * facts.intermediate_size


def adapters(facts: ModelFacts, engine: Engine) -> float:
    """Of a layer: dropped inputs, narrow middles, and what is spread over the merged output where only a part is."""
    numbers = 0.0
    hidden, query, key = facts.hidden_size, facts.heads * facts.head_dim, facts.key_value_heads * facts.head_dim
    outputs = {QUERY: query, KEY: key, VALUE: key}
    chosen = [outputs[name] for name in outputs if name in engine.adapted]
    if chosen:
        products = 1 if engine.merged else len(chosen)
        numbers += products * dropped(hidden, engine) + len(chosen) * engine.rank
        numbers += sum(chosen) if engine.merged and len(chosen) < len(outputs) else 0
    if OUTPUT in engine.adapted:
        numbers += dropped(query, engine) + engine.rank
    if MLP in engine.adapted:
        inward = 2 if gated_mlp(facts) or merged(facts) else 1
        numbers += inward * dropped(hidden, engine) + dropped(facts.intermediate_size, engine)
        numbers += (inward + 1) * engine.rank
    return numbers


def dropped(inputs: float, engine: Engine) -> float:
    """Of an adapter's input: what dropout leaves of it, and a byte a number that says where."""
    return inputs + (inputs / engine.width if engine.dropout else 0.0)


def unneeded(facts: ModelFacts, engine: Engine) -> float:
    """What the first layer spares: its input needs no gradient, so its first norm and its dropout keep nothing.

    In a parallel layer the MLP reads that input too.
    """
    numbers = norm(facts, engine)
    if engine.dropout and engine.adapted & {QUERY, KEY, VALUE}:
        numbers += facts.hidden_size / engine.width
    if facts.parallel and MLP not in engine.adapted:
        numbers += feed_forward(facts, engine)
    return numbers


def adapter_parameters(facts: ModelFacts, engine: Engine) -> int:
    """Of the products that are adapted, one narrow pair each."""
    hidden, query, key = facts.hidden_size, facts.heads * facts.head_dim, facts.key_value_heads * facts.head_dim
    sides = {QUERY: hidden + query, KEY: hidden + key, VALUE: hidden + key, OUTPUT: query + hidden}
    total = facts.layers * sum(sides[name] for name in sides if name in engine.adapted)
    if MLP in engine.adapted:
        total += sum((matrix.inputs + matrix.outputs) * matrix.count for matrix in facts.matrices if matrix.part == MLP)
    if HEAD in engine.adapted:
        total += hidden + facts.vocabulary
    return total * engine.rank
