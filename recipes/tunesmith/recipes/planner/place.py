"""Place: where a run would be: the device that trains, and what is free there and beside it."""

from __future__ import annotations

import msgspec

from tunesmith.recipes.machine import Device, Machine
from tunesmith.recipes.measured import Measured

MIB = 1 << 20
# What a worker's process takes with its libraries loaded and no model in it. Measured: python 3.11, torch 2.13 for
# CPUs, transformers 5.23, trl 1.16; a CUDA build's libraries are larger (driver, cuBLAS, cuDNN).
RUNTIME_BYTES = {"cpu": 560 * MIB, "cuda": 2300 * MIB, "mps": 800 * MIB}
# What a context takes of the GPU itself, before the first tensor.
CONTEXT_BYTES = {"cuda": 480 * MIB}
TRAINS = ("cuda", "mps", "cpu")


class Place(msgspec.Struct, frozen=True, kw_only=True):
    """`device` is torch's name of what trains, `dtype` what it computes with unless a recipe says otherwise.

    Memory in bytes: `free_bytes` of the device, `host_free_bytes` of the machine (on a CPU, and where memory is shared,
    the same). `flops` by dtype and `memory_bandwidth`, `disk_write` are measured or the maker's, a second; None where
    nobody knows. `measured` says whether they were measured here.
    """

    device: str
    name: str
    dtype: str
    memory_bytes: int
    free_bytes: int
    host_memory_bytes: int
    host_free_bytes: int
    disk_free_bytes: int
    cores: int
    runtime_bytes: int
    context_bytes: int = 0
    capability: tuple[int, int] | None = None
    flops: dict[str, float] = {}
    memory_bandwidth: float | None = None
    disk_write: float | None = None
    measured: bool = False

    @property
    def shared(self) -> bool:
        """Whether the device and the machine share one memory."""
        return self.device in ("cpu", "mps")

    @property
    def used_by_others(self) -> int:
        """Bytes of the device that are not free; 0 where these are hardly any."""
        used = self.memory_bytes - self.free_bytes
        return used if used > 0.02 * self.memory_bytes else 0


def place_of(machine: Machine, measured: Measured | None = None, device: str = "auto") -> Place:
    """The place of `machine` where a recipe with training.device `device` would run, with what is free now.

    `measured` are the rates that were measured there. A device the machine lacks is taken for its CPU: the worker
    refuses such a recipe itself.
    """
    chosen = _chosen(machine, device)
    rates: dict[str, float] = {}
    copy = disk = None
    if measured is not None and measured.device.split(":")[0] == chosen.kind:
        rates = {dtype: rate.per_second for dtype, rate in measured.products.items() if rate.per_second}
        copy, disk = measured.memory_copy.per_second, measured.disk_write.per_second
    return Place(
        device=chosen.kind,
        name=chosen.name,
        dtype="bfloat16" if chosen.kind == "cuda" and chosen.bf16 else "float32",
        memory_bytes=chosen.memory_bytes or machine.memory_bytes,
        free_bytes=chosen.memory_free_bytes if chosen.memory_bytes else machine.memory_free_bytes,
        host_memory_bytes=machine.memory_bytes,
        host_free_bytes=machine.memory_free_bytes,
        disk_free_bytes=machine.disk_free_bytes,
        cores=machine.cores,
        runtime_bytes=RUNTIME_BYTES.get(chosen.kind, RUNTIME_BYTES["cuda"]),
        context_bytes=CONTEXT_BYTES.get(chosen.kind, 0),
        capability=chosen.capability,
        flops=rates,
        memory_bandwidth=copy,
        disk_write=disk,
        measured=bool(rates),
    )


def _chosen(machine: Machine, device: str) -> Device:
    if device == "auto":
        return machine.device
    of_kind = [found for found in machine.devices if found.kind == device and found.usable]
    return of_kind[0] if of_kind else machine.devices[-1]
