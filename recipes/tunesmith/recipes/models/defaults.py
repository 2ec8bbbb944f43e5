"""What a config.json leaves out of the language model within another: transformers writes only what differs there.

Source: the configuration classes of transformers 5.23; `tests/engine/test_model_counts.py` compares them.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

NAMES = (
    "hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads", "num_key_value_heads", "vocab_size",
    "max_position_embeddings",
)  # fmt: skip
DEFAULTS: Mapping[str, tuple[int, ...]] = MappingProxyType({
    "gemma": (3072, 24576, 28, 16, 16, 256000, 8192),
    "gemma2": (2304, 9216, 26, 8, 4, 256000, 8192),
    "gemma3_text": (2304, 9216, 26, 8, 4, 262208, 131072),
    "llama": (4096, 11008, 32, 32, 32, 32000, 2048),
    "llama4_text": (5120, 8192, 48, 40, 8, 202048, 131072),
    "ministral3": (4096, 14336, 34, 32, 8, 131072, 262144),
    "mistral": (4096, 14336, 32, 32, 8, 32000, 131072),
    "phi3": (3072, 8192, 32, 32, 32, 32064, 4096),
    "qwen2": (4096, 22016, 32, 32, 32, 151936, 32768),
    "qwen2_5_vl_text": (8192, 29568, 80, 64, 8, 152064, 32768),
    "qwen3": (4096, 22016, 32, 32, 32, 151936, 32768),
    "qwen3_vl_text": (4096, 22016, 32, 32, 32, 151936, 128000),
})  # fmt: skip


def completed(values: Mapping[str, Any]) -> Mapping[str, Any]:
    """A nested config with what its class has by default, where that is known."""
    if (known := DEFAULTS.get(str(values.get("model_type")))) is None:
        return values
    given = {name: value for name, value in values.items() if value is not None or name not in NAMES}
    return dict(zip(NAMES, known, strict=True)) | given
