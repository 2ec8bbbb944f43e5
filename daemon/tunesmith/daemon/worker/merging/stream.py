"""A model's weight files written again, piece by piece and several at once: most bytes as they are, some merged."""

from __future__ import annotations

import os
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path
from typing import Any

from tunesmith.daemon.worker.merging.layers import Factors, Merging, Part
from tunesmith.recipes.machine.cpu import granted_cores
from tunesmith.recipes.models.safetensors import Placed

PIECE_BYTES = 1 << 20  # small enough that it stays in the processor's cache while it is merged
COPIED_BYTES = 8 << 20
MOST_AT_ONCE = 8  # threads: past that the disk is what takes the time
Piece = Callable[[], int]


def write(files: Mapping[Path, Sequence[Placed]], layers: Merging, into: Path) -> Generator[int, None, None]:
    """Each of `files` under its own name in `into`, on the disk at the end; yields how many bytes came to be there.

    Raises OSError.
    """
    import torch

    threads = torch.get_num_threads()
    sources = {path: os.open(path, os.O_RDONLY) for path in files}
    targets: list[int] = []
    synced = []
    pool = ThreadPoolExecutor(min(granted_cores(), MOST_AT_ONCE), initializer=torch.set_num_threads, initargs=(1,))
    try:
        where = {tensor.name: (sources[path], tensor) for path, placed in files.items() for tensor in placed}
        for path, placed in files.items():
            target = os.open(into / path.name, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644)
            targets.append(target)
            pieces = of_file(sources[path], target, placed, layers, where)
            for done in as_completed([pool.submit(piece) for piece in pieces]):
                yield done.result()
            synced.append(pool.submit(os.fsync, target))
        for one in synced:
            one.result()
    finally:
        pool.shutdown(cancel_futures=True)
        torch.set_num_threads(threads)  # what the pool's threads set holds for later ones too
        for descriptor in (*sources.values(), *targets):
            os.close(descriptor)


def of_file(
    source: int, target: int, placed: Sequence[Placed], layers: Merging, where: Mapping[str, tuple[int, Placed]]
) -> Iterator[Piece]:
    """What writes one file: its bytes from the first to the last, those between merged tensors as they are."""
    begun = 0
    for tensor in placed:
        part = layers.parts.get(tensor.name)
        if part is None or not tensor.bytes:
            continue
        yield from copies(source, target, begun, tensor.begin)
        begun = tensor.begin + tensor.bytes
        if part.factors:
            yield from rows(source, target, tensor, part.factors)
        else:
            yield whole(target, tensor, part, layers, where)
    yield from copies(source, target, begun, os.fstat(source).st_size)


def copies(source: int, target: int, begin: int, end: int) -> Iterator[Piece]:
    def copy(start: int, stop: int) -> int:
        write_at(target, read_at(source, start, stop - start), start)
        return stop - start

    for start in range(begin, end, COPIED_BYTES):
        yield lambda start=start: copy(start, min(end, start + COPIED_BYTES))  # type: ignore[misc]


def rows(source: int, target: int, tensor: Placed, factors: Sequence[Factors]) -> Iterator[Piece]:
    """A matrix of a plain LoRA layer, or those of all experts: rows do not need each other."""
    *several, count, width = tensor.shape
    matrices = several[0] if several else 1
    row_bytes = tensor.bytes // (matrices * count)

    def merge(matrix: int, first: int, last: int) -> int:
        begin = tensor.begin + (matrix * count + first) * row_bytes
        data = read_at(source, begin, (last - first) * row_bytes)
        stored = numbers(data, tensor.dtype).view(last - first, width)
        merged = computed(stored)
        for one in factors:
            up, down = (one.up[matrix], one.down[matrix]) if several else (one.up, one.down)
            merged += (up[first:last] @ down) * one.scaling
        stored.copy_(merged)
        write_at(target, data, begin)
        return len(data)

    at_once = max(1, PIECE_BYTES // row_bytes)
    for matrix in range(matrices):
        for first in range(0, count, at_once):
            last = min(count, first + at_once)
            yield lambda matrix=matrix, first=first, last=last: merge(matrix, first, last)  # type: ignore[misc]


def whole(target: int, tensor: Placed, part: Part, layers: Merging, where: Mapping[str, tuple[int, Placed]]) -> Piece:
    """A tensor that only all of its module makes."""

    def merge() -> int:
        given = {}
        for name, place in layers.needs(part).items():
            source, other = where[place]
            data = read_at(source, other.begin, other.bytes)
            given[name] = computed(numbers(data, other.dtype).view(other.shape))
        stored = bytearray(tensor.bytes)
        numbers(stored, tensor.dtype).view(tensor.shape).copy_(layers.merged(part, given))
        write_at(target, stored, tensor.begin)
        return tensor.bytes

    return merge


def numbers(data: bytearray, dtype: str) -> Any:
    """The numbers in `data`, which they share."""
    import torch

    kinds = {"F16": torch.float16, "BF16": torch.bfloat16, "F32": torch.float32, "F64": torch.float64}
    return torch.frombuffer(data, dtype=kinds[dtype])


def computed(stored: Any) -> Any:
    """A copy in what it is merged in: float32, and what is wider as it is."""
    import torch

    return stored.to(torch.promote_types(stored.dtype, torch.float32), copy=True)


def read_at(descriptor: int, begin: int, size: int) -> bytearray:
    data = bytearray(size)
    view = memoryview(data)
    while view:
        got = os.preadv(descriptor, [view], begin + size - len(view))
        if not got:
            raise OSError(f"the file ended {len(view)} bytes early")
        view = view[got:]
    return data


def write_at(descriptor: int, data: bytearray, begin: int) -> None:
    view = memoryview(data)
    while view:
        wrote = os.pwrite(descriptor, view, begin + len(data) - len(view))
        view = view[wrote:]
