"""The sizes in a GGUF file's own fields, in the words of config.json."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tunesmith.recipes.models import gguf_header

# general.architecture where llama.cpp's name differs from transformers'.
TYPES = {"qwen2moe": "qwen2_moe", "qwen3moe": "qwen3_moe", "gemma3": "gemma3_text", "phi2": "phi"}
# Fields behind the architecture's name, by key of config.json.
FIELDS = {
    "hidden_size": "embedding_length",
    "intermediate_size": "feed_forward_length",
    "num_hidden_layers": "block_count",
    "num_attention_heads": "attention.head_count",
    "num_key_value_heads": "attention.head_count_kv",
    "head_dim": "attention.key_length",
    "max_position_embeddings": "context_length",
    "sliding_window": "attention.sliding_window",
    "num_experts": "expert_count",
    "num_experts_per_tok": "expert_used_count",
    "moe_intermediate_size": "expert_feed_forward_length",
}
TEMPLATE = "tokenizer.chat_template"
VOCABULARY, HEAD = "token_embd.weight", "output.weight"


def config(path: Path) -> dict[str, Any]:
    """What a config.json of the model in `path` would say. Raises ModelError when it is no whole GGUF file."""
    found = gguf_header.header(path)
    fields, shapes = found.fields, {name: one.shape for name, one in found.tensors.items()}
    architecture = str(fields.get("general.architecture", ""))
    told: dict[str, Any] = {
        "model_type": TYPES.get(architecture, architecture),
        "tie_word_embeddings": HEAD not in shapes,
        "vocab_size": (shapes.get(VOCABULARY) or (0,))[-1],
    }
    for key, field in FIELDS.items():
        value = fields.get(f"{architecture}.{field}")
        if isinstance(value, list) and value:  # one a layer: the largest is the safe one
            value = max(value)
        if value is not None:
            told[key] = value
    return told


def templates(path: Path) -> list[str]:
    """Every chat template that the file carries. Raises ModelError when it is no GGUF file."""
    fields = gguf_header.header(path).fields
    return [text for key, text in fields.items() if key.startswith(TEMPLATE) and isinstance(text, str)]
