"""Whether llama.cpp's converter knows a model is looked at before it is trained."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tunesmith.daemon.api.home import Home
from tunesmith.daemon.worker import convertible
from tunesmith.recipes.errors import ModelError
from tunesmith.recipes.exports import gguf_mmproj
from tunesmith.recipes.spec import JobSpec


def model(folder: Path, *architectures: str) -> Path:
    (folder / "config.json").write_text(json.dumps({"architectures": list(architectures), "model_type": "llama"}))
    return folder


def vendored(folder: Path) -> Path:
    (folder / "conversion").mkdir()
    text = 'raise SystemExit("it is read, not run")\nTEXT_MODEL_MAP: dict[str, str] = {"LlamaForCausalLM": "llama"}\n'
    (folder / "conversion" / "__init__.py").write_text(text)
    return folder


def test_the_installed_converter_knows_the_usual_families() -> None:
    known = convertible.architectures(Home.find().vendor / "conversion" / "__init__.py")
    usual = ("Llama", "Qwen2", "Qwen3", "Gemma3", "Mistral", "Phi3", "Qwen3Moe")
    assert {f"{name}ForCausalLM" for name in usual} <= known and len(known) > 100


def test_a_gguf_of_an_unknown_architecture_is_refused_with_what_to_leave_out(tmp_path: Path) -> None:
    spec = JobSpec(exports=("merged", "gguf:q4_k_m", "gguf-adapter"))
    with pytest.raises(ModelError, match="does not know NewForCausalLM") as caught:
        convertible.refuse_unknown(spec, model(tmp_path, "NewForCausalLM"), vendored(tmp_path))
    assert caught.value.code == "not_convertible"
    assert "Leave gguf:q4_k_m and gguf-adapter out of `exports`" in caught.value.hint


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"model_type": "phi3", "sliding_window": 2047, "max_position_embeddings": 4096}, True),
        ({"model_type": "mistral", "sliding_window": 4096, "max_position_embeddings": 32768}, True),
        ({"model_type": "mistral", "sliding_window": None, "max_position_embeddings": 32768}, False),
        ({"model_type": "phi3", "sliding_window": 262144, "max_position_embeddings": 131072}, False),
        ({"model_type": "qwen2", "sliding_window": 4096, "use_sliding_window": False}, False),
        ({"model_type": "gemma3_text", "sliding_window": 512, "max_position_embeddings": 32768}, False),
    ],
)
def test_a_window_that_llama_cpp_does_not_have_is_said(values: dict[str, Any], said: bool, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps(values))
    told = convertible.lost_window(JobSpec(exports=("gguf:q8_0",)), tmp_path)
    assert (told is not None) is said
    if told is not None:
        assert f"sees {values['sliding_window']} tokens" in told
    assert convertible.lost_window(JobSpec(exports=("merged",)), tmp_path) is None


def test_what_a_model_sees_with_is_in_a_list_of_its_own(tmp_path: Path) -> None:
    vendor, base = vendored(tmp_path), model(tmp_path, "LlamaForCausalLM")
    file = vendor / "conversion" / "__init__.py"
    file.write_text(
        f'{file.read_text()}MMPROJ_MODEL_MAP: dict[str, str] = {{"Gemma3ForConditionalGeneration": "gemma"}}\n'
    )
    convertible.refuse_unknown(JobSpec(exports=("gguf:f16",)), base, vendor)
    with pytest.raises(ModelError, match="so gguf-mmproj cannot be exported") as caught:
        convertible.refuse_unknown(JobSpec(exports=("gguf:f16", "gguf-mmproj")), base, vendor)
    assert "Leave gguf-mmproj out" in caught.value.hint
    installed = Home.find().vendor / "conversion" / "__init__.py"
    assert gguf_mmproj.SEES_WITH.keys() <= convertible.architectures(installed, convertible.SEEING)


def test_what_is_known_or_not_converted_goes_on(tmp_path: Path) -> None:
    vendor = vendored(tmp_path)
    convertible.refuse_unknown(JobSpec(exports=("gguf:f16",)), model(tmp_path, "LlamaForCausalLM"), vendor)
    convertible.refuse_unknown(JobSpec(exports=("merged",)), model(tmp_path, "NewForCausalLM"), vendor)
