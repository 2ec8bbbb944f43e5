"""A model's weight files written again, piece by piece and several at once: most bytes as they are, some merged."""

from __future__ import annotations

import math
import os
import queue
import threading
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

from tunesmith.daemon.worker.merging.layers import Factors, Merging, Part
from tunesmith.recipes.machine.cpu import granted_cores
from tunesmith.recipes.models.safetensors import Placed

# Measured by bench/merge.py's parts, 3 GB on two cores: 2.3 s; with pieces of 2 MiB 3.4, synced every 256 MiB 2.5.
PIECE_BYTES = 1 << 19  # what stays in the cache of its core while it is merged
SYNCED_BYTES = 64 << 20  # the disk writes while later pieces are merged
MOST_AT_ONCE = 8  # threads: past that the disk is what takes the time
Piece = Callable[[], int]


class File:
    """One that is being written, of which `pieces` are still to do."""

    def __init__(self, target: int, pieces: Iterator[Piece]) -> None:
        self.target, self.pieces = target, pieces
        self.writers = 0
        self.unsynced = 0  # bytes


class Schedule:
    """What a thread does next: a piece of the file that the fewest write, as those of one file wait for each other."""

    def __init__(self, files: Iterable[File]) -> None:
        self._files = list(files)
        self._one = threading.Lock()

    def take(self) -> tuple[File, Piece] | None:
        with self._one:
            while self._files:
                file = min(self._files, key=lambda file: file.writers)
                if (piece := next(file.pieces, None)) is not None:
                    file.writers += 1
                    return file, piece
                self._files.remove(file)
            return None

    def done(self, file: File, size: int) -> bool:
        """Whether so much of it was written by now that the disk should begin."""
        with self._one:
            file.writers -= 1
            file.unsynced += size
            if due := file.unsynced >= SYNCED_BYTES:
                file.unsynced = 0
            return due


def write(files: Mapping[Path, Sequence[Placed]], layers: Merging, into: Path) -> Generator[int, None, None]:
    """Each of `files` under its own name in `into`, on the disk at the end; yields how many bytes came to be there.

    Raises OSError.
    """
    import torch

    threads = torch.get_num_threads()
    workers = min(granted_cores(), MOST_AT_ONCE)
    sources = {path: os.open(path, os.O_RDONLY) for path in files}
    targets: list[int] = []
    pool = ThreadPoolExecutor(workers, initializer=torch.set_num_threads, initargs=(1,))
    disk = ThreadPoolExecutor(workers)
    stopped = threading.Event()
    written: queue.SimpleQueue[int | None] = queue.SimpleQueue()  # None as each worker ends
    synced: list[Future[None]] = []
    try:
        where = {tensor.name: (sources[path], tensor) for path, placed in files.items() for tensor in placed}
        begun = []
        for path, placed in files.items():
            target = os.open(into / path.name, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644)
            targets.append(target)
            begun.append(File(target, of_file(sources[path], target, placed, layers, where)))
        schedule = Schedule(begun)

        def work() -> None:
            try:
                while not stopped.is_set() and (taken := schedule.take()):
                    file, piece = taken
                    size = piece()
                    if schedule.done(file, size):
                        synced.append(disk.submit(os.fdatasync, file.target))
                    written.put(size)
            except BaseException:
                stopped.set()
                raise
            finally:
                written.put(None)

        working = [pool.submit(work) for _ in range(workers)]
        for _ in working:
            yield from iter(written.get, None)
        for ended in (*working, *synced, *(disk.submit(os.fsync, target) for target in targets)):
            ended.result()
    finally:
        stopped.set()
        pool.shutdown()
        disk.shutdown(cancel_futures=True)
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
        data = SCRATCH.bytes("stored", stop - start)
        read_into(data, source, start)
        write_at(target, data, start)
        return stop - start

    for start in range(begin, end, PIECE_BYTES):
        yield lambda start=start: copy(start, min(end, start + PIECE_BYTES))  # type: ignore[misc]


def rows(source: int, target: int, tensor: Placed, factors: Sequence[Factors]) -> Iterator[Piece]:
    """A matrix of a plain LoRA layer, or those of all experts: rows do not need each other."""
    import torch

    *several, count, width = tensor.shape
    matrices = several[0] if several else 1
    row_bytes = tensor.bytes // (matrices * count)

    def merge(matrix: int, first: int, last: int) -> int:
        begin = tensor.begin + (matrix * count + first) * row_bytes
        data = SCRATCH.bytes("stored", (last - first) * row_bytes)
        read_into(data, source, begin)
        stored = numbers(data, tensor.dtype).view(last - first, width)
        merged = SCRATCH.numbers("merged", stored.shape, computed_in(stored)).copy_(stored)
        for one in factors:
            up, down = (one.up[matrix], one.down[matrix]) if several else (one.up, one.down)
            change = SCRATCH.numbers("change", stored.shape, up.dtype)
            merged += torch.mm(up[first:last], down, out=change).mul_(one.scaling)
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
            data = memoryview(bytearray(other.bytes))
            read_into(data, source, other.begin)
            stored = numbers(data, other.dtype).view(other.shape)
            given[name] = stored.to(computed_in(stored), copy=True)
        stored = bytearray(tensor.bytes)
        numbers(stored, tensor.dtype).view(tensor.shape).copy_(layers.merged(part, given))
        write_at(target, stored, tensor.begin)
        return tensor.bytes

    return merge


class Scratch(threading.local):
    """Memory of a thread that its pieces use one after another: to get it anew takes longer than merging."""

    def __init__(self) -> None:
        self._held: dict[str, bytearray] = {}

    def bytes(self, use: str, size: int) -> memoryview:
        """What the piece before left in it stands there still."""
        if len(self._held.get(use, b"")) < size:
            self._held[use] = bytearray(size)
        return memoryview(self._held[use])[:size]

    def numbers(self, use: str, shape: Sequence[int], dtype: Any) -> Any:
        import torch

        data = self.bytes(use, math.prod(shape) * dtype.itemsize)
        return torch.frombuffer(data, dtype=dtype).view(*shape)


SCRATCH = Scratch()


def numbers(data: bytearray | memoryview, dtype: str) -> Any:
    """The numbers in `data`, which they share."""
    import torch

    kinds = {"F16": torch.float16, "BF16": torch.bfloat16, "F32": torch.float32, "F64": torch.float64}
    return torch.frombuffer(data, dtype=kinds[dtype])


def computed_in(stored: Any) -> Any:
    """The dtype to merge in: float32, and what is wider as it is."""
    import torch

    return torch.promote_types(stored.dtype, torch.float32)


def read_into(data: memoryview, descriptor: int, begin: int) -> None:
    """Fill `data` with the file's bytes from `begin` on. Raises OSError."""
    size = len(data)
    while data:
        got = os.preadv(descriptor, [data], begin + size - len(data))
        if not got:
            raise OSError(f"the file ended {len(data)} bytes early")
        data = data[got:]


def write_at(descriptor: int, data: bytearray | memoryview, begin: int) -> None:
    view = memoryview(data)
    while view:
        wrote = os.pwrite(descriptor, view, begin + len(data) - len(view))
        view = view[wrote:]
