"""The machine with what torch knows of its devices: pure, so that doctor, wizard and tests share it."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from tunesmith.recipes.machine import Device, Machine, Warning
from tunesmith.recipes.measured import Surface, TorchDevice
from tunesmith.recipes.nvidia.meaning import note, training

replace = msgspec.structs.replace
VENDORS = {"cuda": "AMD GPU", "xpu": "Intel GPU", "npu": "Ascend NPU", "mps": "Apple GPU"}
MEANS = {
    "cuda": "Trains by the same code as NVIDIA's GPUs, through ROCm.",
    "xpu": "Found by torch, but not used for training yet.",
    "npu": "Found by torch, but not used for training yet.",
    "mps": "Trains here, in the memory that processor and GPU share.",
}
TRAINS = ("cuda", "mps")  # the kinds that a worker takes


def merge(machine: Machine, surface: Surface, *, live: bool = True) -> Machine:
    """`machine` with the devices of `surface`; not `live`, their free memory is of another time and left out.

    NVML's facts of an NVIDIA GPU stay, in the order in which torch numbers the GPUs. Any other device is known best by
    torch, and one that torch should offer but does not is no longer usable, with the reason as a warning.
    """
    seen = [device if live else replace(device, memory_free_bytes=None) for device in surface.devices]
    nvidia = [device for device in machine.devices if device.kind == "cuda"]
    others = [device for device in machine.devices if device.kind not in ("cuda", "cpu")]
    processor = [device for device in machine.devices if device.kind == "cpu"]
    found = [*_nvidia(nvidia, seen), *_others(others, seen), *processor]
    found, warnings = _refused(found, seen, surface)
    return replace(machine, devices=tuple(found), warnings=(*machine.warnings, *warnings))


def _nvidia(known: Sequence[Device], seen: Sequence[TorchDevice]) -> list[Device]:
    """`known` as torch numbers them; a fact that NVML has none of is torch's, and all are where NVML is missing."""
    shown_ones = [device for device in seen if device.kind == "cuda" and device.architecture is None]
    if not known:
        return [_described(shown) for shown in shown_ones]
    left = list(known)
    found = []
    for shown in shown_ones:
        same = next((device for device in left if _same(device, shown)), None)
        if same is None:
            continue
        left.remove(same)
        if not same.memory_bytes and shown.memory_bytes:
            same = replace(same, memory_bytes=shown.memory_bytes, memory_free_bytes=shown.memory_free_bytes or 0)
        found.append(replace(same, capability=same.capability or shown.capability))
    return [*found, *left]


def _same(device: Device, shown: TorchDevice) -> bool:
    """By UUID, which torch writes without NVIDIA's GPU- before it; by name where one of them has none.

    By name for MIG instances too: CUDA may give the UUID of the whole GPU there.
    """
    if device.uuid and shown.uuid and not device.mig:
        return device.uuid.partition("-")[2] == shown.uuid
    return device.name == shown.name


def _others(known: Sequence[Device], seen: Sequence[TorchDevice]) -> list[Device]:
    """Those of AMD, Intel, Ascend and Apple: torch's own where it has some of a kind, else as `known`."""
    shown = [device for device in seen if device.kind != "cuda" or device.architecture is not None]
    kinds = {device.kind for device in shown}
    found = []
    for device in map(_described, shown):
        apple = next((other for other in known if other.kind == device.kind == "mps"), None)
        if apple and not device.memory_free_bytes:  # what is free of the whole memory is known without torch
            free = min(apple.memory_free_bytes, device.memory_bytes or apple.memory_free_bytes)
            device = replace(device, memory_bytes=device.memory_bytes or apple.memory_bytes, memory_free_bytes=free)
        found.append(device)
    return [*found, *(device for device in known if device.kind not in kinds)]


def _described(shown: TorchDevice) -> Device:
    return Device(
        kind=shown.kind,
        name=shown.name or VENDORS[shown.kind],
        memory_bytes=shown.memory_bytes or 0,
        memory_free_bytes=shown.memory_free_bytes or 0,
        note={"mps": "unified memory"}.get(shown.kind, shown.architecture or note(shown.capability)),
        usable=shown.kind in TRAINS,
        means=training(shown.capability) or MEANS[shown.kind],
        uuid=shown.uuid,
        capability=shown.capability,
        bf16=shown.bf16,
    )


def _refused(
    found: list[Device], seen: Sequence[TorchDevice], surface: Surface
) -> tuple[list[Device], tuple[Warning, ...]]:
    """Devices that a worker would take but torch does not offer, and why."""
    offered = {device.kind for device in seen}
    lost = [device for device in found if device.usable and device.kind != "cpu" and device.kind not in offered]
    warnings = tuple(
        Warning(
            f"torch does not use {device.name}: {surface.refused.get(device.kind, 'it says that there is none')}",
            "Put right what torch says, then run `tunesmith doctor --refresh`.",
            "torch_refuses",
            (("device", device.name), ("why", surface.refused.get(device.kind, ""))),
        )
        for device in lost
    )
    return [replace(device, usable=False) if device in lost else device for device in found], warnings
