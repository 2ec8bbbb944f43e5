"""What this machine can do, found without loading torch. One file a backend."""

from __future__ import annotations

import platform
import shutil
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path

import msgspec

from tunesmith.recipes import catalog


class Holder(msgspec.Struct, frozen=True):
    """A process that holds a device's memory; `name` is None when it is another user's or container's."""

    pid: int
    name: str | None
    memory_bytes: int | None


class Device(msgspec.Struct, frozen=True):
    """`kind` is torch's device name (cuda for NVIDIA and AMD, mps, xpu, npu, cpu); `usable`: a worker can train on it.

    Memory is in bytes, of the device itself, 0 where only an engine knows. `means` is a sentence on what it is good
    for. What follows it is None where it does not apply or could not be found: `index` is the vendor's own number,
    `capability` the CUDA compute capability, `runtime` the newest CUDA the driver runs, `mig` whether the GPU is
    divided (then the device is an instance), `bf16` whether there are units for it.
    """

    kind: str
    name: str
    memory_bytes: int
    memory_free_bytes: int
    note: str = ""
    usable: bool = True
    means: str = ""
    index: int | None = None
    uuid: str | None = None
    capability: tuple[int, int] | None = None
    bf16: bool | None = None
    driver: str | None = None
    runtime: str | None = None
    mig: bool | None = None
    temperature_c: int | None = None
    slowed_by_heat: bool | None = None
    power_watts: float | None = None
    power_limit_watts: float | None = None
    used_by: tuple[Holder, ...] | None = None


class Warning(msgspec.Struct, frozen=True):
    """Something that limits training, and what a person can do about it.

    `code` and `values`, pairs of name and text, say the same to whoever speaks another language.
    """

    text: str
    fix: str
    code: str = ""
    values: tuple[tuple[str, str], ...] = ()


class Backend(msgspec.Struct, frozen=True):
    """`detect()` returns the devices it finds and what is wrong with them."""

    key: str
    title: str
    detect: Callable[[], tuple[tuple[Device, ...], tuple[Warning, ...]]]


class Machine(msgspec.Struct, frozen=True):
    """`cores` and memory are what this process is really granted (affinity, cgroup), not what the host has.

    `host_cores` and `host_memory_bytes` are the host's, None where all of it is granted.
    """

    system: str
    cpu_name: str
    cores: int
    simd: tuple[str, ...]
    memory_bytes: int
    memory_free_bytes: int
    devices: tuple[Device, ...]
    disk_free_bytes: int
    warnings: tuple[Warning, ...] = ()
    host_cores: int | None = None
    host_memory_bytes: int | None = None

    @property
    def device(self) -> Device:
        """The one that trains by default: the first accelerator that a worker can use, else the CPU."""
        return next((d for d in self.devices if d.usable and d.kind in ("cuda", "mps")), self.devices[-1])


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
            Warning(
                f"Only {disk_free / 1e9:.1f} GB of disk are free",
                "Free space, or set TUNESMITH_HOME elsewhere.",
                "little_disk",
                (("free", f"{disk_free / 1e9:.1f} GB"),),
            )
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
        host_cores=facts.host_cores,
        host_memory_bytes=facts.host_memory_bytes,
    )
