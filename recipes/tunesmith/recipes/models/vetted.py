"""What of a model's folder the engine is shown: weights in safetensors, tokenizer files, and settings without code.

A model's folder can hold pickles, Python files, and settings that name code, another folder or a file elsewhere; the
libraries follow many of these. So they never see it: `view` makes a folder of links to the files that are needed and
of settings with what is allowed, and says what it left out.
"""

from __future__ import annotations

import stat
from pathlib import Path
from typing import Any

import msgspec

from tunesmith.recipes.errors import ModelError
from tunesmith.recipes.models import headers, json_file, safetensors
from tunesmith.recipes.words import Words, say

SETTINGS = (
    "config.json", "generation_config.json", "tokenizer_config.json", "special_tokens_map.json",
    "preprocessor_config.json", "processor_config.json",
)  # fmt: skip
FILES = (
    headers.INDEX, "tokenizer.json", "tokenizer.model", "vocab.json", "vocab.txt", "merges.txt", "added_tokens.json",
    "chat_template.jinja", "chat_template.json", "spiece.model", "sentencepiece.bpe.model", "tekken.json",
)  # fmt: skip
# Keys, at any depth, whose values are code or are loaded from elsewhere.
CODE = frozenset({
    "auto_map", "custom_pipelines", "custom_generate", "trust_remote_code", "code_revision", "transformers_weights",
    "base_model_name_or_path", "attn_implementation", "_attn_implementation", "_attn_implementation_internal",
    "experts_implementation", "_experts_implementation", "kernel_config", "hub_kernels",
})  # fmt: skip
# Notes of where a model was when it was saved; nothing is lost without them, and nobody need be told.
NOTES = frozenset({"_name_or_path", "name_or_path", "_commit_hash", "_model_name_or_path"})
ELSEWHERE = ("_file", "_path", "_dir", "_folder", "_url")  # ends of keys that say where something lies
NAMES = ("id2label", "label2id")  # free text, not settings
SHOWN = 6  # names in a sentence


def view(folder: Path, into: Path, cache: Path | None = None) -> list[Words]:
    """Make `into` the view of the model in `folder`; sentences about what is not in it.

    Links may lead to other files of `folder`, of the hub's cache it lies in, and of `cache`. Raises ModelError where
    one leads elsewhere, or a weights file is none.
    """
    left: list[Words] = []
    into.mkdir(parents=True, exist_ok=True)
    for old in into.iterdir():
        old.unlink()
    weights = [path.name for path in headers.weight_files(folder) if path.suffix == ".safetensors"]
    taken = [*SETTINGS, *FILES, *weights]
    for name in dict.fromkeys(taken):
        if not (folder / name).exists() and not (folder / name).is_symlink():
            continue
        real = inside(folder, name, cache)
        if name in SETTINGS:
            found, dropped = allowed(json_file.read(real), name)
            (into / name).write_bytes(msgspec.json.format(msgspec.json.encode(found), indent=2))
            if dropped:
                english = "{file} says {names}, which is not followed: a model's own code is never run."
                left.append(say("not_followed", english, file=name, names=listed(dropped)))
        else:
            if name in weights:
                safetensors.read(real)
            (into / name).symlink_to(real)
    others = [path.name for path in folder.iterdir() if path.name not in taken and harmful(path)]
    others.sort(key=lambda name: (not name.endswith(".py"), name))
    if others:
        english = "{names} in the model's folder can hold code and are not read."
        left.append(say("not_read", english, names=listed(others)))
    return left


def inside(folder: Path, name: str, cache: Path | None = None) -> Path:
    """The file `name` of `folder` itself, links followed. Raises ModelError when it lies elsewhere or is no file."""
    real, root = (folder / name).resolve(), folder.resolve()
    roots = [root, *([cache.resolve()] if cache is not None and root.is_relative_to(cache.resolve()) else [])]
    if root.parent.name == "snapshots":  # Hugging Face's cache: snapshots/<revision> links to blobs
        roots.append(root.parent.parent / "blobs")
    if not any(real.is_relative_to(allowed_root) for allowed_root in roots):
        raise ModelError(
            f"{folder / name} is a link to {real}, outside of the model's folder",
            "Copy the file into the folder, or give the folder in which the files are.",
            "model_link",
        )
    try:
        regular = stat.S_ISREG(real.stat().st_mode)
    except OSError:
        regular = False
    if not regular:
        raise ModelError(f"{folder / name} is no regular file", "Fetch the model again.", "model_files")
    return real


def allowed(settings: dict[str, Any], name: str) -> tuple[dict[str, Any], list[str]]:
    """`settings` of the file `name` without what names code or lies elsewhere, and the keys of that."""
    dropped: list[str] = []
    if name == "generation_config.json":
        dropped = [key for key in settings if key not in NOTES and not figure(key, settings[key])]
        return {key: one for key, one in settings.items() if key not in {*dropped, *NOTES}}, dropped
    kept = cleaned(settings, name == "config.json", dropped)
    assert isinstance(kept, dict)
    return kept, list(dict.fromkeys(dropped))


def cleaned(value: Any, paths: bool, dropped: list[str]) -> Any:
    """`value` without such keys; with `paths` also without texts that are paths or addresses."""
    if isinstance(value, list):
        return [cleaned(item, paths, dropped) for item in value]
    if not isinstance(value, dict):
        return value
    kept = {}
    for key, item in value.items():
        if key in NOTES:
            continue
        names_file = isinstance(item, str) and (key.endswith(ELSEWHERE) or (paths and leads_elsewhere(item)))
        if key in CODE or names_file:
            dropped += [key] if item not in (None, False, "eager", "sdpa") else []
            continue
        kept[key] = item if key in NAMES else cleaned(item, paths, dropped)
    return kept


def figure(key: str, value: Any) -> bool:
    """Of generation_config.json: how to sample and when to stop are numbers and switches."""
    if isinstance(value, list):
        return key not in CODE and all(isinstance(item, int) for item in value)
    return key not in CODE and (key == "transformers_version" or isinstance(value, int | float | None))


def leads_elsewhere(text: str) -> bool:
    return "/" in text or "\\" in text


def harmful(path: Path) -> bool:
    """Whether its name says that it holds code, or pickles, which are code."""
    return path.suffix in (".py", ".pyc", ".so", ".pkl", ".pickle", ".pt", ".pth", ".bin", ".ckpt", ".joblib", ".npy")


def listed(names: list[str]) -> str:
    return ", ".join(names[:SHOWN]) + (f" (+{len(names) - SHOWN})" if len(names) > SHOWN else "")
