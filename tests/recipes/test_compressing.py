"""What is compressed, in groups of how many weights, how large it gets, and which models it does not suit."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from tunesmith.recipes import compressing, exports, models
from tunesmith.recipes.exports import ExportContext, Planned
from tunesmith.recipes.models import catalogue

KEYS = ("awq", "fp8", "gptq")
HIDDEN, WIDTH, VOCABULARY = 576, 1536, 1000
SHAPES = {
    "model.embed_tokens.weight": (VOCABULARY, HIDDEN),
    "model.layers.0.self_attn.q_proj.weight": (HIDDEN, HIDDEN),
    "model.layers.0.self_attn.k_proj.weight": (192, HIDDEN),
    "model.layers.0.self_attn.v_proj.weight": (192, HIDDEN),
    "model.layers.0.self_attn.o_proj.weight": (HIDDEN, HIDDEN),
    "model.layers.0.mlp.gate_proj.weight": (WIDTH, HIDDEN),
    "model.layers.0.mlp.up_proj.weight": (WIDTH, HIDDEN),
    "model.layers.0.mlp.down_proj.weight": (HIDDEN, WIDTH),
    "model.layers.0.input_layernorm.weight": (HIDDEN,),
    "model.layers.0.post_attention_layernorm.weight": (HIDDEN,),
    "model.norm.weight": (HIDDEN,),
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A layer of the starter's shape: a header, and a hole where the weights would be."""
    header, end = {}, 0
    for name, shape in SHAPES.items():
        begin, end = end, end + 2 * int(shape[0] * (shape[1] if len(shape) > 1 else 1))
        header[name] = {"dtype": "F16", "shape": list(shape), "data_offsets": [begin, end]}
    data = json.dumps(header).encode()
    with (tmp_path / "model.safetensors").open("wb") as file:
        file.write(len(data).to_bytes(8, "little") + data)
        file.truncate(8 + len(data) + end)
    (tmp_path / "config.json").write_text(json.dumps({
        "architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_size": HIDDEN, "intermediate_size": WIDTH,
        "num_hidden_layers": 1, "num_attention_heads": 9, "num_key_value_heads": 3, "vocab_size": VOCABULARY,
        "tie_word_embeddings": True,
    }))  # fmt: skip
    return tmp_path


@pytest.mark.parametrize(
    ("rows", "group"),
    [((4096, 11008), 128), ((896, 4864), 128), ((576, 1536), 64), ((32, 64), 32), ((48,), 0), ((4096, 100), 0)],
)
def test_the_group_is_the_largest_that_divides_every_row(rows: tuple[int, ...], group: int) -> None:
    assert compressing.group_of(rows) == group


def test_the_group_and_its_reason_are_said(folder: Path) -> None:
    assert compressing.group_in(folder) == 64
    assert compressing.why_this_group(folder) == (
        "64 weights of a row share a scale, as groups of 128 do not divide rows of 576."
    )


@pytest.mark.parametrize("key", KEYS)
def test_the_size_is_the_same_from_headers_and_from_facts(folder: Path, key: str) -> None:
    card = exports.cards()[key]
    known = Planned(models.read(folder), 2.0, 0)
    lent = cast(ExportContext, SimpleNamespace(merged=folder))
    assert card.size(lent, "") == pytest.approx(card.planned("", known), rel=1e-3)
    assert card.held("", known) > card.planned("", known)


def test_four_bits_take_a_scale_a_group_and_eight_bits_next_to_none(folder: Path) -> None:
    known = Planned(models.read(folder), 2.0, 0)
    linear = known.facts.linear_parameters
    rest = known.stored - 2 * linear
    bits = {key: (exports.cards()[key].planned("", known) - rest) * 8 / linear for key in KEYS}
    assert bits == pytest.approx({"awq": 4.25, "gptq": 4.25, "fp8": 8.0}, abs=1e-3)


def test_a_model_of_experts_and_rows_that_nothing_divides_are_refused(folder: Path) -> None:
    experts = catalogue.facts_of("Qwen/Qwen3-30B-A3B")
    assert all("experts" in exports.cards()[key].unsuited(experts) for key in KEYS)
    assert all(exports.cards()[key].unsuited(models.read(folder)) == "" for key in KEYS)
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"hidden_size": 9 * 16, "head_dim": 16}))
    odd = models.from_config(json.loads((folder / "config.json").read_text()), "config.json")
    assert "rows of 144 weights" in exports.cards()["awq"].unsuited(odd)
    assert exports.cards()["fp8"].unsuited(odd) == "", "whole rows share a scale"


@pytest.mark.parametrize(
    ("weights", "said"),
    [
        ({"num_bits": 4, "group_size": 128}, "4 bits, groups of 128"),
        ({"num_bits": 8, "group_size": None}, "8 bits, a scale a row"),
    ],
)
def test_what_was_written_is_said_by_its_own_config(tmp_path: Path, weights: dict[str, Any], said: str) -> None:
    config = {"format": "pack-quantized", "config_groups": {"group_0": {"weights": weights}}}
    (tmp_path / "config.json").write_text(json.dumps({"quantization_config": config}))
    assert compressing.said(tmp_path) == f"compressed-tensors (pack-quantized), {said}"
    (tmp_path / "config.json").write_text("{}")
    assert compressing.said(tmp_path) == ""
