"""The export cards: all found, each complete."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from tunesmith.recipes import exports
from tunesmith.recipes.errors import RecipeError
from tunesmith.recipes.exports import gguf


def test_five_cards_are_found() -> None:
    assert sorted(exports.cards()) == ["adapter", "bnb", "gguf", "gguf-adapter", "merged"]


@pytest.mark.parametrize("key", ["adapter", "bnb", "gguf", "gguf-adapter", "merged"])
def test_every_variant_has_its_own_file_name_and_a_limit_if_any_has(key: str) -> None:
    card = exports.cards()[key]
    assert len({card.file_name(variant) for variant in card.variants}) == len(card.variants) > 0
    assert not card.kl_limits or set(card.kl_limits) == set(card.variants)


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


def test_the_converter_is_the_vendored_one() -> None:
    command = gguf.command(Path("/vendor"), Path("/model"), "q8_0", Path("/out.gguf"))
    assert command[1:] == [
        "/vendor/convert_hf_to_gguf.py", "/model", "--outfile", "/out.gguf", "--outtype", "q8_0",
    ]  # fmt: skip


@pytest.mark.parametrize("target", [f"{c.key}:{v}" for c in exports.cards().values() for v in c.kl_limits if v])
def test_what_to_try_instead_can_be_written(target: str) -> None:
    card, variant = exports.find(target)
    named = re.findall(r"\b(?:gguf|bnb):\w+(?:-plain)?", card.instead(variant))
    assert (named and target not in named[:1]) or variant == "f16"
    for other in named:
        exports.find(other)
