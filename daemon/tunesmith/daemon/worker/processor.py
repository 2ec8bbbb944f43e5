"""The processor and the memory allocator, set up for training before the engine loads."""

from __future__ import annotations

import ctypes
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from tunesmith.daemon.worker import resident

NODES = Path("/sys/devices/system/node")
# glibc's malloc.h. What is freed is kept: giving it back page by page and getting it anew at every operation took a
# sixth of a training step (measured: 2.46 s a step with the defaults, 2.17 s with these).
M_TRIM_THRESHOLD, M_TOP_PAD, M_MMAP_THRESHOLD = -1, -2, -3
KEPT = 2**31 - 1
# Blocks from here on lie outside of the heap, where they leave no holes: between sequences of 1,600 to 4,096 tokens
# these came to 350 MB in 24 steps, with blocks of 16 MB and more outside; it costs no time (measured).
LARGE = 2 << 20
TOP_PAD = 1 << 20
GROWN = 16 << 20


def environment(cores: int) -> dict[str, str]:
    """Variables for `cores` threads, to be set before torch is imported."""
    return {
        "OMP_NUM_THREADS": str(cores),
        "MKL_NUM_THREADS": str(cores),
        # Threads that spin while they wait make a shared machine thirty times slower (measured: 2 s a step, then 60 s);
        # threads that sleep at once are woken thousands of times a step (2.89 s a step, 2.38 s with a short spin).
        "GOMP_SPINCOUNT": "1000",
        "KMP_BLOCKTIME": "1",
        # Large blocks come in large pages: a page fault for 2 MB instead of 512 of them.
        "THP_MEM_ALLOC_ENABLE": "1",
        # Steps differ in length: a CUDA block that can grow is used again where a fixed one would be a hole.
        "PYTORCH_ALLOC_CONF": "expandable_segments:True",
    }


def keep_freed_memory() -> bool:
    """Freed memory stays with this process and is used again. True where the C library can be told so (glibc)."""
    if not sys.platform.startswith("linux"):
        return False
    library = ctypes.CDLL(None)
    if not hasattr(library, "mallopt") or not hasattr(library, "gnu_get_libc_version"):
        return False
    settings = ((M_MMAP_THRESHOLD, LARGE), (M_TRIM_THRESHOLD, KEPT), (M_TOP_PAD, TOP_PAD))
    return all(library.mallopt(setting, value) for setting, value in settings)


def release_freed_memory() -> None:
    """Give back what is kept: training is over."""
    if sys.platform.startswith("linux") and hasattr(library := ctypes.CDLL(None), "malloc_trim"):
        library.malloc_trim(0)


class Heap:
    """What windows of different lengths leave in the heap, which is given back where it adds up.

    The blocks of a short window lie in the heap, those of a long one outside of it, and what the first left free would
    lie beside the second. It is given back before that: training a model of 33M on rows of 460 to 1,500 tokens came to
    1,054 MB instead of 1,170 (measured; giving it back took 45 ms). Within the heap, blocks of one size leave holes
    that those of another do not fill: where the process has grown by `GROWN`, these are given back too. So are they
    before a window whose blocks outside would lie beside so much that the process passed its forecast: training a model
    of 362M in 4 bits on rows of 106 to 244 tokens took 1.3 to 5.8 % more than forecast in six runs, and 0.9 to 3.1 %
    less in three with this (measured by bench/forecast.py).
    """

    def __init__(self, token_bytes: Sequence[int]) -> None:
        """`token_bytes`: of one token, in each kind of block that a model keeps."""
        self._token_bytes = token_bytes
        self._outside = len(token_bytes)
        self._most = 0
        self._limit, self._blocks = sys.maxsize, 0

    def keep_within(self, limit: int, blocks: int) -> None:
        """The process is forecast to take `limit` bytes at most; `blocks` of each kind are kept at once."""
        self._limit, self._blocks = limit - GROWN, blocks

    def before(self, tokens: int) -> None:
        """To be told of every window before it is computed."""
        large = [each * tokens for each in self._token_bytes if each * tokens >= LARGE]
        beside = self._blocks * sum(large)
        now = resident.now()
        grown = now > self._most + GROWN
        passing = bool(beside) and now + beside > self._limit
        if len(large) > self._outside or (grown and self._most) or passing:
            release_freed_memory()
        if passing:  # what cannot be given back is no reason to try it again at every window
            self._limit = max(self._limit, resident.now() + beside + GROWN)
        self._outside = len(large)
        if grown:
            self._most = now


def stay_on_one_node(cores: int) -> tuple[int, ...]:
    """On a machine of several memory nodes, keep this process on as few as have `cores` cores; returns its cores.

    Memory is then allocated where it is used: the other node's is about half as fast. Empty where there is one node,
    or where the system does not say.
    """
    if not hasattr(os, "sched_setaffinity"):
        return ()
    allowed = os.sched_getaffinity(0)
    nodes = [allowed & cpus(text.read_text("ascii")) for text in sorted(NODES.glob("node*/cpulist"))]
    nodes = sorted((node for node in nodes if node), key=len, reverse=True)
    if len(nodes) < 2 or cores >= len(allowed):
        return ()
    chosen: set[int] = set()
    for node in nodes:
        if len(chosen) >= cores:
            break
        chosen |= node
    os.sched_setaffinity(0, chosen)
    return tuple(sorted(chosen))


def cpus(text: str) -> set[int]:
    """The numbers in a kernel list of processors: `0-3,8` are 0, 1, 2, 3 and 8."""
    found: set[int] = set()
    for part in text.strip().split(","):
        first, _, last = part.partition("-")
        if first:
            found |= set(range(int(first), int(last or first) + 1))
    return found
