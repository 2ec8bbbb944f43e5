"""`python torch_surface.py KIND`: what the measuring process sees through a torch that has only the surface of KIND.

The doubles answer what torch 2.13 (and torch_npu 2.x) answer to the questions we ask; nothing else is there, so that a
question to a surface that such a torch does not have is an error.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from importlib.machinery import ModuleSpec
from types import ModuleType, SimpleNamespace

import msgspec


def bare() -> ModuleType:
    """A torch for processors: the modules are there and have no devices."""
    torch = ModuleType("torch")
    torch.version = SimpleNamespace(cuda=None, hip=None)
    torch.cuda = SimpleNamespace(is_available=lambda: False)
    torch.xpu = SimpleNamespace(is_available=lambda: False)
    torch.backends = SimpleNamespace(mps=SimpleNamespace(is_available=lambda: False))
    return torch


def cuda() -> ModuleType:
    torch = bare()
    torch.version.cuda = "12.6"
    facts = SimpleNamespace(
        name="NVIDIA GB10", total_memory=128_000_000_000, major=12, minor=1, uuid="0b000000-1111-2222-3333-444444444444"
    )
    torch.cuda = SimpleNamespace(
        is_available=lambda: True,
        device_count=lambda: 1,
        get_device_properties=lambda number: facts,
        mem_get_info=lambda number: (100_000_000_000, 128_000_000_000),
        is_bf16_supported=lambda including_emulation=True: True,
    )
    return torch


def old_driver() -> ModuleType:
    """A torch for CUDA whose driver refuses it."""
    torch = bare()
    torch.version.cuda = "13.0"

    def refuse() -> None:
        raise RuntimeError("The NVIDIA driver on your system is too old (found version 12040).\nPlease update it.")

    torch.cuda = SimpleNamespace(is_available=lambda: False, init=refuse)
    return torch


def hip() -> ModuleType:
    """Two AMD GPUs, of which the second does not tell how much of its memory is free."""
    torch = bare()
    torch.version.hip = "6.4.43482"
    names = ("AMD Instinct MI300X", "AMD Radeon RX 7900 XTX")
    archs = ("gfx942:sramecc+:xnack-", "gfx1100")

    def memory(number: int) -> tuple[int, int]:
        if number:
            raise RuntimeError("HIP error: operation not supported")
        return 190_000_000_000, 206_000_000_000

    torch.cuda = SimpleNamespace(
        is_available=lambda: True,
        device_count=lambda: 2,
        get_device_properties=lambda number: SimpleNamespace(
            name=names[number], total_memory=(206_000_000_000, 25_700_000_000)[number], major=9, minor=4,
            gcnArchName=archs[number], uuid=f"uuid-{number}",
        ),
        mem_get_info=memory,
        is_bf16_supported=lambda including_emulation=True: True,
    )  # fmt: skip
    return torch


def xpu() -> ModuleType:
    torch = bare()
    torch.xpu = SimpleNamespace(
        is_available=lambda: True,
        device_count=lambda: 1,
        get_device_properties=lambda number: SimpleNamespace(name="Intel(R) Arc(TM) B580", total_memory=12_200_000_000),
        mem_get_info=lambda number: (11_900_000_000, 12_200_000_000),
        is_bf16_supported=lambda including_emulation=True: True,
    )
    return torch


def npu() -> ModuleType:
    """`torch.npu` comes with importing torch_npu."""
    torch = bare()
    plugin = ModuleType("torch_npu")
    plugin.__spec__ = ModuleSpec("torch_npu", None)
    sys.modules["torch_npu"] = plugin
    torch.npu = SimpleNamespace(
        is_available=lambda: True,
        device_count=lambda: 2,
        get_device_name=lambda number: "Ascend910B3",
        mem_get_info=lambda number: (64_000_000_000 - number, 65_000_000_000),
        is_bf16_supported=lambda: True,
    )
    return torch


def mps(bf16: bool = True) -> ModuleType:
    torch = bare()
    torch.bfloat16 = "bfloat16"
    torch.backends.mps.is_available = lambda: True
    torch.mps = SimpleNamespace(
        recommended_max_memory=lambda: 27_000_000_000, driver_allocated_memory=lambda: 400_000_000
    )

    class Ones:
        """As many as a product of two 8 x 8 matrices of ones sums up to, 8 * 8 * 8."""

        def __matmul__(self, other: object) -> Ones:
            return self

        def sum(self) -> float:
            return 512.0

    def ones(*shape: int, dtype: str, device: str) -> Ones:
        if not bf16:
            raise TypeError("BFloat16 is not supported on MPS")
        return Ones()

    torch.ones = ones
    return torch


KINDS: dict[str, Callable[[], ModuleType]] = {
    "bare": bare, "cuda": cuda, "old_driver": old_driver, "hip": hip, "xpu": xpu, "npu": npu, "mps": mps,
    "mps_old": lambda: mps(bf16=False),
}  # fmt: skip


if __name__ == "__main__":
    sys.modules["torch"] = KINDS[sys.argv[1]]()

    from tunesmith.daemon.worker.machine import surface

    print(msgspec.json.encode(surface.look()).decode())
