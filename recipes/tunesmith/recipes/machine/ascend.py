"""Huawei Ascend NPUs: found by their device files; memory is known to torch_npu only, in a worker."""

from __future__ import annotations

from pathlib import Path

from tunesmith.recipes.machine import Backend, Device, Warning


def detect() -> tuple[tuple[Device, ...], tuple[Warning, ...]]:
    names = sorted(path.name for path in Path("/dev").glob("davinci[0-9]*"))
    devices = tuple(Device("npu", f"Ascend NPU {name.removeprefix('davinci')}", 0, 0, usable=False) for name in names)
    fix = "Install CANN and torch_npu; until then training runs on the CPU."
    return devices, (Warning("Ascend NPUs are found but not yet used for training", fix, "ascend"),) if devices else ()


CARD = Backend("ascend", "Ascend NPU", detect)
