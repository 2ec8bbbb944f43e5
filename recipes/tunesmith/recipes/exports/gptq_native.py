"""GPTQ in the layout of AutoGPTQ: linear layers in 4 bits, for programs that read no compressed-tensors."""

from __future__ import annotations

from tunesmith.recipes.compressing import Scheme
from tunesmith.recipes.native import card

CARD = card(
    "gptq-native",
    "GPTQ, native layout",
    "A folder in 4 bits in the layout of AutoGPTQ, for vLLM, SGLang, LMDeploy and whatever else reads that.",
    Scheme(bits=4, grouped=True, calibrated=True, zeros=True),
    kl_limit=0.5,  # as gptq, of which it is another packing
    instead="gptq, fp8, gguf:q5_k_m",
)
