"""The devices torch offers: NVIDIA and AMD GPUs (cuda), Intel GPUs (xpu), Ascend NPUs (npu), Apple GPUs (mps)."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from typing import Any, TypeVar

from tunesmith.daemon.worker.machine.libraries import said
from tunesmith.recipes.measured import Surface, TorchDevice

Answer = TypeVar("Answer")


def look() -> Surface:
    """Every device of every kind; a kind that fails is told with what it said, and the others are there."""
    import torch

    found: list[TorchDevice] = []
    refused: dict[str, str] = {}
    for kind, devices in (("cuda", cuda), ("xpu", xpu), ("npu", npu), ("mps", mps)):
        try:
            found += devices(torch)
        except Exception as error:  # noqa: BLE001 - drivers fail in any way, and each way is an answer
            refused[kind] = said(error)
    return Surface(tuple(found), refused)


def asked(question: Callable[..., Answer], *arguments: Any) -> Answer | None:
    """The answer, or None where this torch or device has none: one fact is missing, not the device."""
    try:
        return question(*arguments)
    except Exception:  # noqa: BLE001 - as above
        return None


def cuda(torch: Any) -> Iterator[TorchDevice]:
    if not torch.cuda.is_available():
        if torch.version.cuda or torch.version.hip:
            torch.cuda.init()  # raises with the reason
        return
    for number in range(torch.cuda.device_count()):
        facts = torch.cuda.get_device_properties(number)
        free, total = asked(torch.cuda.mem_get_info, number) or (None, facts.total_memory)
        amd = bool(torch.version.hip)
        yield TorchDevice(
            "cuda",
            facts.name,
            total,
            free,
            uuid=str(facts.uuid) if hasattr(facts, "uuid") else None,
            capability=None if amd else (facts.major, facts.minor),
            architecture=facts.gcnArchName.partition(":")[0] if amd else None,
            bf16=asked(torch.cuda.is_bf16_supported, False),
        )


def xpu(torch: Any) -> Iterator[TorchDevice]:
    if not hasattr(torch, "xpu") or not torch.xpu.is_available():
        return
    for number in range(torch.xpu.device_count()):
        facts = torch.xpu.get_device_properties(number)
        free, total = asked(torch.xpu.mem_get_info, number) or (None, facts.total_memory)
        bf16 = asked(torch.xpu.is_bf16_supported, False)
        yield TorchDevice("xpu", facts.name, total, free, bf16=bf16)


def npu(torch: Any) -> Iterator[TorchDevice]:
    """`torch.npu` is there once torch_npu was imported."""
    if find_spec("torch_npu") is None:
        return
    importlib.import_module("torch_npu")

    if not torch.npu.is_available():
        return
    for number in range(torch.npu.device_count()):
        name = asked(torch.npu.get_device_name, number) or f"Ascend NPU {number}"
        free, total = asked(torch.npu.mem_get_info, number) or (None, None)
        yield TorchDevice("npu", name, total, free, bf16=asked(torch.npu.is_bf16_supported))


def mps(torch: Any) -> Iterator[TorchDevice]:
    """One GPU that shares the memory of the whole; what it may use of it is what Metal recommends."""
    if not torch.backends.mps.is_available():
        return
    total = asked(torch.mps.recommended_max_memory)
    taken = asked(torch.mps.driver_allocated_memory)
    yield TorchDevice(
        "mps",
        "Apple GPU",
        total,
        None if total is None or taken is None else total - taken,
        bf16=asked(_bf16_product, torch),
    )


def _bf16_product(torch: Any) -> bool:
    """macOS before 14 has no bfloat16 at all; how fast it is where it is, the rates say."""
    ones = torch.ones(8, 8, dtype=torch.bfloat16, device="mps")
    return float((ones @ ones).sum()) == 512
