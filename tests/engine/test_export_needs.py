"""What exports need is looked at before anything is trained: models that do not suit them are refused by name."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tunesmith.daemon.worker import export_needs
from tunesmith.recipes import spec
from tunesmith.recipes.errors import ModelError


def test_an_export_that_a_model_does_not_suit_is_refused_and_others_are_not(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps({
        "architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_size": 144, "intermediate_size": 256,
        "num_hidden_layers": 1, "num_attention_heads": 9, "vocab_size": 100,
    }))  # fmt: skip

    def look(*targets: str) -> None:
        export_needs.refuse_unsuited(spec.parse(json.dumps({"exports": targets}), tmp_path), tmp_path)

    look("merged", "gguf:q4_k_m", "fp8")
    with pytest.raises(ModelError, match="rows of 144 weights") as caught:
        look("merged", "gptq")
    assert caught.value.code == "not_quantizable" and "gptq" in caught.value.hint
