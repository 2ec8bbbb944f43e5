"""What NVML's errors and CUDA's settings mean to a person: each with the command that helps."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tunesmith.recipes.machine import Device, Warning
from tunesmith.recipes.nvidia.visible import Shown

VISIBLE = "CUDA_VISIBLE_DEVICES"


def without_driver(error: Any, slot: str) -> tuple[Warning, ...]:
    """Why NVML did not start; `slot` is the PCI address of an NVIDIA GPU, empty where none is seen.

    A machine with neither GPU nor library is an ordinary one: nothing to complain of.
    """
    import pynvml

    at = f" (GPU at PCI {slot})" if slot else ""
    if isinstance(error, pynvml.NVMLError_LibraryNotFound):
        if not slot:
            return ()
        return (
            Warning(
                f"No driver is installed for the NVIDIA GPU of this machine (PCI {slot})",
                "Install NVIDIA's driver (Ubuntu: `sudo ubuntu-drivers install`); a container wants `--gpus all`.",
                "no_driver",
                (("slot", slot),),
            ),
        )
    if isinstance(error, pynvml.NVMLError_DriverNotLoaded):
        return (
            Warning(
                f"The NVIDIA driver is installed but not loaded{at}",
                "`sudo modprobe nvidia`; if that fails, as after a kernel update, reinstall the driver and restart.",
                "driver_not_loaded",
                (("at", slot),),
            ),
        )
    if isinstance(error, pynvml.NVMLError_LibRmVersionMismatch):
        return (
            Warning(
                "The NVIDIA driver was updated while the old one still runs", "Restart the machine.", "driver_updated"
            ),
        )
    return (silent(error),)


def silent(error: Any) -> Warning:
    way_on = "Run `nvidia-smi`; reinstall the driver."
    return Warning(f"The NVIDIA driver does not answer: {error}", way_on, "driver_silent", (("error", str(error)),))


def gone(index: int, error: Any) -> Warning:
    """Why GPU `index` cannot be used while the others can."""
    import pynvml

    gpu = (("index", str(index)),)
    if isinstance(error, pynvml.NVMLError_GpuIsLost):
        return Warning(
            f"GPU {index} has fallen off the bus: the driver reaches it no more",
            "Restart the machine. If it happens again, see to its power plugs and heat, and `sudo dmesg | grep Xid`.",
            "gpu_lost",
            gpu,
        )
    if isinstance(error, pynvml.NVMLError_ResetRequired):
        way_on = f"`sudo nvidia-smi -i {index} --gpu-reset`"
        return Warning(f"GPU {index} must be reset before it can be used", way_on, "gpu_reset", gpu)
    if isinstance(error, pynvml.NVMLError_NoPermission):
        way_on = "Join the group of /dev/nvidia*, then log in anew."
        return Warning(f"GPU {index} may not be used by you", way_on, "gpu_forbidden", gpu)
    way_on = "Run `nvidia-smi`; restart the machine."
    return Warning(f"GPU {index} does not answer: {error}", way_on, "gpu_silent", (*gpu, ("error", str(error))))


def hidden(setting: str, shown: Shown, count: int) -> Warning:
    """`setting` of CUDA_VISIBLE_DEVICES shows fewer than the `count` devices that are here."""
    seen = f"{len(shown.places)} of {count}" if shown.places else f"none of {count}"
    why = f", for {shown.wrong}" if shown.wrong else ""
    return Warning(
        f"{VISIBLE} is {setting!r}: CUDA shows {seen} devices{why}",
        f"`unset {VISIBLE}` to use them all; `nvidia-smi -L` lists numbers and UUIDs.",
        "gpus_hidden",
        (("setting", setting), ("shown", str(len(shown.places))), ("count", str(count))),
    )


def no_instance(index: int) -> Warning:
    return Warning(
        f"MIG is on for GPU {index}, but it has no instance, so CUDA shows nothing of it",
        f"Turn MIG off (`sudo nvidia-smi -i {index} -mig 0`), or make an instance with all of it "
        f"(`sudo nvidia-smi mig -i {index} -cgi 0 -C`).",
        "mig_without_instance",
        (("index", str(index)),),
    )


def one_instance_a_process(devices: Sequence[Device]) -> tuple[Warning, ...]:
    """CUDA shows a process the first of its MIG instances, however many there are (NVIDIA's MIG guide)."""
    parts = [device for device in devices if device.mig]
    if len(parts) < 2:
        return ()
    return (
        Warning(
            f"CUDA gives a process one MIG instance: training uses the first of {len(parts)}, {parts[0].name}",
            f"Set {VISIBLE} to another UUID of `nvidia-smi -L`, or turn MIG off: "
            f"`sudo nvidia-smi -i {parts[0].index} -mig 0`.",
            "one_instance",
            (("count", str(len(parts))), ("name", parts[0].name), ("index", str(parts[0].index))),
        ),
    )
