"""The native layout: how large they get, which models they do not suit, and what a written folder says of itself."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tunesmith.recipes import exports, native
from tunesmith.recipes.exports import Planned
from tunesmith.recipes.models import catalogue
from tunesmith.recipes.models.facts import Matrix

KEYS = ("gptq-native",)
QWEN = catalogue.facts_of("Qwen/Qwen3-0.6B")


@pytest.mark.parametrize("key", KEYS)
def test_zero_points_and_scales_of_a_group_are_counted(key: str) -> None:
    known = Planned(QWEN, 2.0, 0)
    card = exports.cards()[key]
    rest = known.stored - 2 * QWEN.linear_parameters
    bits = (card.planned("", known) - rest) * 8 / QWEN.linear_parameters
    assert bits == pytest.approx(4 + (16 + 4) / 128, abs=1e-3)
    assert card.held("", known) > card.planned("", known)


@pytest.mark.parametrize("key", KEYS)
def test_it_is_made_and_loaded_in_the_environment_of_its_tool(key: str) -> None:
    card = exports.cards()[key]
    assert card.tool == native.TOOL and card.apart and card.runtime == exports.TRANSFORMERS
    assert card.unsuited(QWEN) == ""
    assert card.file_name("") == f"model-{key}"
    how = card.how_to_load.format(file="model-x", variant="", name="")
    assert "gptqmodel and optimum" in how and "--model-format gptq" in how


def test_models_that_it_does_not_suit_are_refused_with_the_reason() -> None:
    def why(**values: Any) -> str:
        return exports.cards()["gptq-native"].unsuited(msgspec.structs.replace(QWEN, **values))

    assert "experts" in exports.cards()["gptq-native"].unsuited(catalogue.facts_of("Qwen/Qwen3-30B-A3B"))
    assert why(model_type="granitemoehybrid") == "gptqmodel has no description of models of the type granitemoehybrid"
    part = QWEN.matrices[0].part
    assert "rows of 144 weights" in why(matrices=(Matrix(part, "q_proj", 144, 128, 1),))
    assert "matrices with 24 outputs, which 32 does not" in why(matrices=(Matrix(part, "q_proj", 128, 24, 1),))


@pytest.mark.parametrize(
    ("method", "said"),
    [
        ("gptq", "AutoGPTQ's layout (quant_method gptq), 4 bits, groups of 64"),
        ("other", ""),
    ],
)
def test_what_was_written_is_said_by_its_own_config(tmp_path: Path, method: str, said: str) -> None:
    config = {"quantization_config": {"quant_method": method, "bits": 4, "group_size": 64}}
    (tmp_path / "config.json").write_text(json.dumps(config))
    assert native.said(tmp_path) == said
