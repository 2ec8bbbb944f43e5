"""A config.json as ModelFacts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tunesmith.recipes.errors import ModelError
from tunesmith.recipes.models import blocks, kinds, mixers, towers
from tunesmith.recipes.models.blocks import Experts, Sizes
from tunesmith.recipes.models.config import Values
from tunesmith.recipes.models.conventions import ADAPTED_EXPERTS, KNOWN, LLAMA, Conventions
from tunesmith.recipes.models.defaults import completed
from tunesmith.recipes.models.facts import MLP, ModelFacts
from tunesmith.recipes.models.tally import Tally

# Where a model of several parts keeps its language model.
NESTED = ("text_config", "language_config", "llm_config")
MOST_LAYERS = 10_000  # the deepest models have hundreds; a damaged number must not keep us counting
# Types with as many shared experts' width as intermediate_size says, though no key of theirs tells so.
ONE_SHARED = ("llama4_text", "hunyuan_v1_moe")


def from_config(config: Mapping[str, Any], source: str = "config.json") -> ModelFacts:
    """What `config`, the contents of a config.json, says of a model. `source` is what errors call it.

    Raises ModelError naming the key that is missing or wrong. An unknown model_type is counted as an ordinary decoder.
    """
    whole = Values(config, source)
    text = whole
    if nested := next((whole.below(key) for key in NESTED if whole.has(key)), None):
        text = Values(completed(nested.values), nested.name)
    model_type = str(text.get("model_type") or whole.get("model_type") or "")
    rules = KNOWN.get(model_type, LLAMA)
    layers, hidden = text.positive("layers"), text.positive("hidden_size")
    if layers > MOST_LAYERS:
        raise ModelError(
            f"{source} says that the model has {layers} layers", "Its config.json is damaged: fetch it again.",
            "model_config",
        )  # fmt: skip
    vocabulary, context = text.positive("vocabulary"), text.integer("context", 0)
    sizes = sizes_of(text, model_type, hidden, rules)
    experts = experts_of(text, model_type, sizes)
    sliding = kinds.window(text, model_type, rules)
    letters, known = kinds.kinds(text, model_type, layers, rules, sliding)
    with_experts = kinds.sparse(text, model_type, layers, experts.count)

    tally = Tally()
    norms = 1 if text.flag("use_parallel_residual", False) and model_type == "stablelm" else rules.norms
    norm = hidden * (2 if rules.norm_bias else 1)
    for letter, sparse in zip(letters, with_experts, strict=True):
        mixer(tally, text, letter, sizes, rules, model_type)
        tally.vector(norm, norms)
        if model_type.startswith("granitemoe") and not experts.count:
            blocks.mlp(tally, MLP, hidden, experts.shared, rules, False)
        elif model_type != "mamba":
            blocks.feed_forward(tally, text, layer_sizes(text, model_type, sizes), experts, rules, sparse)
    tally.vector(norm, rules.outer_norms)
    if blocks.has_bias(text, rules.head_bias):
        tally.vector(vocabulary)
    known = towers.tower(tally, whole, hidden) and known and model_type in KNOWN

    names = whole.get("architectures")
    return ModelFacts(
        source=source,
        architecture=str(names[0]) if isinstance(names, list) and names else "",
        model_type=str(whole.get("model_type") or model_type),
        layers=layers,
        hidden_size=hidden,
        intermediate_size=sizes.intermediate,
        heads=sizes.heads,
        key_value_heads=sizes.key_value_heads,
        head_dim=sizes.head_dim,
        vocabulary=vocabulary,
        tied_embeddings=tied(text, whole, rules),
        context=context,
        kinds=letters,
        cached_width=blocks.cached_width(text, sizes),
        matrices=tally.matrices(),
        vectors=tally.vectors,
        expert_vectors=tally.expert_vectors,
        state_numbers=tally.state_numbers,
        position_embeddings=context * hidden if rules.learned_positions else 0,
        sliding_window=sliding if "s" in letters else None,
        experts=experts.count,
        experts_per_token=experts.per_token,
        expert_intermediate_size=experts.width if experts.count else 0,
        shared_intermediate_size=experts.shared,
        dense_layers=with_experts.count(False) if experts.count else 0,
        layer_norms=norms,
        norm_means=rules.norm_bias,
        head_norms=rules.qk_norm if not rules.qk_norm_key or text.flag(rules.qk_norm_key, False) else "",
        post_norms=rules.post_norms,
        written_means=rules.written_means,
        parallel=rules.parallel if isinstance(rules.parallel, bool) else text.flag(*rules.parallel),
        activation=str(text.get("activation") or ""),
        capped_scores=text.has("attn_logit_softcapping"),
        capped_logits=text.has("final_logit_softcapping"),
        scaled_logits=text.number("logits_scale", 1.0) != 1.0,
        adapted_experts=model_type in ADAPTED_EXPERTS,
        known=known,
    )


def sizes_of(text: Values, model_type: str, hidden: int, rules: Conventions) -> Sizes:
    if model_type == "mamba":
        return Sizes(hidden, 0, 0, 0, 0)
    heads = text.positive("heads")
    multi_query = text.flag("multi_query", False) and not text.has("key_value_heads")
    width = text.positive("intermediate_size", hidden * rules.wide or None)
    if model_type == "lfm2" and text.flag("block_auto_adjust_ff_dim", True):
        width = int(text.number("block_ffn_dim_multiplier", 1.0) * int(2 * width / 3))
        multiple = text.positive("block_multiple_of", 256)
        width = (width + multiple - 1) // multiple * multiple
    return Sizes(
        hidden=hidden,
        intermediate=width,
        heads=heads,
        key_value_heads=text.positive("key_value_heads", 1 if multi_query else heads),
        head_dim=text.positive("head_dim", rules.head_dim or hidden // heads),
    )


def layer_sizes(text: Values, model_type: str, sizes: Sizes) -> Sizes:
    """Of a dense layer: Llama 4 has a width of its own for those."""
    if model_type != "llama4_text":
        return sizes
    width = text.positive("intermediate_size_mlp", 16384)
    return Sizes(sizes.hidden, width, sizes.heads, sizes.key_value_heads, sizes.head_dim)


def experts_of(text: Values, model_type: str, sizes: Sizes) -> Experts:
    """One expert is none: some dense models say so."""
    count = text.integer("experts", 0)
    count = count if count > 1 else 0
    width = text.integer("expert_width", sizes.intermediate)
    shared = text.integer("shared_width", text.integer("shared_experts", 0) * width)
    if count and model_type in ONE_SHARED:
        shared = sizes.intermediate * max(1, text.integer("shared_experts", 1))
    return Experts(count, text.integer("experts_per_token", 1) if count else 0, width, shared)


def tied(text: Values, whole: Values, rules: Conventions) -> bool:
    return whole.flag("tied", text.flag("tied", rules.tied))


def mixer(tally: Tally, text: Values, letter: str, sizes: Sizes, rules: Conventions, model_type: str) -> None:
    match letter:
        case "f" | "s":
            blocks.attention(tally, text, sizes, rules)
        case "h":
            blocks.attention(tally, text, sizes, rules)
            mixers.mamba2(
                tally, text, sizes.hidden,
                normed=text.flag("mamba_rms_norm", False), out_bias=text.flag("projectors_bias", False),
            )  # fmt: skip
        case "2":
            mixers.mamba2(tally, text, sizes.hidden, normed=True, out_bias=text.flag("mamba_proj_bias", False))
        case "1":
            mixers.mamba(tally, text, sizes.hidden, normed=model_type == "jamba")
        case "d":
            mixers.delta_net(tally, text, sizes.hidden)
        case "c":
            mixers.short_convolution(tally, text, sizes.hidden)
