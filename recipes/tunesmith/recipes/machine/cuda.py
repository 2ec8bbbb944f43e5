"""NVIDIA GPUs, through NVML: total and free memory and the driver, without a CUDA context."""

from __future__ import annotations

from tunesmith.recipes.machine import Backend, Device, Warning


def detect() -> tuple[tuple[Device, ...], tuple[Warning, ...]]:
    import pynvml

    try:
        pynvml.nvmlInit()
    except (pynvml.NVMLError_LibraryNotFound, pynvml.NVMLError_DriverNotLoaded):
        return (), ()  # no NVIDIA driver: an ordinary machine without such a GPU
    except pynvml.NVMLError as error:
        return (), (Warning(f"The NVIDIA driver does not answer: {error}", "Run `nvidia-smi`; reinstall the driver."),)
    try:
        devices: list[Device] = []
        for index in range(pynvml.nvmlDeviceGetCount()):
            handle = pynvml.nvmlDeviceGetHandleByIndex(index)
            memory = pynvml.nvmlDeviceGetMemoryInfo(handle)
            major, minor = pynvml.nvmlDeviceGetCudaComputeCapability(handle)
            name = pynvml.nvmlDeviceGetName(handle)
            devices.append(Device("cuda", str(name), int(memory.total), int(memory.free), f"sm{major}{minor}"))
        return tuple(devices), ()
    except pynvml.NVMLError as error:
        return (), (Warning(f"An NVIDIA GPU does not answer: {error}", "Run `nvidia-smi`; reinstall the driver."),)
    finally:
        pynvml.nvmlShutdown()


CARD = Backend("cuda", "NVIDIA GPU", detect)
