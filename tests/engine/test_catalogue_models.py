"""The catalogue's sizes make, in transformers, a model of the count that is derived from them; llama.cpp knows it."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tunesmith.recipes.models import catalogue, from_config
from tunesmith.recipes.models.catalogue import Entry

CONVERTER = Path(sys.prefix) / "share/tunesmith/llama.cpp"
# Their code lies in their own repositories, so that transformers cannot build them without fetching it.
ELSEWHERE = {"baichuan", "exaone", "minicpm"}
KINDS_THERE = {"f": "full_attention", "s": "sliding_attention"}


def distinct() -> list[Entry]:
    """One entry for each set of sizes that transformers can build."""
    by_sizes = {msgspec.json.encode(entry.architecture): entry for entry in reversed(catalogue.catalogue())}
    return [entry for entry in by_sizes.values() if entry.facts.model_type not in ELSEWHERE]


def configuration(values: Mapping[str, Any]) -> Any:
    from transformers import AutoConfig

    given = {name: value for name, value in values.items() if (name, value) != ("sliding_window", 0)}
    if values.get("sliding_window") == 0:
        given["sliding_window"] = None
    for part in ("text_config", "vision_config"):
        if part in given and given[part]["model_type"] != given["model_type"]:
            given[part] = configuration(given[part]).to_dict()
    if given["model_type"] == "exaone4":  # its class cannot read the pattern that its repositories write
        given.pop("sliding_window_pattern", None)
        given["layer_types"] = [KINDS_THERE[kind] for kind in from_config(values).kinds]
    return AutoConfig.for_model(given.pop("model_type"), **given)


@pytest.mark.slow
@pytest.mark.parametrize("entry", distinct(), ids=lambda entry: entry.key)
def test_transformers_builds_a_model_of_that_count(entry: Entry) -> None:
    import torch
    from transformers import AutoModelForCausalLM, AutoModelForImageTextToText

    config = configuration(entry.architecture)
    builder = AutoModelForImageTextToText if "image" in entry.modalities else AutoModelForCausalLM
    with torch.device("meta"):
        model = builder.from_config(config)
    model.tie_weights()
    assert sum(weight.numel() for weight in model.parameters()) == pytest.approx(entry.facts.parameters, rel=0.0001)


def test_that_was_most_of_the_catalogue() -> None:
    assert len(distinct()) >= 85


def test_llama_cpp_converts_what_is_said_to_convert() -> None:
    if not CONVERTER.is_dir():
        pytest.skip("llama.cpp's converter is not installed in this environment")
    code = "\n".join(path.read_text("utf-8") for path in CONVERTER.rglob("*.py"))
    known = {entry.key: f'"{entry.facts.architecture}"' in code for entry in catalogue.catalogue()}
    assert known == {entry.key: entry.gguf == "yes" for entry in catalogue.catalogue()}
