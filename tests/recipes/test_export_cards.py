"""The export cards: all found, each complete."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from tunesmith.recipes import exports
from tunesmith.recipes.errors import RecipeError


def test_ten_cards_are_found() -> None:
    known = "adapter awq bnb fp8 gguf gguf-adapter gguf-mmproj gptq gptq-native merged"
    assert sorted(exports.cards()) == known.split()


@pytest.mark.parametrize("key", [*exports.cards()])
def test_every_variant_has_its_own_file_name_and_a_limit_if_any_has(key: str) -> None:
    card = exports.cards()[key]
    assert len({card.file_name(variant) for variant in card.variants}) == len(card.variants) > 0
    assert not card.kl_limits or set(card.kl_limits) == set(card.variants)
    assert set(card.listed) | set(card.offered) <= set(card.variants)
    assert card.file_name(card.variants[0]) in card.how_to_load.format(
        file=card.file_name(card.variants[0]), variant="", name=""
    )


def test_an_unknown_target_gets_the_nearest_known() -> None:
    with pytest.raises(RecipeError) as caught:
        exports.find("gguf:q8")
    assert "gguf:q8_0" in caught.value.hint


def test_weights_are_counted_from_the_header_alone(tmp_path: Path) -> None:
    a = {"dtype": "F16", "shape": [3, 4], "data_offsets": [0, 24]}
    b = {"dtype": "F32", "shape": [5], "data_offsets": [24, 44]}
    header = json.dumps({"__metadata__": {}, "a": a, "b": b}).encode()
    (tmp_path / "model.safetensors").write_bytes(len(header).to_bytes(8, "little") + header + bytes(44))
    assert exports.weight_counts(tmp_path) == 17


def test_a_type_that_needs_a_matrix_is_refused_without_and_says_so() -> None:
    with pytest.raises(RecipeError, match="needs an importance matrix") as caught:
        exports.find("gguf:iq1_s-plain")
    assert "gguf:iq1_s'" in caught.value.hint


ALL = [exports.named(card, variant) for card in exports.cards().values() for variant in card.kl_limits]


@pytest.mark.parametrize("target", [target for target in ALL if target != "gguf-adapter"])
def test_what_to_try_instead_can_be_written(target: str) -> None:
    card, variant = exports.find(target)
    named = re.findall(r"[a-z0-9_:-]+", card.instead(variant).removeprefix("Export").rstrip("."))
    known = [exports.named(one, each) for one in exports.cards().values() for each in one.variants]
    tried = [word for word in named if word in known]
    assert (tried and target not in tried[:1]) or variant == "f16"
    assert [word for word in named if ":" in word.strip(":") and word not in known] == []
