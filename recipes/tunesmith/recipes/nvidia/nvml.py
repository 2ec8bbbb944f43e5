"""What NVML says about one GPU or MIG instance; a question that a card cannot answer costs that fact alone."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import msgspec
import psutil

from tunesmith.recipes.machine import Device, Holder
from tunesmith.recipes.nvidia.meaning import has_bf16, note, training
from tunesmith.recipes.nvidia.visible import Present

WORKER = "tunesmith.daemon.worker"  # the module that every run is a process of
OUR_RUN = "a run of Tunesmith"


class Driver(msgspec.Struct, frozen=True):
    """`version` as in 550.54.15; `cuda` the newest CUDA it runs, as in 12.4."""

    version: str | None
    cuda: str | None


def driver() -> Driver:
    import pynvml

    cuda = asked(pynvml.nvmlSystemGetCudaDriverVersion_v2)  # 12040 for 12.4
    return Driver(asked(pynvml.nvmlSystemGetDriverVersion), f"{cuda // 1000}.{cuda % 1000 // 10}" if cuda else None)


def asked(question: Callable[..., Any], *arguments: Any) -> Any:
    """The answer, or None where card, driver or permissions have none. Raises NVMLError when the card is gone."""
    import pynvml

    try:
        return question(*arguments)
    except (pynvml.NVMLError_GpuIsLost, pynvml.NVMLError_ResetRequired):
        raise
    except pynvml.NVMLError:
        return None


def divided(handle: Any) -> bool | None:
    """Whether MIG is on; None on a card without MIG."""
    import pynvml

    modes = asked(pynvml.nvmlDeviceGetMigMode, handle)
    return None if modes is None else modes[0] == pynvml.NVML_DEVICE_MIG_ENABLE


def instances(handle: Any) -> Iterator[Any]:
    """Handles of the MIG instances of a divided GPU; their numbers may have gaps."""
    import pynvml

    for number in range(asked(pynvml.nvmlDeviceGetMaxMigDeviceCount, handle) or 0):
        instance = asked(pynvml.nvmlDeviceGetMigDeviceHandleByIndex, handle, number)
        if instance is not None:
            yield instance


def device(index: int, gpu: Any, mig: bool | None, instance: Any, found: Driver) -> tuple[Present, Device]:
    """GPU `index`, or its MIG `instance` where that is not None. Raises NVMLError when the GPU is gone.

    Name, memory, UUID and users are the instance's own; heat, power and capability are known of the whole GPU only.
    """
    import pynvml

    own = gpu if instance is None else instance
    memory = asked(pynvml.nvmlDeviceGetMemoryInfo, own)
    capability = asked(pynvml.nvmlDeviceGetCudaComputeCapability, gpu)
    power, limit = asked(pynvml.nvmlDeviceGetPowerUsage, gpu), asked(pynvml.nvmlDeviceGetEnforcedPowerLimit, gpu)
    temperature = asked(pynvml.nvmlDeviceGetTemperature, gpu, pynvml.NVML_TEMPERATURE_GPU)
    uuid = asked(pynvml.nvmlDeviceGetUUID, own)
    described = Device(
        kind="cuda",
        name=asked(pynvml.nvmlDeviceGetName, own) or "NVIDIA GPU",
        memory_bytes=int(memory.total) if memory else 0,
        memory_free_bytes=int(memory.free) if memory else 0,
        note=note(capability),
        means=training(capability),
        index=index,
        uuid=uuid,
        capability=capability,
        bf16=has_bf16(capability),
        driver=found.version,
        runtime=found.cuda,
        mig=mig,
        temperature_c=temperature,
        slowed_by_heat=_slowed_by_heat(gpu, temperature),
        power_watts=None if power is None else power / 1000,  # NVML counts milliwatts
        power_limit_watts=None if limit is None else limit / 1000,
        used_by=_users(own),
    )
    gpu_uuid = uuid if instance is None else asked(pynvml.nvmlDeviceGetUUID, gpu)
    return Present(index, gpu_uuid, uuid), described


def _slowed_by_heat(gpu: Any, temperature: int | None) -> bool | None:
    """As the driver says; where it does not, whether the GPU is as hot as where slowing begins."""
    import pynvml

    reasons = asked(pynvml.nvmlDeviceGetCurrentClocksEventReasons, gpu)
    if reasons is None:  # the name before driver 535
        reasons = asked(pynvml.nvmlDeviceGetCurrentClocksThrottleReasons, gpu)
    if reasons is not None:
        heat = pynvml.nvmlClocksEventReasonSwThermalSlowdown | pynvml.nvmlClocksEventReasonHwThermalSlowdown
        return bool(reasons & heat)
    begins = asked(pynvml.nvmlDeviceGetTemperatureThreshold, gpu, pynvml.NVML_TEMPERATURE_THRESHOLD_SLOWDOWN)
    return None if begins is None or temperature is None else temperature >= begins


def _users(own: Any) -> tuple[Holder, ...] | None:
    """Processes that compute or draw, the greatest first; None when the driver does not say.

    By the numbered functions: pynvml's plain ones raise something that is no NVMLError on drivers before 510.
    """
    import pynvml

    lists = []
    for kind in ("Compute", "Graphics"):
        found = asked(getattr(pynvml, f"nvmlDeviceGet{kind}RunningProcesses_v3"), own)
        if found is None:
            found = asked(getattr(pynvml, f"nvmlDeviceGet{kind}RunningProcesses_v2"), own)
        lists.append(found)
    if all(found is None for found in lists):
        return None
    # A process that does both is in both lists, each time with all of its memory.
    bytes_of = {process.pid: process.usedGpuMemory for found in lists for process in found or ()}
    users = (Holder(pid, _name(pid), held) for pid, held in bytes_of.items())
    return tuple(sorted(users, key=lambda user: user.memory_bytes or 0, reverse=True))


def _name(pid: int) -> str | None:
    """Only what can be printed: a program may give itself any name, escape codes too."""
    try:
        process = psutil.Process(pid)
        with suppress(psutil.Error):  # another user's command line may be hidden where its name is not
            if WORKER in process.cmdline():
                return OUR_RUN
        return "".join(filter(str.isprintable, process.name())) or None
    except psutil.Error:  # ended meanwhile, or in a container whose processes we do not see
        return None
