"""GGUF types: each with its size, its limit and what it needs; larger models bear smaller types."""

from __future__ import annotations

import pytest

from tunesmith.recipes import exports, gguf_types
from tunesmith.recipes.errors import RecipeError


def test_all_types_of_the_quantizer_are_there_but_those_that_models_are_trained_in() -> None:
    assert len(gguf_types.TYPES) == 30
    assert len({kind.number for kind in gguf_types.TYPES.values()}) == 30
    assert all(1.5 < kind.bits <= 32 and kind.bits <= kind.fallback_bits + 1 for kind in gguf_types.TYPES.values())


def test_fewer_bits_are_never_allowed_less_divergence() -> None:
    usual = [gguf_types.TYPES[name].kl_limit for name in ("f16", "q8_0", "q6_k", "q5_k_m", "q4_k_m", "q3_k_m", "q2_k")]
    assert usual == sorted(usual)


def test_a_type_is_made_with_an_importance_matrix_unless_it_says_plain() -> None:
    assert gguf_types.named("q4_k_m")[1] and not gguf_types.named("q4_k_m-plain")[1]
    assert gguf_types.named("q4_k_m")[0] == gguf_types.named("q4_k_m-plain")[0]
    assert not gguf_types.named("q8_0")[1] and "q8_0-plain" not in gguf_types.variants()


@pytest.mark.parametrize("name", [name for name, kind in gguf_types.TYPES.items() if kind.needs_matrix])
def test_what_needs_a_matrix_is_refused_without(name: str) -> None:
    with pytest.raises(RecipeError, match="needs an importance matrix") as caught:
        exports.find(f"gguf:{name}-plain")
    assert f"gguf:{name}'" in caught.value.hint


def test_rows_that_blocks_do_not_divide_take_more() -> None:
    fits = gguf_types.weight_bytes("q4_k_m", 1_000_000, 4096)
    assert fits == round(1_000_000 * 4.8944 / 8) < gguf_types.weight_bytes("q4_k_m", 1_000_000, 576)


def test_what_failed_is_followed_by_a_type_with_more_bits() -> None:
    assert gguf_types.larger("iq2_xs") == "q4_k_m"
    assert gguf_types.larger("q4_k_m") == "q5_k_m"
    assert gguf_types.larger("q8_0") == "f16" and gguf_types.larger("f16") == ""
