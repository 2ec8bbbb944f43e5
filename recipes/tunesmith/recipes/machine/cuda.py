"""NVIDIA GPUs, through NVML: memory and who holds it, driver, heat, power and MIG, without a CUDA context."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from tunesmith.recipes import torch_build
from tunesmith.recipes.machine import Backend, Device, Warning

if TYPE_CHECKING:
    from tunesmith.recipes.nvidia.nvml import Driver
    from tunesmith.recipes.nvidia.visible import Present

PCI = Path("/sys/bus/pci/devices")
NVIDIA = "0x10de"  # its PCI vendor number
DISPLAY = "0x03"  # how the PCI class of a GPU begins: display controllers, with and without a plug
VISIBLE = "CUDA_VISIBLE_DEVICES"


def detect() -> tuple[tuple[Device, ...], tuple[Warning, ...]]:
    import pynvml

    from tunesmith.recipes.nvidia import faults

    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError as error:
        return (), faults.without_driver(error, _slot())
    try:
        return _devices(os.environ)
    except pynvml.NVMLError as error:
        return (), (faults.silent(error),)
    finally:
        pynvml.nvmlShutdown()


def _slot() -> str:
    """PCI address of the first NVIDIA GPU, empty where there is none or the system does not say."""
    for folder in sorted(PCI.glob("*")):
        try:
            vendor, kind = (folder / "vendor").read_text().strip(), (folder / "class").read_text().strip()
        except OSError:  # unplugged meanwhile
            continue
        if vendor == NVIDIA and kind.startswith(DISPLAY):
            return folder.name
    return ""


def _devices(environment: Mapping[str, str]) -> tuple[tuple[Device, ...], tuple[Warning, ...]]:
    import pynvml

    from tunesmith.recipes.nvidia import faults, limits, nvml, visible

    driver = nvml.driver()
    present: list[Present] = []
    found: list[Device] = []
    warnings: list[Warning] = []
    for index in range(pynvml.nvmlDeviceGetCount()):
        try:
            for place, device in _of_gpu(index, driver, warnings):
                present.append(place)
                found.append(device)
        except pynvml.NVMLError as error:  # the others are there all the same
            warnings.append(faults.gone(index, error))
    setting = environment.get(VISIBLE)
    shown = visible.shown(present, setting)
    if setting is not None and found and (shown.wrong or not shown.places):
        warnings.append(faults.hidden(setting, shown, len(found)))
    devices = [found[place] for place in shown.places]
    warnings += faults.one_instance_a_process(devices)
    torch = torch_build.installed()
    reasons = [limits.unusable(device, torch) for device in devices]
    warnings += dict.fromkeys(reason for reason in reasons if reason)  # of two equal cards one warning is enough
    warnings += (warning for device in devices for warning in limits.limits(device))
    usable = (msgspec.structs.replace(d, usable=reason is None) for d, reason in zip(devices, reasons, strict=True))
    return tuple(usable), tuple(warnings)


def _of_gpu(index: int, driver: Driver, warnings: list[Warning]) -> list[tuple[Present, Device]]:
    """GPU `index`, or its instances when it is divided: CUDA then shows those and not the GPU."""
    import pynvml

    from tunesmith.recipes.nvidia import faults, nvml

    gpu = pynvml.nvmlDeviceGetHandleByIndex(index)
    mig = nvml.divided(gpu)
    if not mig:
        return [nvml.device(index, gpu, mig, None, driver)]
    parts = [nvml.device(index, gpu, mig, instance, driver) for instance in nvml.instances(gpu)]
    if not parts:
        warnings.append(faults.no_instance(index))
    return parts


CARD = Backend("cuda", "NVIDIA GPU", detect)
