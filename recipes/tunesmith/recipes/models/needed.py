"""Which files of a model's repository training needs: safetensors, tokenizer, processor, config, license.

Never pickles, never code, nothing in other folders: what is not named here is not fetched.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from pathlib import PurePosixPath
from typing import Any

from tunesmith.recipes.errors import ModelError
from tunesmith.recipes.models.headers import INDEX, WHOLE, is_of_the_model

CONFIG = "config.json"
TOKENIZERS = ("tokenizer.json", "tokenizer.model", "vocab.json")  # one of them
SMALL = frozenset({
    CONFIG, "generation_config.json", "tokenizer.json", "tokenizer.model", "tokenizer_config.json", "vocab.json",
    "vocab.txt", "merges.txt", "special_tokens_map.json", "added_tokens.json", "spiece.model",
    "sentencepiece.bpe.model", "chat_template.jinja", "chat_template.json", "preprocessor_config.json",
    "processor_config.json", "video_preprocessor_config.json",
})  # fmt: skip
LICENSE = re.compile(r"(?:licen[sc]e|notice|copying|use_policy|readme)(?:[._-][\w.-]*)?", re.IGNORECASE)
TEXTS = frozenset({"", ".md", ".txt", ".rst"})
SHARD = re.compile(r"(.*?)-\d{5}-of-\d{5}\.safetensors")
PICKLES = frozenset({".bin", ".pt", ".pth", ".ckpt", ".pkl", ".pickle", ".joblib", ".msgpack", ".h5", ".npz"})


def needed(paths: Iterable[str], what: str) -> tuple[str, ...]:
    """Of the `paths` in a repository, sorted. Raises ModelError when it cannot be trained; `what` names it."""
    there = frozenset(paths)
    weights = weights_of(there)
    if not weights or CONFIG not in there or not any(name in there for name in TOKENIZERS):
        raise lacking(there, weights, what)
    small = {path for path in there if path in SMALL or is_license(path)}
    index = there & {INDEX} if weights != {WHOLE} else frozenset()
    return tuple(sorted(small | weights | index))


def weights_of(there: Collection[str]) -> frozenset[str]:
    """One whole set of safetensors, as `headers.weight_files` reads a folder: the index's shards, else the one file."""
    found = {path for path in there if path.endswith(".safetensors") and is_of_the_model(path) and is_plain(path)}
    shards = {path: match[1] for path in found if (match := SHARD.fullmatch(path))}
    if INDEX in there and shards:
        usual = "model" if "model" in shards.values() else ""
        return frozenset(path for path, prefix in shards.items() if not usual or prefix == usual)
    if WHOLE in found:
        return frozenset({WHOLE})
    return frozenset(found)


def is_plain(path: str) -> bool:
    """A name that any disk and terminal can hold."""
    return re.fullmatch(r"[\w.+-]{1,255}", path, re.ASCII) is not None and not path.startswith(".")


def is_license(path: str) -> bool:
    return is_plain(path) and LICENSE.fullmatch(path) is not None and suffix(path) in TEXTS


def suffix(path: str) -> str:
    return PurePosixPath(path).suffix.lower()


def lacking(there: Collection[str], weights: Collection[str], what: str) -> ModelError:
    """Why it cannot be trained, and what can be done about it."""
    kinds = {suffix(path) for path in there}
    if weights and CONFIG not in there:
        return ModelError(f"{what} has no {CONFIG}", "Take the repository of the whole model.", "model_files")
    if weights:
        return ModelError(
            f"{what} has no tokenizer ({', '.join(TOKENIZERS)})",
            "Take a repository with one, or put the base model's tokenizer files beside the weights in a folder.",
            "model_files",
        )
    if "adapter_config.json" in there:
        return ModelError(
            f"{what} holds an adapter, not a model", "Take the model that it was made for; its card names it.",
            "model_files",
        )  # fmt: skip
    if found := sorted(kinds & PICKLES):
        return ModelError(
            f"{what} has its weights in pickles only ({', '.join(found)}), which can run code when they are read",
            "Look for a safetensors version of it (a newer revision, or another publisher's), or convert it on a "
            "machine that holds nothing of yours and give that folder.",
            "pickles_only",
        )
    if ".gguf" in kinds:
        return ModelError(
            f"{what} has its weights as GGUF only",
            "Take the model they were made of; or fetch one file by hand and: tunesmith models import FILE.gguf.",
            "gguf_only",
        )
    return ModelError(f"{what} has no safetensors weights", "Take the repository of the model itself.", "model_files")


def refuse_unusable(config: Mapping[str, Any], what: str) -> None:
    """Raises ModelError for a model whose weights are quantized already: nothing could be merged into them."""
    if found := config.get("quantization_config"):
        how = found.get("quant_method", "unknown") if isinstance(found, Mapping) else "unknown"
        raise ModelError(
            f"The weights of {what} are quantized already ({how})",
            "Take the model they were made of; quantization: nf4 trains that in 4 bits too.",
            "quantized_model",
        )


def wants_code(config: Mapping[str, Any]) -> bool:
    """Whether it names Python of its repository, which is never fetched and never run."""
    return bool(config.get("auto_map"))
