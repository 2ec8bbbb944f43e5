"""The header of a GGUF file: its fields and its tensors, each number in it checked before anything is done by it.

llama.cpp's own reader makes an object of every token, two seconds where this takes a tenth, and trusts the file.
"""

from __future__ import annotations

import mmap
import struct
from itertools import pairwise
from math import prod
from pathlib import Path
from typing import Any, NamedTuple

from tunesmith.recipes.errors import ModelError
from tunesmith.recipes.models.safetensors import Tensor

# ggml's types hold each weight apart, in blocks or not, so that counts are exact for all of them.
TYPES = frozenset({
    "F32", "F16", "BF16", "F64", "Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q8_0", "Q8_1", "Q2_K", "Q3_K", "Q4_K", "Q5_K",
    "Q6_K", "Q8_K", "IQ1_S", "IQ1_M", "IQ2_XXS", "IQ2_XS", "IQ2_S", "IQ3_XXS", "IQ3_S", "IQ4_NL", "IQ4_XS", "TQ1_0",
    "TQ2_0", "MXFP4", "NVFP4",
})  # fmt: skip
SIZES = {0: 1, 1: 1, 2: 2, 3: 2, 4: 4, 5: 4, 6: 4, 7: 1, 10: 8, 11: 8, 12: 8}  # bytes of a value by its type
FORMATS = {0: "<B", 1: "<b", 2: "<H", 3: "<h", 4: "<I", 5: "<i", 6: "<f", 7: "<?", 10: "<Q", 11: "<q", 12: "<d"}
STRING, ARRAY = 8, 9
LONGEST_KEPT = 1024  # values of a list; vocabularies are passed over
LONGEST_TEXT = 16 << 20  # bytes; chat templates have some ten thousand
MOST_ENTRIES = 1 << 20  # fields or tensors; the largest models have some thousand tensors
MOST_TEXTS = 1 << 24  # of a list; the largest vocabularies have 300,000
MOST_DIMENSIONS = 4  # ggml's own limit, GGML_MAX_DIMS
ALIGNMENT, LARGEST_ALIGNMENT = 32, 1 << 16


class Described(NamedTuple):
    """A tensor as the header says it: `kind` is ggml's number of its type, `offset` counts from the data's begin."""

    shape: tuple[int, ...]
    kind: int
    offset: int


class Header(NamedTuple):
    """`fields` by name (None for a list that is too long to be a size), `data` is the byte where tensors begin."""

    fields: dict[str, Any]
    tensors: dict[str, Described]
    data: int
    file_bytes: int


def header(path: Path) -> Header:
    """Raises ModelError when `path` does not begin as a GGUF file of version 2 or 3 does."""
    try:
        with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
            return parsed(content)
    except (OSError, ValueError, struct.error, OverflowError) as error:
        raise broken(path, error) from error


def read(path: Path) -> tuple[Tensor, ...]:
    """The tensors of `path`, none of which is read. Raises ModelError when it is no whole GGUF file."""
    from gguf.constants import GGML_QUANT_SIZES, GGMLQuantizationType  # 0.1 s

    found = header(path)
    tensors, spans = [], []
    for name, one in found.tensors.items():
        try:
            kind = GGMLQuantizationType(one.kind)
        except ValueError as error:
            raise broken(path, f"tensor {name[:80]!r} has the type {one.kind}") from error
        in_block, block_bytes = GGML_QUANT_SIZES[kind]
        numbers = prod(one.shape)
        if one.shape and one.shape[0] % in_block:
            raise broken(path, f"tensor {name[:80]!r} has rows of {one.shape[0]}, no multiple of {in_block}")
        size = numbers // in_block * block_bytes
        if found.data + one.offset + size > found.file_bytes:
            raise broken(path, f"tensor {name[:80]!r} goes on behind the end of the file")
        tensors.append(Tensor(name, kind.name, numbers, size))
        spans.append((one.offset, one.offset + size))
    for before, after in pairwise(sorted(spans)):
        if before[1] > after[0]:
            raise broken(path, f"its tensors overlap at byte {found.data + after[0]}")
    return tuple(tensors)


def broken(path: Path, reason: object) -> ModelError:
    return ModelError(f"{path.name} is not a whole GGUF file: {reason}", "Fetch the model again.", "model_files")


def parsed(content: mmap.mmap) -> Header:
    """Raises ValueError or struct.error."""
    if content[:4] != b"GGUF":
        raise ValueError("it does not begin as one")
    version, tensor_count, field_count = struct.unpack_from("<IQQ", content, 4)
    if version not in (2, 3):
        raise ValueError(f"its version is {version}")
    if max(tensor_count, field_count) > MOST_ENTRIES:
        raise ValueError(f"it claims {field_count} fields and {tensor_count} tensors")
    place = 24
    fields: dict[str, Any] = {}
    for _ in range(field_count):
        key, place = text(content, place)
        (kind,) = struct.unpack_from("<I", content, place)
        found, place = value(content, place + 4, kind)
        if key in fields:
            raise ValueError(f"the field {key[:80]!r} stands twice")
        fields[key] = found
    tensors: dict[str, Described] = {}
    for _ in range(tensor_count):
        name, place = text(content, place)
        (dimensions,) = struct.unpack_from("<I", content, place)
        if dimensions > MOST_DIMENSIONS:
            raise ValueError(f"tensor {name[:80]!r} has {dimensions} dimensions")
        if name in tensors:
            raise ValueError(f"tensor {name[:80]!r} stands twice")
        *shape, kind, offset = struct.unpack_from(f"<{dimensions}QIQ", content, place + 4)
        tensors[name] = Described(tuple(shape), kind, offset)
        place += 4 + 8 * dimensions + 12
    alignment = fields.get("general.alignment", ALIGNMENT)
    if not isinstance(alignment, int) or not 0 < alignment <= LARGEST_ALIGNMENT:
        raise ValueError(f"its alignment is {alignment}")
    return Header(fields, tensors, place + -place % alignment, len(content))


def text(content: mmap.mmap, place: int) -> tuple[str, int]:
    (length,) = struct.unpack_from("<Q", content, place)
    end = place + 8 + length
    if end > len(content) or length > LONGEST_TEXT:
        raise ValueError(f"a text at byte {place} claims {length} bytes")
    return content[place + 8 : end].decode("utf-8", "replace"), end


def value(content: mmap.mmap, place: int, kind: int) -> tuple[Any, int]:
    """A field's value and where the next begins; None for a list that is too long to be a size."""
    if kind == STRING:
        return text(content, place)
    if kind == ARRAY:
        return values(content, place)
    if kind not in FORMATS:
        raise ValueError(f"a value at byte {place} has the type {kind}")
    return struct.unpack_from(FORMATS[kind], content, place)[0], place + SIZES[kind]


def values(content: mmap.mmap, place: int) -> tuple[list[Any] | None, int]:
    """A list; texts are passed over."""
    kind, count = struct.unpack_from("<IQ", content, place)
    place += 12
    if kind == STRING:
        if count > MOST_TEXTS:
            raise ValueError(f"a list at byte {place} claims {count} texts")
        for _ in range(count):
            (length,) = struct.unpack_from("<Q", content, place)
            place += 8 + length
        return None, place
    if kind not in FORMATS:
        raise ValueError("it has lists of lists" if kind == ARRAY else f"a list at byte {place} has the type {kind}")
    end = place + SIZES[kind] * count
    if end > len(content):
        raise ValueError(f"a list at byte {place} claims {count} values")
    if count > LONGEST_KEPT:
        return None, end
    return list(struct.unpack_from(f"<{count}{FORMATS[kind][1]}", content, place)), end
