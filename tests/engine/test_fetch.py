"""Where the base comes from: the starter is unpacked whole and tokenizes as llama.cpp does; a folder is checked."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tunesmith.daemon import publish
from tunesmith.daemon.api import events as e
from tunesmith.daemon.worker import fetch, load
from tunesmith.daemon.worker.context import Context
from tunesmith.recipes.errors import MachineError, ModelError

TEXTS = (
    "What is 1234 plus 56.7?",
    "  two  spaces\n\n\nand\tlines \n x",
    "buenos días, 世界 🙂 I'm can't",
    "<|im_start|>user\nHi<|im_end|>\n",
)


@pytest.mark.slow
def test_the_starter_is_unpacked_once_whole_and_mended_when_damaged(
    make_context: Callable[..., Context], told: Callable[[Context], list[e.Event]]
) -> None:
    import torch
    from llama_cpp import Llama

    context = make_context()
    fetch.run(context)
    folder = context.home.models / "starter"
    publish.verify_folder(folder)
    assert (context.job / "base.txt").read_text() == f"{folder}\n"
    tokenizer = load.tokenizer(folder)
    assert (tokenizer.eos_token, tokenizer.pad_token, tokenizer.bos_token) == (
        "<|im_end|>",
        "<|im_end|>",
        "<|im_start|>",
    )
    assert "named SmolLM, trained by Hugging Face" in tokenizer.chat_template
    assert (load.stored_dtype(folder), load.model(folder, "cpu", torch.float32).dtype) == (torch.float16, torch.float32)

    llama = Llama(str(fetch.starter_gguf()), vocab_only=True, verbose=False)
    for text in TEXTS:
        assert tokenizer.encode(text) == llama.tokenize(text.encode(), add_bos=False, special=True)
        assert tokenizer.decode(tokenizer.encode(text)) == text

    before = (folder / "model.safetensors").stat().st_mtime_ns
    fetch.run(context)
    assert (folder / "model.safetensors").stat().st_mtime_ns == before

    with (folder / "config.json").open("a") as damaged:
        damaged.write(" ")
    fetch.run(context)
    publish.verify_folder(folder)
    assert any(isinstance(event, e.Notice) and "unpacked again" in event.text for event in told(context))


@pytest.mark.parametrize(
    ("missing", "message"),
    [("config.json", "no config.json"), ("model.safetensors", "no safetensors"), ("tokenizer.json", "no tokenizer")],
)
def test_a_folder_that_lacks_a_part_is_refused_by_name(
    missing: str, message: str, tiny_model: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "model"
    shutil.copytree(tiny_model, folder)
    (folder / missing).unlink()
    with pytest.raises(ModelError, match=message) as refused:
        fetch.local(folder)
    assert refused.value.hint


def test_a_missing_folder_and_a_file_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="does not exist"):
        fetch.local(tmp_path / "nowhere")
    (tmp_path / "file").touch()
    with pytest.raises(ModelError, match="is a file"):
        fetch.local(tmp_path / "file")


def test_a_model_without_a_chat_template_is_refused(tiny_model: Path, tmp_path: Path) -> None:
    folder = tmp_path / "model"
    shutil.copytree(tiny_model, folder)
    (folder / "chat_template.jinja").unlink()
    with pytest.raises(ModelError, match="no chat template"):
        load.tokenizer(folder)


def test_a_full_disk_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    with pytest.raises(MachineError, match="free; this run needs about") as refused:
        fetch.refuse_full_disk(tmp_path, 1 << 62)
    assert refused.value.code == "disk_full"
