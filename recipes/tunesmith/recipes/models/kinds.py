"""Which layers of a model attend fully, which slide, which keep a state, which hold experts."""

from __future__ import annotations

from collections.abc import Mapping

from tunesmith.recipes.models.config import Values
from tunesmith.recipes.models.conventions import Conventions

# What configs call their layers; "linear_attention" means another thing with some types.
LETTERS: Mapping[str, str] = {
    "full_attention": "f",
    "attention": "f",
    "sliding_attention": "s",
    "chunked_attention": "s",
    "linear_attention": "d",
    "mamba": "2",
    "conv": "c",
    "hybrid": "h",
}
OF_TYPE: Mapping[str, Mapping[str, str]] = {
    "jamba": {"linear_attention": "1", "mamba": "1"},
    "granitemoehybrid": {"linear_attention": "2"},
}


def window(values: Values, model_type: str, rules: Conventions) -> int | None:
    """Tokens that sliding layers look back on; None where the model says that none slides."""
    if values.has("attention_chunk_size") or model_type == "llama4_text":
        return values.integer("attention_chunk_size", 8192)
    if not values.flag("use_sliding_window", True):
        return None
    if "sliding_window" in values.values:
        return values.integer("sliding_window", 0) or None
    return rules.window or None


def kinds(values: Values, model_type: str, layers: int, rules: Conventions, sliding: int | None) -> tuple[str, bool]:
    """A letter of KINDS for each layer, and whether all of them are known."""
    if isinstance(names := values.get("kinds"), list) and len(names) == layers:
        letters = {**LETTERS, **OF_TYPE.get(model_type, {})}
        found = "".join(letters.get(str(name), "f") for name in names)
        return found, all(name in letters for name in names)
    match model_type:
        case "falcon_h1":
            return "h" * layers, True
        case "mamba":
            return "1" * layers, True
        case "granitemoehybrid":
            return "2" * layers, True
        case "jamba":
            period, offset = values.positive("attn_layer_period", 8), values.integer("attn_layer_offset", 4)
            return "".join("f" if index % period == offset else "1" for index in range(layers)), True
        case "lfm2" | "lfm2_moe":
            full = values.indices("full_attn_idxs", range(layers))
            return "".join("f" if index in full else "c" for index in range(layers)), True
        case "qwen3_next":
            each = values.positive("full_attention_interval", 4)
            return "".join("d" if (index + 1) % each else "f" for index in range(layers)), True
    return sliding_kinds(values, model_type, layers, rules, sliding), True


def sliding_kinds(values: Values, model_type: str, layers: int, rules: Conventions, sliding: int | None) -> str:
    if sliding is None:
        return "f" * layers
    if values.has("max_window_layers"):
        first = values.integer("max_window_layers")
        return "".join("s" if index >= first else "f" for index in range(layers))
    pattern = values.get("sliding_window_pattern") or values.get("_sliding_window_pattern")
    each = len(pattern) if isinstance(pattern, str) else rules.slides
    if isinstance(pattern, int):
        each = pattern
    if model_type == "llama4_text":
        each = 4
    if each <= 1:
        return ("s" if each else "f") * layers
    return "".join("s" if (index + 1) % each else "f" for index in range(layers))


def sparse(values: Values, model_type: str, layers: int, experts: int) -> tuple[bool, ...]:
    """Which layers hold experts."""
    if not experts:
        return (False,) * layers
    if model_type == "jamba":
        period, offset = values.positive("expert_layer_period", 2), values.integer("expert_layer_offset", 1)
        return tuple(index % period == offset for index in range(layers))
    dense = values.integer("first_k_dense_replace", values.integer("num_dense_layers", 0))
    if values.has("moe_layers"):
        named = values.indices("moe_layers")
        return tuple(index in named for index in range(layers))
    if model_type == "ernie4_5_moe":
        dense = values.integer("moe_layer_start_index", 1)
    if model_type == "lfm2_moe":
        dense = values.integer("num_dense_layers", 2)
    last = values.get("moe_layer_end_index")
    last = last if isinstance(last, int) and last >= 0 else layers
    step = values.positive("decoder_sparse_step", values.positive("moe_layer_interval", 1))
    step = values.positive("interleave_moe_layer_step", step)
    without = values.indices("mlp_only_layers")
    return tuple(dense <= index <= last and (index + 1) % step == 0 and index not in without for index in range(layers))
