"""nf4: the base's linear layers in 4 bits, the scales of their blocks quantized once more (QLoRA)."""

from __future__ import annotations

from typing import Any

from tunesmith.recipes.quants import Quant

# 4 bits a weight, an 8-bit scale a block of 64, and a 32-bit scale for 256 of those: the paper's 4.127 bits.
LIBRARY_BYTES = 50 << 20  # what bitsandbytes takes of a process, measured
BYTES_A_WEIGHT = (4 + 8 / 64 + 32 / (64 * 256)) / 8


def config(dtype: Any) -> Any:
    """Products are computed in `dtype`; embeddings and lm_head are not quantized."""
    from transformers import BitsAndBytesConfig

    return BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=dtype,
    )


def settle(model: Any) -> None:
    """Without gradients bitsandbytes repacks weights on CPUs with AVX-512 BF16 and computes in bfloat16 from then on.

    The adapter is trained for products in the dtype that trains, so it is evaluated with the same.
    """
    for module in model.modules():
        if hasattr(module, "support_avx512bf16_for_cpu"):
            module.support_avx512bf16_for_cpu = False


CARD = Quant(
    key="nf4",
    title="nf4",
    blurb="The base in 4 bits: a quarter of the memory of bfloat16, a little slower.",
    source="Dettmers et al. 2023, arXiv:2305.14314; through bitsandbytes",
    bytes_a_weight=BYTES_A_WEIGHT,
    devices=("cuda", "cpu"),
    config=config,
    settle=settle,
    package="bitsandbytes",
    slow_on=("cpu",),
)
