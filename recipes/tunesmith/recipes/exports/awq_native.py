"""AWQ in the layout of AutoAWQ: linear layers in 4 bits, for programs that read no compressed-tensors."""

from __future__ import annotations

from tunesmith.recipes.compressing import Scheme
from tunesmith.recipes.native import card

CARD = card(
    "awq-native",
    "AWQ, native layout",
    "A folder in 4 bits in the layout of AutoAWQ, for vLLM, SGLang, LMDeploy and whatever else reads that.",
    Scheme(bits=4, grouped=True, calibrated=True, zeros=True),
    method="awq",
    kl_limit=0.5,  # as awq, which scales in the same way
    instead="awq, fp8, gguf:q5_k_m",
)
