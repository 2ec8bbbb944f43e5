"""What only the engine can tell of this machine: its devices, how fast it computes, which libraries really work."""

from __future__ import annotations

import msgspec

DTYPES = ("float32", "bfloat16", "float16")
LIBRARIES = ("bitsandbytes", "flash_attn", "liger_kernel", "torch.compile")


class TorchDevice(msgspec.Struct, frozen=True):
    """A device as torch shows it; None for what torch could not say. Memory in bytes.

    `architecture` is AMD's name (gfx942), `capability` NVIDIA's.
    """

    kind: str
    name: str
    memory_bytes: int | None = None
    memory_free_bytes: int | None = None
    uuid: str | None = None
    capability: tuple[int, int] | None = None
    architecture: str | None = None
    bf16: bool | None = None


class Surface(msgspec.Struct, frozen=True, tag="surface"):
    """The devices torch offers, and by kind why it offers none of those it was built for."""

    devices: tuple[TorchDevice, ...] = ()
    refused: dict[str, str] = {}


class Rate(msgspec.Struct, frozen=True):
    """Floating-point operations or bytes a second; None with the reason where it could not be measured."""

    per_second: float | None
    why: str = ""


class Tried(msgspec.Struct, frozen=True):
    """Whether a real small step went right, why not, and how long it took; `missing`: there was nothing to try."""

    works: bool
    why: str
    seconds: float
    missing: bool = False


class Measured(msgspec.Struct, frozen=True, tag="measured"):
    """`device` is where it was measured: the one that trains. `products` are by dtype, `works` by library."""

    torch: str
    device: str
    surface: Surface
    products: dict[str, Rate]
    memory_copy: Rate
    disk_write: Rate
    works: dict[str, Tried]
    seconds: float


class Doing(msgspec.Struct, frozen=True, tag="doing"):
    """What the measuring process begins now: to be shown, and to be left out if it ends the process."""

    step: str
