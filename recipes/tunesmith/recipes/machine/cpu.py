"""The processor and the memory that a container really grants."""

from __future__ import annotations

import os
import platform
from pathlib import Path

import msgspec
import psutil

from tunesmith.recipes.machine import Backend, Device, Warning

SIMD_FLAGS = (
    "avx2", "avx512f", "avx512_bf16", "avx512_fp16", "amx_bf16", "amx_fp16", "neon", "asimd", "sve", "bf16",
)  # fmt: skip
CGROUP = Path("/sys/fs/cgroup")


class CpuFacts(msgspec.Struct, frozen=True):
    name: str
    cores: int
    simd: tuple[str, ...]
    memory_bytes: int
    memory_free_bytes: int
    host_cores: int | None = None
    host_memory_bytes: int | None = None


def facts() -> CpuFacts:
    total, free = memory()
    info = _cpuinfo()
    flags = set((info.get("flags") or info.get("Features") or "").split())
    name = info.get("model name") or platform.processor() or platform.machine()
    simd = tuple(flag for flag in SIMD_FLAGS if flag in flags)
    cores, host_cores, host_total = granted_cores(), os.cpu_count() or 1, psutil.virtual_memory().total
    return CpuFacts(
        name,
        cores,
        simd,
        total,
        free,
        host_cores if host_cores > cores else None,
        host_total if host_total > total else None,
    )


def granted_cores() -> int:
    """Cores this process may use: affinity, then the cgroup's CPU quota; at least 1."""
    affinity = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else (os.cpu_count() or 1)
    first_version = f"{_text(CGROUP / 'cpu/cpu.cfs_quota_us')} {_text(CGROUP / 'cpu/cpu.cfs_period_us')}"
    quota = parse_cpu_max(_text(CGROUP / "cpu.max") or first_version)
    return max(1, min(affinity, int(quota))) if quota else affinity


def parse_cpu_max(text: str) -> float | None:
    """Cores of a cgroup's quota and period: `200000 100000 -> 2.0`; None for `max`, -1 (in version 1) or nothing."""
    parts = text.split()
    if len(parts) != 2 or parts[0] in ("max", "-1"):
        return None
    return int(parts[0]) / int(parts[1])


def memory() -> tuple[int, int]:
    """Total and free bytes, the cgroup's limit counted; files that were read and can be dropped take no memory."""
    host = psutil.virtual_memory()
    most, current, stat, dropped = "memory.max", "memory.current", "memory.stat", "inactive_file"
    if not (CGROUP / most).exists():  # version 1 has folders by kind and other names
        most, current = "memory/memory.limit_in_bytes", "memory/memory.usage_in_bytes"
        stat, dropped = "memory/memory.stat", "total_inactive_file"
    limit = _text(CGROUP / most)
    if not limit.isdigit() or int(limit) >= host.total:  # version 1 writes a huge number where there is none
        return host.total, host.available
    used = int(_text(CGROUP / current) or 0)
    lines = (line.partition(" ") for line in _text(CGROUP / stat).splitlines())
    used -= next((int(value) for key, _, value in lines if key == dropped), 0)
    return int(limit), max(0, min(int(limit) - used, host.available))


def _text(path: Path) -> str:
    try:
        return path.read_text().strip()
    except OSError:  # not there: no limit of that kind
        return ""


def _cpuinfo() -> dict[str, str]:
    """The first processor's lines of /proc/cpuinfo; empty where there is none (macOS)."""
    pairs: dict[str, str] = {}
    for line in _text(Path("/proc/cpuinfo")).splitlines():
        key, colon, value = line.partition(":")
        if colon:
            pairs.setdefault(key.strip(), value.strip())
    return pairs


def detect() -> tuple[tuple[Device, ...], tuple[Warning, ...]]:
    found = facts()
    warnings: list[Warning] = []
    if found.memory_free_bytes < 4e9:
        warnings.append(
            Warning(
                f"Only {found.memory_free_bytes / 1e9:.1f} GB of memory are free; the starter needs about 3 GB",
                "Close other programs.",
                "little_memory",
                (("free", f"{found.memory_free_bytes / 1e9:.1f} GB"),),
            )
        )
    note = "float32; bf16 units present" if {"avx512_bf16", "amx_bf16", "bf16"} & set(found.simd) else "float32"
    return (Device("cpu", found.name, found.memory_bytes, found.memory_free_bytes, note),), tuple(warnings)


CARD = Backend("cpu", "Processor", detect)
