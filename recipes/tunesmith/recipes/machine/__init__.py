"""What this machine can do, found without loading torch. One file a backend."""

from __future__ import annotations

import platform
import shutil
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path

import msgspec

from tunesmith.recipes import catalog


class Device(msgspec.Struct, frozen=True):
    """`kind` is torch's device name (cuda, mps, npu, cpu); memory in bytes, of the device itself."""

    kind: str
    name: str
    memory_bytes: int
    memory_free_bytes: int
    note: str = ""


class Warning(msgspec.Struct, frozen=True):
    """Something that limits training, and what a person can do about it."""

    text: str
    fix: str


class Backend(msgspec.Struct, frozen=True):
    """`detect()` returns the devices it finds and what is wrong with them."""

    key: str
    title: str
    detect: Callable[[], tuple[tuple[Device, ...], tuple[Warning, ...]]]


class Machine(msgspec.Struct, frozen=True):
    """`cores` and memory are what this process is really granted (affinity, cgroup), not what the host has."""

    system: str
    cpu_name: str
    cores: int
    simd: tuple[str, ...]
    memory_bytes: int
    memory_free_bytes: int
    devices: tuple[Device, ...]
    disk_free_bytes: int
    warnings: tuple[Warning, ...] = ()

    @property
    def device(self) -> Device:
        """The one that trains by default: the first accelerator that a worker can use, else the CPU."""
        return next((d for d in self.devices if d.kind in ("cuda", "mps")), self.devices[-1])


@cache
def cards() -> Mapping[str, Backend]:
    return catalog.load(__name__, Backend)


def detect(folder: Path | None = None) -> Machine:
    """The machine as it is now; `folder` is where runs will be written (for free disk), the home folder by default."""
    from tunesmith.recipes.machine import cpu

    devices: list[Device] = []
    warnings: list[Warning] = []
    for backend in cards().values():
        found, wrong = backend.detect()
        devices += found
        warnings += wrong
    devices.sort(key=lambda device: device.kind == "cpu")
    facts = cpu.facts()
    place = folder or Path.home()
    while not place.exists():
        place = place.parent
    disk_free = shutil.disk_usage(place).free
    if disk_free < 5e9:
        warnings.append(
            Warning(f"Only {disk_free / 1e9:.1f} GB of disk are free", "Free space, or set TUNESMITH_HOME elsewhere.")
        )
    return Machine(
        system=f"{platform.system()} {platform.release()} {platform.machine()}",
        cpu_name=facts.name,
        cores=facts.cores,
        simd=facts.simd,
        memory_bytes=facts.memory_bytes,
        memory_free_bytes=facts.memory_free_bytes,
        devices=tuple(devices),
        disk_free_bytes=disk_free,
        warnings=tuple(warnings),
    )
