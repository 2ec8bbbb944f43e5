"""AWQ: linear layers in 4 bits, after scaling what the run's rows show to matter; a folder in compressed-tensors."""

from __future__ import annotations

from tunesmith.recipes.compressing import Scheme, card

CARD = card(
    "awq",
    "AWQ",
    "A folder in 4 bits for vLLM, SGLang and transformers; scaled by what the run's rows need most.",
    Scheme(bits=4, grouped=True, calibrated=True),
    kl_limit=0.5,  # the tuned starter came to 0.36 (docs/exports.md): a small model, whose divergences are large
    instead="gptq, fp8, gguf:q5_k_m",
)
