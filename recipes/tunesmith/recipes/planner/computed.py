"""What the training core computes at once: the figures that both the worker and the planner go by."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

MIB = 1 << 20
# Tokens computed at once where the recipe says nothing. On CPUs more costs memory and gains little; measured on
# SmolLM2-135M, two cores: peaks of 1.33 GB with 160 tokens, 1.40 with 192, 1.47 with 256, these two with 2.1 s a step.
WINDOWS: Mapping[str, int] = MappingProxyType({"cpu": 160, "mps": 2048, "cuda": 8192})
# Where every window goes over all weights once more, to dequantize them or to add to their gradients, it is larger. The
# same model in nf4: 2.4 s a step with 160 tokens, 2.0 with 512. All its weights trained: 2.9, 2.2, 2.0 with 1024.
QUANTIZED_WINDOWS = MappingProxyType(dict(WINDOWS) | {"cpu": 512})
TRAINED_WINDOWS = MappingProxyType(dict(WINDOWS) | {"cpu": 1024})
OTHER_WINDOW = 2048
# Logits in float32 that exist at once. On CPUs more was not faster; a GPU wants larger products.
LOGITS_BYTES: Mapping[str, int] = MappingProxyType({"cpu": 32 * MIB})
OTHER_LOGITS_BYTES = 512 * MIB
EVALUATED_ROWS = 16  # scored or answered at once


ROWS = 32  # that products are filled up to, at least


def filled_rows(tokens: int) -> int:
    """The rows of a product over `tokens` on a CPU: at most 8 different numbers from 256 on to the next power of two.

    oneDNN keeps kernels of half a megabyte for every number of rows that it meets.
    """
    multiple = max(ROWS, 1 << max(0, tokens.bit_length() - 4))
    return -(-tokens // multiple) * multiple


def window(device: str, *, adapter: bool, quantized: bool) -> int:
    """Tokens computed at once where the recipe says nothing."""
    windows = WINDOWS
    if not adapter:
        windows = TRAINED_WINDOWS
    elif quantized:
        windows = QUANTIZED_WINDOWS
    return windows.get(device, OTHER_WINDOW)


def logit_rows(device: str, vocabulary: int) -> int:
    """Labels whose logits exist at once."""
    return max(1, LOGITS_BYTES.get(device, OTHER_LOGITS_BYTES) // (4 * vocabulary))
