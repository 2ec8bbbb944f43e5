"""What limits training on NVIDIA GPUs, and the way out: pure, over what NVML and torch's files said."""

from __future__ import annotations

import sys
from collections.abc import Iterator

from tunesmith.recipes.machine import Device, Warning
from tunesmith.recipes.nvidia.nvml import OUR_RUN
from tunesmith.recipes.torch_build import TorchBuild
from tunesmith.recipes.units import bytes_text

# Of a GPU's memory, held by others: from here on a smaller batch no longer makes up for it, and the plan changes.
MUCH_HELD = 0.2
# The oldest capability that any code can be compiled for, by CUDA's major version: CUDA 13 ended Maxwell to Volta.
OLDEST = {12: (5, 0), 13: (7, 5)}


def unusable(device: Device, torch: TorchBuild | None) -> Warning | None:
    """Why a worker cannot train on `device` with this torch; None when it can, or when too little is known to say."""
    if torch is None:
        return None  # the doctor names a missing torch itself
    if torch.cuda is None:
        return Warning(
            f"torch {torch.version} was built without CUDA, so {device.name} is not used",
            f"Remove the environment {sys.prefix}, then run ./install.sh: it takes a torch with CUDA.",
            "torch_without_cuda",
            (("torch", torch.version), ("device", device.name), ("environment", sys.prefix)),
        )
    if device.runtime is not None and _major(device.runtime) < _major(torch.cuda):
        return Warning(
            f"The NVIDIA driver {device.driver or ''} runs CUDA up to {device.runtime}, "
            f"but torch {torch.version} needs CUDA {torch.cuda}",
            f"Update the NVIDIA driver to one for CUDA {_major(torch.cuda)}, or install a torch built for CUDA "
            f"{_major(device.runtime)}.",
            "old_driver",
            (
                ("driver", device.driver or ""),
                ("runtime", device.runtime),
                ("torch", torch.version),
                ("cuda", torch.cuda),
                ("wanted", str(_major(torch.cuda))),
                ("given", str(_major(device.runtime))),
            ),
        )
    oldest = OLDEST.get(_major(torch.cuda))
    if device.capability is not None and oldest is not None and device.capability < oldest:
        return Warning(
            f"torch {torch.version} is built for CUDA {torch.cuda}: no code in it for {device.name} ({device.note})",
            "Install a torch built for CUDA 12.6, the last for this GPU.",
            "old_gpu",
            (("torch", torch.version), ("cuda", torch.cuda), ("device", device.name), ("note", device.note)),
        )
    return None


def limits(device: Device) -> Iterator[Warning]:
    """What makes training on `device` slower or smaller now."""
    held = device.memory_bytes - device.memory_free_bytes
    if device.memory_bytes and held >= MUCH_HELD * device.memory_bytes:
        yield _held(device, held)
    if device.slowed_by_heat:
        at = "" if device.temperature_c is None else f" at {device.temperature_c} °C"
        yield Warning(
            f"{_called(device)} is slowed down by its own heat{at}",
            "Clear its fans and air, or lower its power limit: `sudo nvidia-smi -i "
            f"{device.index} -pl WATTS`; training goes on, slower.",
            "hot",
            (("gpu", _called(device)), ("at", at.removeprefix(" at ")), ("index", str(device.index))),
        )


def _held(device: Device, held: int) -> Warning:
    values = (
        ("free", bytes_text(device.memory_free_bytes)),
        ("total", bytes_text(device.memory_bytes)),
        ("gpu", _called(device)),
    )
    free = f"{bytes_text(device.memory_free_bytes)} of {bytes_text(device.memory_bytes)} are free on {_called(device)}"
    users = [user for user in device.used_by or () if user.memory_bytes]
    if not users:
        return Warning(
            f"Only {free}; who holds {bytes_text(held)} cannot be seen from here",
            "Run `nvidia-smi` outside this container or as administrator, and end what is not needed.",
            "held_by_nobody_seen",
            (*values, ("held", bytes_text(held))),
        )
    named = ", ".join(
        f"{user.name or 'a process of another user or container'} (pid {user.pid}) holds "
        f"{bytes_text(user.memory_bytes or 0)}"
        for user in users[:3]
    )
    who = ", ".join(f"{user.name or '?'} ({user.pid}): {bytes_text(user.memory_bytes or 0)}" for user in users[:3])
    if users[0].name == OUR_RUN:
        way_on = "`tunesmith jobs list` shows it; the memory is free when it ends."
        return Warning(f"Only {free}: {named}", way_on, "held_by_our_run", (*values, ("who", who)))
    way_on = f"End it if you can (`kill {users[0].pid}`), or wait; plans use what is free."
    return Warning(f"Only {free}: {named}", way_on, "held", (*values, ("who", who), ("pid", str(users[0].pid))))


def _called(device: Device) -> str:
    return f"GPU {device.index} ({device.name})"


def _major(version: str) -> int:
    return int(version.partition(".")[0])
