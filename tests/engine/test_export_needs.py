"""What exports need is looked at before anything is trained: models that do not suit them are refused by name."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

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


GEMMA3: dict[str, Any] = {
    "architectures": ["Gemma3ForConditionalGeneration"], "model_type": "gemma3",
    "text_config": {"hidden_size": 64, "intermediate_size": 96, "num_hidden_layers": 1, "num_attention_heads": 4,
                    "num_key_value_heads": 2, "vocab_size": 100},
    "vision_config": {"model_type": "siglip_vision_model", "hidden_size": 32, "intermediate_size": 32,
                      "num_hidden_layers": 1, "num_attention_heads": 2, "image_size": 28},
}  # fmt: skip
LLAVA = GEMMA3 | {"architectures": ["LlavaForConditionalGeneration"], "model_type": "llava"}


def test_what_a_model_sees_with_is_exported_of_those_that_were_compared_only(tmp_path: Path) -> None:
    mmproj = spec.parse(json.dumps({"exports": ["gguf-mmproj"]}), tmp_path)
    text_only = GEMMA3["text_config"] | {"architectures": ["Gemma3ForCausalLM"], "model_type": "gemma3_text"}
    for config, reason in ((GEMMA3, ""), (LLAVA, "Llava"), (text_only, "Gemma3ForCausalLM")):
        (tmp_path / "config.json").write_text(json.dumps(config))
        if not reason:
            export_needs.refuse_unsuited(mmproj, tmp_path)
            continue
        with pytest.raises(ModelError, match=reason) as caught:
            export_needs.refuse_unsuited(mmproj, tmp_path)
        assert "Leave gguf-mmproj out" in caught.value.hint and "Gemma3ForConditionalGeneration" in caught.value.message


def test_a_base_that_does_not_say_how_pictures_become_numbers_is_refused(tmp_path: Path) -> None:
    mmproj = spec.parse(json.dumps({"exports": ["merged", "gguf-mmproj"]}), tmp_path)
    with pytest.raises(ModelError, match=r"gguf-mmproj needs preprocessor_config\.json") as caught:
        export_needs.refuse_without_files(mmproj, tmp_path)
    assert caught.value.code == "model_files" and "leave gguf-mmproj out" in caught.value.hint
    (tmp_path / "processor_config.json").write_text("{}")
    export_needs.refuse_without_files(mmproj, tmp_path)
