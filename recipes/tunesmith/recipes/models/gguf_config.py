"""The sizes in a GGUF file's own fields, in the words of config.json."""

from __future__ import annotations

import mmap
import struct
from pathlib import Path
from typing import Any

from tunesmith.recipes.errors import ModelError

# general.architecture where llama.cpp's name differs from transformers'.
TYPES = {"qwen2moe": "qwen2_moe", "qwen3moe": "qwen3_moe", "gemma3": "gemma3_text", "phi2": "phi"}
# Fields behind the architecture's name, by key of config.json.
FIELDS = {
    "hidden_size": "embedding_length",
    "intermediate_size": "feed_forward_length",
    "num_hidden_layers": "block_count",
    "num_attention_heads": "attention.head_count",
    "num_key_value_heads": "attention.head_count_kv",
    "head_dim": "attention.key_length",
    "max_position_embeddings": "context_length",
    "sliding_window": "attention.sliding_window",
    "num_experts": "expert_count",
    "num_experts_per_tok": "expert_used_count",
    "moe_intermediate_size": "expert_feed_forward_length",
}
VOCABULARY, HEAD = "token_embd.weight", "output.weight"


SIZES = {0: 1, 1: 1, 2: 2, 3: 2, 4: 4, 5: 4, 6: 4, 7: 1, 10: 8, 11: 8, 12: 8}  # bytes of a value by its type
FORMATS = {0: "<B", 1: "<b", 2: "<H", 3: "<h", 4: "<I", 5: "<i", 6: "<f", 7: "<?", 10: "<Q", 11: "<q", 12: "<d"}
STRING, ARRAY = 8, 9
LONGEST_KEPT = 1024  # values of a list; vocabularies are passed over


def config(path: Path) -> dict[str, Any]:
    """What a config.json of the model in `path` would say. Raises ModelError when it is no whole GGUF file."""
    try:
        with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
            fields, shapes = header(content)
    except (OSError, ValueError, struct.error, KeyError, OverflowError) as error:
        raise ModelError(
            f"{path.name} is not a whole GGUF file: {error}", "Give another file, or fetch it again.", "model_files"
        ) from error
    architecture = str(fields.get("general.architecture", ""))
    found: dict[str, Any] = {
        "model_type": TYPES.get(architecture, architecture),
        "tie_word_embeddings": HEAD not in shapes,
        "vocab_size": shapes.get(VOCABULARY, [0])[-1],
    }
    for key, field in FIELDS.items():
        value = fields.get(f"{architecture}.{field}")
        if isinstance(value, list) and value:  # one a layer: the largest is the safe one
            value = max(value)
        if value is not None:
            found[key] = value
    return found


def header(content: mmap.mmap) -> tuple[dict[str, Any], dict[str, list[int]]]:
    """Fields and the shapes of tensors, by name. Raises ValueError, struct.error for what is no GGUF of version 2 or 3.

    llama.cpp's own reader makes an object of every token: two seconds where this takes a tenth.
    """
    if content[:4] != b"GGUF":
        raise ValueError("it does not begin as one")
    version, tensors, count = struct.unpack_from("<IQQ", content, 4)
    if version not in (2, 3):
        raise ValueError(f"its version is {version}")
    place, fields, shapes = 24, {}, {}
    for _ in range(count):
        key, place = text(content, place)
        (kind,) = struct.unpack_from("<I", content, place)
        fields[key], place = value(content, place + 4, kind)
    for _ in range(tensors):
        name, place = text(content, place)
        (dimensions,) = struct.unpack_from("<I", content, place)
        shapes[name] = list(struct.unpack_from(f"<{dimensions}Q", content, place + 4))
        place += 4 + 8 * dimensions + 12  # its type and offset
    return fields, shapes


def text(content: mmap.mmap, place: int) -> tuple[str, int]:
    (length,) = struct.unpack_from("<Q", content, place)
    end = place + 8 + length
    return content[place + 8 : end].decode("utf-8", "replace"), end


def value(content: mmap.mmap, place: int, kind: int) -> tuple[Any, int]:
    """A field's value and where the next begins; None for a list that is too long to be a size."""
    if kind == STRING:
        return text(content, place)
    if kind != ARRAY:
        return struct.unpack_from(FORMATS[kind], content, place)[0], place + SIZES[kind]
    inner, count = struct.unpack_from("<IQ", content, place)
    if inner == ARRAY:
        raise ValueError("it has lists of lists")
    place += 12
    if inner in SIZES and count > LONGEST_KEPT:
        return None, place + SIZES[inner] * count
    if inner == STRING:
        for _ in range(count):
            (length,) = struct.unpack_from("<Q", content, place)
            place += 8 + length
        return None, place
    values = []
    for _ in range(count):
        one, place = value(content, place, inner)
        values.append(one)
    return values, place
