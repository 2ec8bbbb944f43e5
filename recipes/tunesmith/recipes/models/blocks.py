"""What a layer holds: attention, MLP and experts, counted into a Tally."""

from __future__ import annotations

import msgspec

from tunesmith.recipes.models.config import Values
from tunesmith.recipes.models.conventions import Bias, Conventions
from tunesmith.recipes.models.facts import ATTENTION, EXPERT, MLP, ROUTER, SHARED
from tunesmith.recipes.models.tally import Tally


class Sizes(msgspec.Struct, frozen=True):
    hidden: int
    intermediate: int
    heads: int
    key_value_heads: int
    head_dim: int


class Experts(msgspec.Struct, frozen=True):
    """`width` is intermediate_size of one routed expert, `shared` of all shared ones together."""

    count: int
    per_token: int
    width: int
    shared: int


def has_bias(values: Values, bias: Bias) -> bool:
    return bias if isinstance(bias, bool) else values.flag(*bias)


def attention(tally: Tally, values: Values, sizes: Sizes, rules: Conventions) -> None:
    if values.has("kv_lora_rank"):
        latent_attention(tally, values, sizes, rules)
        return
    hidden, query = sizes.hidden, sizes.heads * sizes.head_dim
    key_value = sizes.key_value_heads * sizes.head_dim
    biased = has_bias(values, rules.qkv_bias)
    *inward, outward = rules.attention
    widths = [query * (2 if rules.gated_query else 1), key_value, key_value]
    for name, width in zip(inward, widths if len(inward) == 3 else [sum(widths)], strict=True):
        tally.matrix(ATTENTION, name, hidden, width, bias=biased)
    tally.matrix(ATTENTION, outward, query, hidden, bias=has_bias(values, rules.out_bias))
    if not rules.qk_norm_key or values.flag(rules.qk_norm_key, False):
        tally.vector({"head": 2 * sizes.head_dim, "full": query + key_value}.get(rules.qk_norm, 0))
    if rules.sinks:
        tally.vector(sizes.heads)


def latent_attention(tally: Tally, values: Values, sizes: Sizes, rules: Conventions) -> None:
    """DeepSeek's: keys and values of all heads from one short vector a token."""
    hidden, rank, rotary = sizes.hidden, values.positive("kv_lora_rank"), values.integer("qk_rope_head_dim")
    plain = values.integer("qk_nope_head_dim")
    value = values.integer("v_head_dim", hidden // sizes.heads)
    biased = has_bias(values, rules.qkv_bias)
    if query_rank := values.integer("q_lora_rank", 0):
        tally.matrix(ATTENTION, "q_a_proj", hidden, query_rank, bias=biased)
        tally.matrix(ATTENTION, "q_b_proj", query_rank, sizes.heads * (plain + rotary))
        tally.vector(query_rank)
    else:
        tally.matrix(ATTENTION, "q_proj", hidden, sizes.heads * (plain + rotary))
    tally.matrix(ATTENTION, "kv_a_proj_with_mqa", hidden, rank + rotary, bias=biased)
    tally.vector(rank)
    tally.matrix(ATTENTION, "kv_b_proj", rank, sizes.heads * (plain + value))
    tally.matrix(ATTENTION, "o_proj", sizes.heads * value, hidden, bias=biased)


def cached_width(values: Values, sizes: Sizes) -> int:
    """Numbers that attention keeps of one token."""
    if values.has("kv_lora_rank"):
        return values.integer("kv_lora_rank") + values.integer("qk_rope_head_dim")
    return 2 * sizes.key_value_heads * sizes.head_dim


def mlp(tally: Tally, part: str, hidden: int, width: int, rules: Conventions, biased: bool, times: int = 1) -> None:
    *inward, outward = rules.mlp
    for name in inward:
        tally.matrix(part, name, hidden, width * (2 if rules.fused_gate else 1), bias=biased, times=times)
    tally.matrix(part, outward, width, hidden, bias=biased, times=times)


def feed_forward(
    tally: Tally, values: Values, sizes: Sizes, experts: Experts, rules: Conventions, sparse: bool
) -> None:
    """The MLP of a layer, or its router, experts and shared experts."""
    biased = has_bias(values, rules.mlp_bias)
    if not sparse:
        mlp(tally, MLP, sizes.hidden, sizes.intermediate, rules, biased)
        return
    tally.matrix(ROUTER, "router", sizes.hidden, experts.count, bias=rules.router_bias)
    if rules.router_correction:
        tally.vector(experts.count)
    mlp(tally, EXPERT, sizes.hidden, experts.width, rules, False, experts.count)
    if rules.expert_bias:
        vectors = experts.count * (2 * experts.width + sizes.hidden)
        tally.vector(vectors)
        tally.expert_vectors += vectors
    if experts.shared:
        mlp(tally, SHARED, sizes.hidden, experts.shared, rules, biased)
        if rules.shared_gate:
            tally.matrix(SHARED, "shared_expert_gate", sizes.hidden, 1)
