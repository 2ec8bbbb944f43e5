"""The sizes in a GGUF file are those of its config.json."""

from __future__ import annotations

from pathlib import Path

import gguf
import numpy as np
import pytest

from tunesmith.recipes.errors import ModelError
from tunesmith.recipes.models import catalogue, from_config, gguf_config


def written(path: Path) -> Path:
    """Qwen2.5-0.5B's fields with a vocabulary of texts, and of its tensors only what is looked at."""
    writer = gguf.GGUFWriter(path, "qwen2")
    writer.add_block_count(24)
    writer.add_context_length(32_768)
    writer.add_embedding_length(896)
    writer.add_feed_forward_length(4864)
    writer.add_head_count(14)
    writer.add_head_count_kv(2)
    writer.add_token_list([f"token {number}" for number in range(3000)])
    writer.add_token_scores([0.5] * 3000)
    writer.add_tensor_info("token_embd.weight", (151_936, 896), np.dtype(np.float16), 151_936 * 896 * 2)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_ti_data_to_file()
    writer.close()
    return path


def test_a_model_has_the_same_count_from_its_gguf_as_from_its_config(tmp_path: Path) -> None:
    config = gguf_config.config(written(tmp_path / "model.gguf"))
    assert from_config(config).parameters == catalogue.find("qwen2.5-0.5b-instruct").parameters


@pytest.mark.parametrize("content", [b"", b"GGUF", b"GGUF\x03\x00\x00\x00" + b"\xff" * 64, b"not one at all"])
def test_what_is_no_whole_file_is_refused(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "model.gguf"
    file.write_bytes(content)
    with pytest.raises(ModelError, match=r"model\.gguf is not a whole GGUF file"):
        gguf_config.config(file)
