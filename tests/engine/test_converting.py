"""What llama.cpp's converter is told of a tokenizer that it does not know by its vocabulary."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from exported_families import LLAMA3, QWEN

from tunesmith.daemon.worker import converting


def tokenizer(*steps: dict[str, Any], whole: bool = False, kind: str = "BPE") -> dict[str, Any]:
    return {
        "pre_tokenizer": {"type": "Sequence", "pretokenizers": [*steps]},
        "model": {"type": kind, "ignore_merges": whole},
    }


def split(pattern: str, behavior: str = "Isolated") -> dict[str, Any]:
    return {"type": "Split", "pattern": {"Regex": pattern}, "behavior": behavior, "invert": False}


BYTES = {"type": "ByteLevel", "add_prefix_space": False, "use_regex": False}
WORDS = {"type": "ByteLevel", "add_prefix_space": False, "use_regex": True}
DIGITS = {"type": "Digits", "individual_digits": True}


@pytest.mark.parametrize(
    ("found", "name"),
    [
        (tokenizer(split(QWEN.split), BYTES), "qwen2"),
        (tokenizer(split(LLAMA3.split), BYTES, whole=True), "llama-bpe"),
        (tokenizer(split(LLAMA3.split), BYTES), "smaug-bpe"),
        (tokenizer(DIGITS, WORDS), "smollm"),
        ({"pre_tokenizer": WORDS, "model": {"type": "BPE"}}, "gpt-2"),
        (tokenizer(split(QWEN.split), BYTES, whole=True), None),
        (tokenizer(split(QWEN.split, "Removed"), BYTES), None),
        (tokenizer(split(QWEN.split), BYTES, kind="Unigram"), None),
        (tokenizer(split("[a-z]+"), BYTES), None),
        ({"pre_tokenizer": None, "model": {"type": "BPE"}}, None),
    ],
)
def test_a_tokenizer_is_known_by_its_rules(found: dict[str, Any], name: str | None) -> None:
    assert converting.by_rules(found) == name


def added(folder: Path, *swallowing: str) -> Path:
    names = ("<unk>", "<s>", "</s>", "<|endoftext|>", "<|user|>")
    tokens = [{"content": name, "special": True, "rstrip": name in swallowing} for name in names]
    (folder / "tokenizer.json").write_text(
        json.dumps({"added_tokens": tokens, "model": {"type": "BPE", "vocab": {"a": 0}}})
    )
    return folder


def test_special_tokens_that_swallow_spaces_are_seen(tmp_path: Path) -> None:
    assert not converting.swallows(tmp_path)
    assert not converting.swallows(added(tmp_path))
    assert converting.swallows(added(tmp_path, "<|user|>"))


def test_the_converter_is_the_vendored_one_in_this_environment() -> None:
    command = converting.command(Path("/vendor"), Path("/model"), "q8_0", Path("/out.gguf"))
    assert command[1:] == [
        "-m", converting.__name__, "/vendor/convert_hf_to_gguf.py", "/model", "--outfile", "/out.gguf",
        "--outtype", "q8_0",
    ]  # fmt: skip
