"""Whether llama.cpp's converter knows a model, looked at before it is trained: by its own list, which is only read."""

from __future__ import annotations

import ast
from functools import cache
from pathlib import Path

from tunesmith.recipes import exports
from tunesmith.recipes.errors import ModelError
from tunesmith.recipes.models import headers
from tunesmith.recipes.spec import JobSpec
from tunesmith.recipes.words import Words, say

# Kinds of models whose sliding window llama.cpp does not have: each token sees all that stand before it.
WITHOUT_WINDOW = frozenset({"mistral", "mixtral", "phi3", "qwen2", "qwen3", "qwen2_moe", "qwen3_moe", "starcoder2"})
# conversion/__init__.py: architectures of transformers, each with the module that converts it, and what they see with.
LIST, SEEING = "TEXT_MODEL_MAP", "MMPROJ_MODEL_MAP"


def refuse_unknown(spec: JobSpec, base: Path, vendor: Path) -> None:
    """Raises ModelError when a GGUF is to be exported of a model, or of what it sees with, that the converter does not
    know.
    """
    cards = {target: exports.find(target)[0] for target in spec.exports}
    for name in (LIST, SEEING):
        targets = [target for target, card in cards.items() if card.converts and (name == LIST or card.sees)]
        if targets:
            refuse(targets, headers.config_of(base).get("architectures") or [], vendor, name)


def refuse(targets: list[str], named: list[str], vendor: Path, list_name: str) -> None:
    known = architectures(vendor / "conversion" / "__init__.py", list_name)
    if known and named and not any(name in known for name in named):
        raise ModelError(
            f"llama.cpp's converter does not know {' or '.join(map(str, named))}, so {targets[0]} cannot be exported",
            f"Leave {' and '.join(targets)} out of `exports`; 'merged' works for every model.",
            "not_convertible",
        )


def lost_window(spec: JobSpec, base: Path) -> Words | None:
    """What to say where a GGUF is to be exported and llama.cpp computes more than the model's sliding window."""
    if not any(exports.find(target)[0].converts for target in spec.exports):
        return None
    config = headers.config_of(base)
    window, longest = config.get("sliding_window"), config.get("max_position_embeddings")
    if config.get("model_type") not in WITHOUT_WINDOW or config.get("use_sliding_window") is False:
        return None
    if not isinstance(window, int) or (isinstance(longest, int) and longest <= window):
        return None
    english = (
        "Each token of this model sees {window} tokens before it; llama.cpp has no such window here. Up to {window} "
        "tokens a GGUF is the same model, in longer texts its answers differ."
    )
    return say("lost_window", english, window=window)


@cache
def architectures(path: Path, list_name: str = LIST) -> frozenset[str]:
    """Empty where the list is not found: then the converter itself says it, later."""
    if not path.is_file():
        return frozenset()
    for statement in ast.parse(path.read_text("utf-8")).body:
        match statement:
            case ast.AnnAssign(target=ast.Name(id=name), value=ast.Dict(keys=keys)) if name == list_name:
                return frozenset(str(key.value) for key in keys if isinstance(key, ast.Constant))
    return frozenset()
