"""What a CUDA compute capability means for training, in a sentence (facts: PLANNER.md, NVIDIA's feature table)."""

from __future__ import annotations

AMPERE = (8, 0)  # the first with bf16 units; flash-attn 2 runs from here on
ADA = (8, 9)  # the first with fp8 units
TURING = (7, 5)  # the first whose tensor cores AWQ and GPTQ kernels are written for


def has_bf16(capability: tuple[int, int] | None) -> bool | None:
    return None if capability is None else capability >= AMPERE


def note(capability: tuple[int, int] | None) -> str:
    """`(8, 6) -> 'sm86'`, as compilers and torch name it."""
    return "" if capability is None else f"sm{capability[0]}{capability[1]}"


def training(capability: tuple[int, int] | None) -> str:
    if capability is None:
        return ""
    if capability >= AMPERE:
        more = ", and it has fp8 units" if capability >= ADA else ""
        return f"Trains in bfloat16; flash-attn 2 runs here{more}."
    if capability >= TURING:
        return "No bfloat16 units, so it trains in float32; no flash-attn 2 (both from sm80 on)."
    return "No bfloat16 units, so it trains in float32; no flash-attn 2, no AWQ or GPTQ kernels (from sm75 on)."
