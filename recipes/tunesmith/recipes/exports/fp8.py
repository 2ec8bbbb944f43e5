"""FP8: linear layers in 8-bit floats, and what goes into them while it computes. No rows needed; compressed-tensors."""

from __future__ import annotations

from tunesmith.recipes.compressing import Scheme, card

CARD = card(
    "fp8",
    "FP8",
    "A folder in 8-bit floats for vLLM, SGLang and transformers; needs no rows.",
    Scheme(bits=8),
    kl_limit=0.1,  # the tuned starter came to 0.032 (docs/exports.md): a small model, whose divergences are large
    instead="merged, gguf:q8_0",
)
