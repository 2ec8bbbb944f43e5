"""The types that llama.cpp's quantizer writes: how large each is, what it needs, and which suits a model of some size.

Left out are the types for models that were trained in them (TQ1_0, TQ2_0, Q1_0, Q2_0, MXFP4, NVFP4).
"""

from __future__ import annotations

import msgspec

MATRIX_FREE = ("f32", "f16", "bf16", "q8_0")  # precise enough: the quantizer would not look at a matrix
WITHOUT = "-plain"  # behind a type: without an importance matrix
BLOCK = 256  # weights of a row that K and IQ types store together; a row of another length takes the fallback


class GgufType(msgspec.Struct, frozen=True):
    """`number` is llama.cpp's (llama_ftype). `bits` a weight as llama.cpp measured on Llama 3.1 8B, `fallback_bits`
    of what it writes for rows that BLOCK does not divide. `needs_matrix`: without an importance matrix it is refused.
    `kl_limit` is the most that verification lets pass (nats a token). Those of f16, q8_0, q6_k, q5_k_m and q4_k_m are
    what the starter shows, a small model whose divergences are large, with room (docs/exports.md); others go by bits.
    """

    number: int
    bits: float
    fallback_bits: float
    kl_limit: float
    needs_matrix: bool = False


TYPES: dict[str, GgufType] = {
    "f32": GgufType(0, 32.0, 32.0, 1e-4),
    "f16": GgufType(1, 16.0, 16.0, 1e-4),
    "bf16": GgufType(32, 16.0, 16.0, 1e-2),
    "q8_0": GgufType(7, 8.5, 8.5, 0.02),
    "q6_k": GgufType(18, 6.5633, 8.5, 0.05),
    "q5_k_m": GgufType(17, 5.7036, 5.5, 0.1),
    "q5_k_s": GgufType(16, 5.5704, 5.5, 0.1),
    "q5_1": GgufType(9, 6.0, 6.0, 0.1),
    "q5_0": GgufType(8, 5.5, 5.5, 0.15),
    "q4_k_m": GgufType(15, 4.8944, 5.5, 0.2),
    "q4_k_s": GgufType(14, 4.6672, 5.5, 0.25),
    "q4_1": GgufType(3, 5.0, 5.0, 0.5),
    "q4_0": GgufType(2, 4.5, 4.5, 0.5),
    "iq4_nl": GgufType(25, 4.6818, 4.5, 0.4),
    "iq4_xs": GgufType(30, 4.4597, 4.5, 0.4),
    "q3_k_l": GgufType(13, 4.2979, 4.5, 0.8),
    "q3_k_m": GgufType(12, 3.9960, 4.5, 0.8),
    "q3_k_s": GgufType(11, 3.6429, 4.5, 1.0),
    "iq3_m": GgufType(27, 3.7628, 4.5, 0.8),
    "iq3_s": GgufType(26, 3.6606, 4.5, 0.8),
    "iq3_xs": GgufType(22, 3.4977, 4.5, 1.0, needs_matrix=True),
    "iq3_xxs": GgufType(23, 3.2548, 4.5, 1.0, needs_matrix=True),
    "q2_k": GgufType(10, 3.1593, 4.5, 1.5),
    "q2_k_s": GgufType(21, 2.9697, 4.5, 1.5, needs_matrix=True),
    "iq2_m": GgufType(29, 2.9294, 4.5, 1.5, needs_matrix=True),
    "iq2_s": GgufType(28, 2.7403, 4.5, 2.0, needs_matrix=True),
    "iq2_xs": GgufType(20, 2.5882, 4.5, 2.0, needs_matrix=True),
    "iq2_xxs": GgufType(19, 2.3824, 4.5, 2.5, needs_matrix=True),
    "iq1_m": GgufType(31, 2.1460, 4.5, 3.0, needs_matrix=True),
    "iq1_s": GgufType(24, 2.0042, 4.5, 3.0, needs_matrix=True),
}


def variants() -> tuple[str, ...]:
    """Every type, and those that can do without an importance matrix once more without it."""
    plain = (name + WITHOUT for name, one in TYPES.items() if name not in MATRIX_FREE and not one.needs_matrix)
    return (*TYPES, *plain)


def bare(variant: str) -> str:
    """The type's name."""
    return variant.removesuffix(WITHOUT)


def larger(variant: str) -> str:
    """A type that takes noticeably more bits; empty where there is none."""
    if variant not in TYPES:
        return ""
    usual = [
        name for name in ("q4_k_m", "q5_k_m", "q6_k", "q8_0", "f16") if TYPES[name].bits > TYPES[variant].bits + 0.4
    ]
    return usual[0] if usual else ""


def named(variant: str) -> tuple[GgufType, bool]:
    """The type of a variant, and whether it is made with an importance matrix."""
    name = bare(variant)
    return TYPES[name], name not in MATRIX_FREE and name == variant


def weight_bytes(variant: str, parameters: int, row: int) -> int:
    """About how many bytes `parameters` weights take, most of them in rows of `row`."""
    kind, _ = named(variant)
    return round(parameters * (kind.fallback_bits if row % BLOCK else kind.bits) / 8)
