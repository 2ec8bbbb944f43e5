"""How fast this machine is at what training asks of it: matrix products, copies in memory, writes to disk."""

from __future__ import annotations

import os
import statistics
import tempfile
import time
from pathlib import Path

from tunesmith.daemon.worker.train import limit
from tunesmith.recipes.measured import Rate

COPIED_BYTES = 256 << 20  # far more than any cache keeps
WRITTEN_BYTES = 64 << 20  # takes a slow disk a second, and more than a fast one's own memory
TIMES = 5  # their median counts
PRODUCTS_FOR_S = 1.2  # a try takes 0.1 to 0.3 s where the dtype has units


def product(device: str, dtype: str) -> Rate:
    """Floating-point operations a second of large products in `dtype`, a name of torch's: the best of several tries.

    What else runs on the machine makes a try slower (measured: to a sixth), nothing makes it faster.
    """
    import torch

    rates: list[float] = []
    began = time.perf_counter()
    while not rates or time.perf_counter() - began < PRODUCTS_FOR_S:
        rates.append(limit.measure(device, getattr(torch, dtype)))
    return Rate(max(rates))


def memory_copy(device: str) -> Rate:
    """Bytes read and written a second while a large block is copied on `device`."""
    import torch

    source = torch.ones(COPIED_BYTES // 4, dtype=torch.float32, device=device)
    target = torch.zeros_like(source)
    seconds = []
    for _ in range(TIMES):
        wait(device)
        began = time.perf_counter()
        target.copy_(source)
        wait(device)
        seconds.append(time.perf_counter() - began)
    return Rate(2 * COPIED_BYTES / statistics.median(seconds))


def wait(device: str) -> None:
    """Until the device has done what it was given; a CPU's work is done when it returns."""
    import torch

    if device != "cpu":
        getattr(torch, device).synchronize()


def disk_write(folder: Path) -> Rate:
    """Bytes a second until they are safe on the disk of `folder`; nothing is left there. Raises OSError."""
    block = os.urandom(1 << 20)  # a disk that compresses gains nothing by it
    with tempfile.NamedTemporaryFile(dir=folder, prefix=".tunesmith-disk-") as file:
        began = time.perf_counter()
        for _ in range(WRITTEN_BYTES // len(block)):
            file.write(block)
        file.flush()
        os.fsync(file.fileno())
        return Rate(WRITTEN_BYTES / (time.perf_counter() - began))
