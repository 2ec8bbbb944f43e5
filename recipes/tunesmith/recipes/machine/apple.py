"""Apple GPUs with unified memory (torch's mps device)."""

from __future__ import annotations

import platform

import psutil

from tunesmith.recipes.machine import Backend, Device, Warning

USABLE_SHARE = 0.75  # of unified memory, the system's default limit for the GPU (PLANNER.md)


def detect() -> tuple[tuple[Device, ...], tuple[Warning, ...]]:
    if platform.system() != "Darwin" or platform.machine() != "arm64":
        return (), ()
    memory = psutil.virtual_memory()
    total = int(memory.total * USABLE_SHARE)
    return (Device("mps", "Apple GPU", total, min(total, memory.available), "unified memory"),), ()


CARD = Backend("apple", "Apple GPU", detect)
