"""Of a repository only what training needs is fetched: one set of safetensors, never pickles, never code."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tunesmith.recipes.errors import ModelError
from tunesmith.recipes.models.needed import needed, refuse_unusable, wants_code

SMALL = {"config.json", "tokenizer.json", "tokenizer_config.json"}
SHARDS = {f"model-0000{number}-of-00002.safetensors" for number in (1, 2)}
INDEX = "model.safetensors.index.json"


@pytest.mark.parametrize(
    ("weights", "taken"),
    [
        ({"model.safetensors"}, {"model.safetensors"}),
        (SHARDS | {INDEX}, SHARDS | {INDEX}),
        (SHARDS | {INDEX, "model.safetensors", "consolidated.safetensors"}, SHARDS | {INDEX}),
        ({"model.safetensors", "model.fp16.safetensors"}, {"model.safetensors"}),
        (SHARDS | {INDEX, "model.fp16-00001-of-00001.safetensors"}, SHARDS | {INDEX}),
        ({"model.safetensors", "consolidated.00.safetensors", "original/model.safetensors"}, {"model.safetensors"}),
        ({"weights.safetensors"}, {"weights.safetensors"}),
    ],
)
def test_one_whole_set_of_weights_is_taken(weights: set[str], taken: set[str]) -> None:
    assert set(needed(SMALL | weights, "it")) == SMALL | taken


def test_licences_come_along_and_nothing_that_runs_or_unpickles() -> None:
    others = {
        "pytorch_model.bin", "model.pt", "training_args.pth", "x.pkl", "y.ckpt", "modeling_x.py", "run.sh", "setup.exe",
        "optimizer.safetensors", "adapter_model.safetensors", "tf_model.h5", "README.py", "LICENSE.exe", ".env",
        "sub/config.json", "../config.json",
    }  # fmt: skip
    texts = {"LICENSE", "LICENSE.txt", "README.md", "NOTICE", "USE_POLICY.md", "chat_template.jinja"}
    assert set(needed(SMALL | {"model.safetensors"} | texts | others, "it")) == SMALL | {"model.safetensors"} | texts


@pytest.mark.parametrize(
    ("paths", "code", "said"),
    [
        (SMALL | {"pytorch_model.bin"}, "pickles_only", ".bin"),
        (SMALL | {"x-Q4_K_M.gguf"}, "gguf_only", "GGUF"),
        ({"adapter_config.json", "adapter_model.safetensors"}, "model_files", "adapter"),
        ({"model.safetensors", "tokenizer.json"}, "model_files", "config.json"),
        ({"model.safetensors", "config.json"}, "model_files", "tokenizer"),
        (set[str](), "model_files", "no safetensors"),
    ],
)
def test_what_cannot_be_trained_says_why_and_what_to_do(paths: set[str], code: str, said: str) -> None:
    with pytest.raises(ModelError, match=said) as refused:
        needed(paths, "org/name")
    assert refused.value.code == code and refused.value.hint and "org/name" in refused.value.message


@given(st.sets(st.text(max_size=40)))
def test_no_listing_makes_a_file_leave_its_folder(paths: set[str]) -> None:
    taken = needed({*paths, *SMALL, "model.safetensors"}, "it")
    assert all("/" not in path and not path.startswith(".") and path.isprintable() for path in taken)


def test_quantized_weights_are_refused_and_code_is_noticed() -> None:
    with pytest.raises(ModelError, match="awq"):
        refuse_unusable({"quantization_config": {"quant_method": "awq"}}, "it")
    refuse_unusable({"model_type": "llama"}, "it")
    assert wants_code({"auto_map": {"AutoModel": "modeling_x.X"}}) and not wants_code({})
