"""`python -m tunesmith.daemon.worker.converting <script> <folder> ...`: llama.cpp's converter in a process of its own.

It is told two things that it cannot see: how a tokenizer splits text whose vocabulary it does not know, and which
tokens swallow the spaces after them. Verification compares token ids afterwards: nothing wrong is told unnoticed.
"""

from __future__ import annotations

import json
import runpy
import sys
from pathlib import Path
from typing import Any

SCRIPT = "convert_hf_to_gguf.py"
LETTERS = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|"
REST = r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
# How `tokenizer.json` says where text is split before anything is merged: llama.cpp's names, one where a word that is a
# token as it is needs no merges, and one where it does. By its own table (llama-vocab.cpp); None: it has no such name.
RULES: dict[tuple[str, ...], tuple[str | None, str | None]] = {
    (LETTERS + r"\p{N}" + REST, "bytes"): (None, "qwen2"),
    (LETTERS + r"\p{N}{1,3}" + REST, "bytes"): ("llama-bpe", "smaug-bpe"),
    ("words", "bytes"): (None, "gpt-2"),
    ("digit", "words", "bytes"): (None, "smollm"),
}
# llama.cpp lets special tokens swallow spaces where the model's name has this in it, and then expects these tokens.
SWALLOWING = "Phi-3"
EXPECTED = frozenset({"<unk>", "<s>", "</s>", "<|endoftext|>"})


def command(vendor: Path, model: Path, variant: str, staged: Path) -> list[str]:
    """What converts the folder `model` to the file `staged`, as one of `gguf.CONVERTED`."""
    given = [str(model), "--outfile", str(staged), "--outtype", variant]
    return [sys.executable, "-m", __name__, str(vendor / SCRIPT), *given]


def main(arguments: list[str]) -> None:
    script, folder = Path(arguments[0]), Path(arguments[1])
    sys.path.insert(0, str(script.parent))
    from conversion.base import TextModel  # type: ignore[import-not-found]

    by_vocabulary = TextModel.get_vocab_base_pre

    def named(model: Any, tokenizer: Any) -> str:
        try:
            return str(by_vocabulary(model, tokenizer))
        except NotImplementedError:
            if (name := by_rules(json.loads(tokenizer.backend_tokenizer.to_str()))) is None:
                raise
            return name

    TextModel.get_vocab_base_pre = named
    sys.argv = [*arguments, *(["--model-name", SWALLOWING] if swallows(folder) else [])]
    runpy.run_path(str(script), run_name="__main__")


def by_rules(tokenizer: Any) -> str | None:
    """llama.cpp's name for how this `tokenizer.json` splits text; None where it has none."""
    if tokenizer["model"]["type"] != "BPE":
        return None
    names = RULES.get(tuple(steps(tokenizer["pre_tokenizer"] or {})))
    return names[not tokenizer["model"].get("ignore_merges")] if names else None


def steps(step: Any) -> list[str]:
    """Each in a word, or a regular expression; what is none of these is `other`."""
    match step:
        case {"type": "Sequence", "pretokenizers": parts}:
            return [found for part in parts for found in steps(part)]
        case {"type": "Split", "pattern": {"Regex": pattern}, "behavior": "Isolated", "invert": False}:
            return [str(pattern)]
        case {"type": "Digits", "individual_digits": True}:
            return ["digit"]
        case {"type": "ByteLevel", "add_prefix_space": False, **more}:
            return ["words", "bytes"] if more.get("use_regex", True) else ["bytes"]
    return ["other"]


def swallows(folder: Path) -> bool:
    """Whether special tokens of the model in `folder` swallow the spaces after them, as Phi-3's do."""
    file = folder / "tokenizer.json"
    if not file.is_file():
        return False
    tokenizer = json.loads(file.read_text("utf-8"))
    added = {token["content"]: token for token in tokenizer["added_tokens"]}
    known = added.keys() | tokenizer["model"]["vocab"].keys() if tokenizer["model"]["type"] == "BPE" else set()
    return known >= EXPECTED and any(token["special"] and token["rstrip"] for token in added.values())


if __name__ == "__main__":
    main(sys.argv[1:])
