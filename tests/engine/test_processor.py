"""Threads, memory nodes and the allocator, as training wants them."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from tunesmith.daemon.worker import processor


def test_a_kernel_list_of_processors_is_read() -> None:
    assert processor.cpus("0-3,8\n") == {0, 1, 2, 3, 8}
    assert processor.cpus("5") == {5}
    assert processor.cpus("\n") == set()


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="this system has no affinity")
def test_a_process_of_few_cores_stays_on_one_memory_node(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kept: list[set[int]] = []
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(range(16)))
    monkeypatch.setattr(os, "sched_setaffinity", lambda pid, cores: kept.append(set(cores)))
    for node, cores in enumerate(("0-7", "8-15")):
        (tmp_path / f"node{node}").mkdir()
        (tmp_path / f"node{node}" / "cpulist").write_text(f"{cores}\n")
    monkeypatch.setattr(processor, "NODES", tmp_path)
    assert processor.stay_on_one_node(4) == tuple(range(8)) and kept == [set(range(8))]
    assert processor.stay_on_one_node(12) == tuple(range(16)), "as many nodes as are needed"
    assert processor.stay_on_one_node(16) == (), "all cores are all nodes"


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="glibc's allocator")
def test_freed_memory_stays_until_it_is_released() -> None:
    script = (
        "import psutil\n"
        "from tunesmith.daemon.worker import processor\n"
        "resident = lambda: psutil.Process().memory_info().rss >> 20\n"
        "assert processor.keep_freed_memory()\n"
        "import numpy\n"
        "before = resident()\n"
        "large = [numpy.ones(4 << 20, numpy.uint8) for _ in range(25)]\n"
        "del large\n"
        "print(resident() - before)\n"
        "small = [numpy.ones(1 << 20, numpy.uint8) for _ in range(100)]\n"
        "held = resident()\n"
        "del small\n"
        "kept = resident()\n"
        "processor.release_freed_memory()\n"
        "print(held, kept, resident())\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=60)
    left, held, kept, released = map(int, done.stdout.split())
    assert left < 10, "large blocks lie outside of the heap: they leave no holes"
    assert kept > held - 10
    assert released < held - 90


def test_what_short_windows_left_is_released_before_a_long_one_and_only_then(monkeypatch: pytest.MonkeyPatch) -> None:
    released: list[int] = []
    monkeypatch.setattr(processor.resident, "now", lambda: 1 << 30)
    heap = processor.Heap((4 * 384, 4 * 1024))  # blocks of 2 MiB from 1,366 and from 512 tokens on
    for tokens in (1500, 400, 500, 1000, 1300, 1400, 1500, 600, 100, 1500):
        monkeypatch.setattr(processor, "release_freed_memory", lambda tokens=tokens: released.append(tokens))
        heap.before(tokens)
    assert released == [1000, 1400, 1500]


def test_what_is_left_is_released_where_the_process_grows_by_it_and_not_again_until_it_grows_further(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    released: list[int] = []
    heap = processor.Heap((4 * 64,))
    for mebibytes in (800, 810, 816, 817, 790, 830, 833, 834, 900):
        monkeypatch.setattr(processor.resident, "now", lambda size=mebibytes << 20: size)
        monkeypatch.setattr(processor, "release_freed_memory", lambda size=mebibytes: released.append(size))
        heap.before(100)
    assert released == [817, 834, 900]


def test_what_is_left_is_released_before_a_window_that_would_pass_the_forecast_beside_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    released: list[int] = []
    held = SimpleNamespace(now=930, left=0)  # MiB, and what is held once the rest is released
    monkeypatch.setattr(processor.resident, "now", lambda: held.now << 20)
    heap = processor.Heap((4 * 256, 4 * 1024))  # blocks of 2 MiB from 2,048 and from 512 tokens on

    def release() -> None:
        released.append(held.now)
        held.now = held.left

    monkeypatch.setattr(processor, "release_freed_memory", release)
    heap.before(1024)
    heap.keep_within(1016 << 20, blocks=20)  # 80 MiB in 1,024 tokens; 16 MiB are left free
    steps = ((920, 1024, 0), (921, 1024, 800), (905, 1500, 905), (915, 1500, 0), (925, 1500, 900))
    for now, tokens, left in steps:
        held.now, held.left = now, left
        heap.before(tokens)
    assert released == [921, 905, 925], "where giving it back did not help, not again until there is more"


def test_a_model_whose_mlp_has_no_one_width_is_told_by_its_own() -> None:
    import torch

    from tunesmith.daemon.worker.train.core import token_bytes

    config = SimpleNamespace(hidden_size=64, intermediate_size=[128, 256])
    model = SimpleNamespace(dtype=torch.bfloat16, config=SimpleNamespace(get_text_config=lambda: config))
    assert token_bytes(model) == (128,)
