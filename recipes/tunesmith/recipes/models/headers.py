"""Exact counts of a model on disk, from the headers of its weight files; no weight is read."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path, PurePath
from typing import Any

import msgspec

from tunesmith.recipes.errors import ModelError
from tunesmith.recipes.models import gguf_header, json_file, safetensors
from tunesmith.recipes.models.facts import ModelFacts, Stored
from tunesmith.recipes.models.reading import from_config
from tunesmith.recipes.models.safetensors import Tensor

INDEX = "model.safetensors.index.json"
WHOLE = "model.safetensors"
# Weights of the same model in another layout, or of something beside it.
NOT_THE_MODEL = ("adapter_", "consolidated", "optimizer", "training")
# Tensors that old checkpoints store though they are computed: no parameters.
COMPUTED = re.compile(r"(rotary_emb\.inv_freq|\.masked_bias|attn\.bias)$")
HEAD = "lm_head.weight"
# One file of several that hold a model in GGUF.
PART = re.compile(r"-\d{5}-of-\d{5}$")


def read(folder: Path) -> ModelFacts:
    """A model's config.json, with exact counts where its weight files are there too. Raises ModelError."""
    facts = from_config(config_of(folder), str(folder / "config.json"))
    if not weight_files(folder):
        return facts
    return msgspec.structs.replace(facts, stored=tensors(folder, tied=facts.tied_embeddings))


def tensors(path: Path, *, tied: bool = False) -> Stored:
    """What the weight files in the folder `path`, or the one file it is, hold.

    With `tied` an output head that is stored although it is the embeddings counts as bytes, not as parameters. Raises
    ModelError without any files.
    """
    files = weight_files(path)
    if not files:
        raise ModelError(
            f"{path} holds no weights in safetensors or GGUF",
            "Give the folder of a model, with config.json and model.safetensors or its shards.",
            "model_files",
        )
    read_header = gguf_header.read if files[0].suffix == ".gguf" else safetensors.read
    return counted([tensor for file in files for tensor in read_header(file)], len(files), tied=tied)


def counted(found: Iterable[Tensor], files: int, *, tied: bool = False) -> Stored:
    """Added up. Whole numbers hold several weights each, so that nothing can be said of how many there are."""
    parameters = stored = 0
    dtypes = set()
    for tensor in found:
        stored += tensor.bytes
        dtypes.add(tensor.dtype)
        again = COMPUTED.search(tensor.name) or (tied and tensor.name.endswith(HEAD))
        parameters += 0 if again else tensor.numbers
    unpacked = dtypes <= safetensors.WEIGHTS | gguf_header.TYPES
    return Stored(parameters if unpacked else None, stored, tuple(sorted(dtypes)), files)


def weight_files(path: Path) -> Sequence[Path]:
    """Each file of the model's weights once. Raises ModelError when a shard is missing, or there are two models."""
    if path.is_file():
        return (path,)
    if (path / INDEX).is_file():
        return shards(path)
    if (path / WHOLE).is_file():
        return (path / WHOLE,)
    if found := [file for file in sorted(path.glob("*.safetensors")) if is_of_the_model(file.name)]:
        return found
    found = [file for file in sorted(path.glob("*.gguf")) if not file.name.startswith("mmproj")]
    if len({PART.sub("", file.stem) for file in found}) > 1:
        raise ModelError(
            f"{path} holds several models: {', '.join(file.name for file in found[:4])}",
            "Give the path of the one file.",
            "model_files",
        )
    return found


def is_of_the_model(path: str) -> bool:
    """Whether a safetensors file of this path in the model's folder belongs to it."""
    return "/" not in path and not path.startswith(NOT_THE_MODEL)


def shards(folder: Path) -> Sequence[Path]:
    """The files that the index names."""
    index = json_file.read(folder / INDEX).get("weight_map")
    if not isinstance(index, Mapping) or not index:
        raise ModelError(f"{folder / INDEX} has no 'weight_map'", "Fetch the model again.", "model_files")
    names = sorted({str(name) for name in index.values()})
    if outside := [name for name in names if PurePath(name).name != name or "\\" in name]:
        raise ModelError(f"{folder / INDEX} names the file {outside[0]!r}", "Do not use this model.", "model_files")
    if missing := [name for name in names if not (folder / name).is_file()]:
        raise ModelError(
            f"{folder} lacks {missing[0]}" + (f" and {len(missing) - 1} more files" if missing[1:] else ""),
            "Fetch the model again; what is there is kept.",
            "model_files",
        )
    return [folder / name for name in names]


def config_of(folder: Path) -> Mapping[str, Any]:
    if not (folder / "config.json").is_file():
        raise ModelError(f"{folder} has no config.json", "Give the folder of a model.", "model_files")
    return json_file.read(folder / "config.json")
