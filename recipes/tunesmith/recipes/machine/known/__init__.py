"""Machines one does not sit at: GPUs, Macs and NPUs by key, with what their makers say of them. Facts only.

Rates are dense, without sparsity, of matrix products that add up in float32, as training does them: GeForce cards do
these at half the rate that their makers print in large letters.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from types import MappingProxyType

import msgspec

from tunesmith.recipes import catalog
from tunesmith.recipes.errors import MachineError, nearest
from tunesmith.recipes.machine import Device, Machine
from tunesmith.recipes.machine.apple import USABLE_SHARE

FOLDER = Path(__file__).parent
MIB, GIB = 1 << 20, 1 << 30
TERA, GIGA = 1e12, 1e9
FREE_SHARE = 0.85  # of the computer's memory: what a system with a browser open leaves
DISK_FREE_BYTES = 500 * 10**9  # enough not to decide anything about a machine that nobody has looked at


class Known(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One machine. `memory_mib` is what the driver reports, less than the box says where error correction takes some.

    `sizes_gib` are the sizes of unified memory it is sold with, each a key of its own. `capability` is NVIDIA's
    compute capability or what is closest to it. Rates in 10^12 operations a second, None without units for the type;
    bandwidth in 10^9 bytes a second. `cores` and `ram_gib` are what is usual beside it. `source` says whose figures
    they are.
    """

    key: str
    name: str
    capability: str
    fp16_tflops: float
    bandwidth_gb_s: float
    cores: int
    source: str
    memory_mib: int = 0
    sizes_gib: tuple[int, ...] = ()
    bf16_tflops: float | None = None
    fp32_tflops: float | None = None
    ram_gib: int = 0
    notes: str = ""
    kind: str = ""
    system: str = ""

    @property
    def memory_bytes(self) -> int:
        """What the device may use: of unified memory the share that its system grants."""
        return self.memory_mib * MIB if self.memory_mib else int(self.ram_gib * GIB * USABLE_SHARE)

    @property
    def bf16_flops(self) -> float | None:
        """Operations a second."""
        return None if self.bf16_tflops is None else self.bf16_tflops * TERA

    @property
    def fp16_flops(self) -> float:
        return self.fp16_tflops * TERA

    @property
    def fp32_flops(self) -> float | None:
        return None if self.fp32_tflops is None else self.fp32_tflops * TERA

    @property
    def bandwidth_bytes(self) -> float:
        """A second."""
        return self.bandwidth_gb_s * GIGA


class Maker(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One file: `kind` is torch's device name, `system` what such machines run."""

    kind: str
    system: str
    machines: tuple[Known, ...]


@cache
def all_known() -> Mapping[str, Known]:
    """By key, file by file."""
    return read(FOLDER)


def read(folder: Path) -> Mapping[str, Known]:
    """The machines described in `folder`. Raises ValueError naming the file that is wrong."""
    found: dict[str, Known] = {}
    for name, maker in catalog.tables(folder, Maker):
        for row in maker.machines:
            if bool(row.memory_mib) == bool(row.sizes_gib):
                raise ValueError(f"{name}.toml: {row.key} has no memory of its own, or two kinds of it")
            for one in sizes(msgspec.structs.replace(row, kind=maker.kind, system=maker.system)):
                if one.key in found:
                    raise ValueError(f"{name}.toml: {one.key} is there twice")
                found[one.key] = one
    return MappingProxyType(found)


def sizes(row: Known) -> list[Known]:
    """The row, or one for each size of memory it is sold with: m3-max becomes m3-max-48g, m3-max-64g and so on."""
    if not row.sizes_gib:
        return [row]
    return [
        msgspec.structs.replace(row, key=f"{row.key}-{size}g", ram_gib=size, sizes_gib=()) for size in row.sizes_gib
    ]


def keys() -> tuple[str, ...]:
    return tuple(all_known())


def find(key: str) -> Known:
    """The machine of this key. Raises MachineError with the nearest known one."""
    try:
        return all_known()[key.strip().lower()]
    except KeyError:
        close = nearest(key.lower(), all_known())
        meant = f"{close} " if close.startswith("Did") else f"For example {', '.join(keys()[:3])}. "
        raise MachineError(
            f"There is no machine called '{key}' among the known ones",
            f"{meant}A file that `tunesmith doctor --json` wrote on the machine itself works too.",
            "unknown_machine",
        ) from None


def machine(key: str) -> Machine:
    """As `machine.detect` would find it with nothing else running. Raises MachineError for an unknown key."""
    known = find(key)
    ram = known.ram_gib * GIB
    free = int(ram * FREE_SHARE)
    unified = not known.memory_mib
    dotted = "." in known.capability  # NVIDIA's, which detection writes so
    note = "unified memory" if unified else f"sm{known.capability.replace('.', '')}" if dotted else known.capability
    processor = known.name if unified else "a usual processor"
    return Machine(
        system=known.system,
        cpu_name=processor,
        cores=known.cores,
        simd=("neon",) if known.system.endswith(("arm64", "aarch64")) else ("avx2",),
        memory_bytes=ram,
        memory_free_bytes=free,
        devices=(
            Device(
                kind=known.kind,
                name=known.name,
                memory_bytes=known.memory_bytes,
                memory_free_bytes=min(known.memory_bytes, free) if unified else known.memory_bytes,
                note=note,
                capability=capability(known.capability),
                bf16=known.bf16_tflops is not None,
            ),
            Device(kind="cpu", name=processor, memory_bytes=ram, memory_free_bytes=free, note="float32"),
        ),
        disk_free_bytes=DISK_FREE_BYTES,
    )


def capability(text: str) -> tuple[int, int] | None:
    """NVIDIA's compute capability as two numbers; None for what others call theirs."""
    major, dot, minor = text.partition(".")
    return (int(major), int(minor)) if dot and major.isdecimal() and minor.isdecimal() else None


def load(key_or_path: str) -> Machine:
    """The machine of a key, or of a file: what `tunesmith doctor --json` prints, or its "machine", as JSON or TOML.

    Raises MachineError.
    """
    path = Path(key_or_path)
    if key_or_path.strip().lower() in all_known() or (path.suffix not in (".json", ".toml") and not path.is_file()):
        return machine(key_or_path)
    try:
        content = path.read_bytes()
        said = (msgspec.toml if path.suffix == ".toml" else msgspec.json).decode(content)
        found = msgspec.convert(said.get("machine", said) if isinstance(said, dict) else said, type=Machine)
    except OSError as error:
        raise MachineError(
            f"{path} cannot be read: {error.strerror}", "Give the path of a file.", "unreadable"
        ) from error
    except (msgspec.DecodeError, msgspec.ValidationError, UnicodeDecodeError) as error:
        raise MachineError(
            f"{path} does not describe a machine: {error}",
            "Write it on that machine with `tunesmith doctor --json > machine.json`.",
            "machine_file",
        ) from error
    if not found.devices:
        raise MachineError(f"{path} names no device", "Write it anew with `tunesmith doctor --json`.", "machine_file")
    return found
