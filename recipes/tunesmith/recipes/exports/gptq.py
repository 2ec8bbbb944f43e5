"""GPTQ: linear layers in 4 bits, errors made up for as the run's rows show; a folder in compressed-tensors."""

from __future__ import annotations

from tunesmith.recipes.compressing import Scheme, card

CARD = card(
    "gptq",
    "GPTQ",
    "A folder in 4 bits for vLLM, SGLang and transformers; each error is made up for by the weights after it.",
    Scheme(bits=4, grouped=True, calibrated=True),
    kl_limit=0.5,  # the tuned starter came to 0.31 (docs/exports.md): a small model, whose divergences are large
    instead="awq, fp8, gguf:q5_k_m",
)
