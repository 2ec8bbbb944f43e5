"""The header of a safetensors file: names, dtypes and shapes, without reading a weight."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from math import prod
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from tunesmith.recipes.errors import ModelError

LENGTH_BYTES = 8
MOST_DIMENSIONS = 16  # weights have one or two; a product of many numbers of a header could take for ever
LONGEST_HEADER = 100_000_000  # the format's own limit, safetensors/src/tensor.rs: MAX_HEADER_SIZE

# Bits a number, safetensors/src/tensor.rs: Dtype.
BITS: Mapping[str, int] = {
    "BOOL": 8, "F4": 4, "F6_E2M3": 6, "F6_E3M2": 6, "U8": 8, "I8": 8, "F8_E5M2": 8, "F8_E4M3": 8, "F8_E8M0": 8,
    "F8_E5M2FNUZ": 8, "F8_E4M3FNUZ": 8, "I16": 16, "U16": 16, "F16": 16, "BF16": 16, "I32": 32, "U32": 32, "F32": 32,
    "F64": 64, "I64": 64, "U64": 64, "C64": 64,
}  # fmt: skip
WEIGHTS = frozenset({"F8_E5M2", "F8_E4M3", "F8_E5M2FNUZ", "F8_E4M3FNUZ", "F16", "BF16", "F32", "F64"})


class Tensor(NamedTuple):
    name: str
    dtype: str
    numbers: int
    bytes: int


class Placed(NamedTuple):
    """A tensor and where its bytes lie in its file."""

    name: str
    dtype: str
    shape: tuple[int, ...]
    begin: int
    bytes: int


def read(path: Path) -> tuple[Tensor, ...]:
    """The tensors that the header of `path` names. Raises ModelError when it is no whole safetensors file."""
    header = header_of(path)
    return parse(header, path.name, path.stat().st_size - LENGTH_BYTES - len(header))


def placed(path: Path) -> list[Placed]:
    """The same with shapes and places, in the order of their bytes. Raises ModelError."""
    read(path)
    header = header_of(path)
    first = LENGTH_BYTES + len(header)
    found = []
    for name, entry in msgspec.json.decode(header).items():
        if name != "__metadata__":
            begin, end = entry["data_offsets"]
            found.append(Placed(name, entry["dtype"], tuple(entry["shape"]), first + begin, end - begin))
    return sorted(found, key=lambda tensor: (tensor.begin, tensor.bytes))


def header_of(path: Path) -> bytes:
    size = path.stat().st_size
    with path.open("rb") as file:
        length = int.from_bytes(file.read(LENGTH_BYTES), "little")
        if size < LENGTH_BYTES or length > min(size - LENGTH_BYTES, LONGEST_HEADER):
            raise broken(path.name, f"it is {size} bytes long and its header should take {length}")
        return file.read(length)


def parse(header: bytes, name: str, data_bytes: int | None = None) -> tuple[Tensor, ...]:
    """The tensors that `header` names; `data_bytes` is how many follow it, unchecked when None.

    Raises ModelError when it is damaged; `name` is what that calls the file.
    """
    try:
        entries = msgspec.json.decode(header)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise broken(name, f"its header is not JSON: {error}") from error
    if not isinstance(entries, dict):
        raise broken(name, "its header is not a table")
    spans: list[tuple[int, int]] = []
    tensors = []
    for key, entry in entries.items():
        if key != "__metadata__":
            tensor, begin = parsed(key, entry, name)
            tensors.append(tensor)
            spans.append((begin, begin + tensor.bytes))
    spans.sort()
    for before, after in pairwise([(0, 0), *spans]):
        if before[1] != after[0]:
            raise broken(name, f"its tensors leave a gap or overlap at byte {after[0]}")
    if data_bytes is not None and (spans[-1][1] if spans else 0) != data_bytes:
        raise broken(name, f"{data_bytes} bytes of tensors are there instead of {spans[-1][1] if spans else 0}")
    return tuple(tensors)


def parsed(key: str, entry: Any, name: str) -> tuple[Tensor, int]:
    """A tensor and where its bytes begin."""
    match entry:
        case {"dtype": str(dtype), "shape": list(shape), "data_offsets": [int(begin), int(end)]} if dtype in BITS:
            sizes = len(shape) <= MOST_DIMENSIONS and all(type(length) is int and length >= 0 for length in shape)
            if sizes and 0 <= begin <= end:
                numbers = prod(shape)
                if numbers * BITS[dtype] == (end - begin) * 8:
                    return Tensor(key, dtype, numbers, end - begin), begin
    raise broken(name, f"tensor {key[:80]!r} is described as {str(entry)[:120]}")


def broken(name: str, reason: str) -> ModelError:
    return ModelError(f"{name} is not a whole safetensors file: {reason}", "Fetch the model again.", "model_files")
