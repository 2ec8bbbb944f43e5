"""The checks of `tunesmith doctor` over the machine: what it has, how fast it is, which libraries work here."""

from __future__ import annotations

from collections.abc import Iterator

from tunesmith.recipes.errors import MachineError
from tunesmith.recipes.machine import Device, Holder, Machine
from tunesmith.recipes.measured import Measured, Rate, says
from tunesmith.recipes.units import bytes_text
from tunesmith.tui.cli.check import OK, WARN, Check

MEMORY_NEEDED = 3e9  # bytes: the starter run in float32 stays below this
NAMES = {"cuda": "GPU", "mps": "GPU", "xpu": "GPU", "npu": "NPU"}


def processor_and_memory(machine: Machine) -> Iterator[Check]:
    cores = f"{machine.cores} cores"
    if machine.host_cores is not None:
        cores = f"{machine.cores} of the host's {machine.host_cores} cores"
    simd = f" ({', '.join(machine.simd)})" if machine.simd else ""
    yield Check("processor", OK, f"{machine.cpu_name}, {cores}{simd}")
    memory = f"{bytes_text(machine.memory_free_bytes)} of {bytes_text(machine.memory_bytes)} free"
    if machine.host_memory_bytes is not None:
        memory += f", of the host's {bytes_text(machine.host_memory_bytes)}"
    if machine.memory_free_bytes >= MEMORY_NEEDED:
        yield Check("memory", OK, memory)
    else:
        wanted = f"{memory}; a starter run wants {bytes_text(MEMORY_NEEDED)}"
        yield Check("memory", WARN, wanted, "Close other programs.")


def devices(machine: Machine) -> Iterator[Check]:
    """What will train, every device with who uses it, and what is wrong with them."""
    if machine.device.kind == "cpu":
        yield Check("trains", OK, "no accelerator that can train: training runs on the processor")
    else:
        yield Check("trains", OK, machine.device.name)
    for device in machine.devices:
        if device.kind != "cpu":
            yield Check(_name(device), OK, "\n".join(_lines(device)))
    for warning in machine.warnings:
        yield Check("limit", WARN, warning.text, warning.fix)


def speed(measured: Measured | MachineError) -> Iterator[Check]:
    if isinstance(measured, MachineError):
        yield Check("speed", WARN, measured.message, measured.hint)
        return
    for dtype in measured.products:
        yield _rate(dtype, measured.products[dtype], says.product(measured, dtype), needed=dtype == "float32")
    if sentence := says.dtypes(measured):
        yield Check("best dtype", OK, sentence)
    yield _rate("memory", measured.memory_copy, says.memory(measured.memory_copy))
    yield _rate("disk", measured.disk_write, says.disk(measured.disk_write))


def libraries(measured: Measured | MachineError) -> Iterator[Check]:
    """Tried, not looked up; one whose kernels are for other devices is no fault of this machine."""
    if isinstance(measured, MachineError):
        return
    for name, tried in measured.works.items():
        fix = says.library_fix(name, tried, measured.device)
        # Training does without what is not there, bitsandbytes aside; what is there and broken it would use.
        state = WARN if fix and (name == "bitsandbytes" or not tried.missing) else OK
        yield Check(name, state, says.library(tried), fix)


def _rate(name: str, rate: Rate, meaning: str, *, needed: bool = True) -> Check:
    if rate.per_second is not None or not needed:
        return Check(name, OK, meaning)
    return Check(name, WARN, meaning, "Put right what it says, then run `tunesmith doctor --refresh`.")


def _name(device: Device) -> str:
    name = NAMES.get(device.kind, device.kind)
    return name if device.index is None else f"{name} {device.index}"


def _lines(device: Device) -> Iterator[str]:
    """The device on as many lines as there is something to say."""
    yield f"{device.name}, {device.note}" if device.note else device.name
    if device.memory_bytes:
        total = bytes_text(device.memory_bytes)
        free = device.memory_free_bytes
        yield f"{bytes_text(free)} of {total} free" if free else f"{total}; how much of it is free is not known now"
    if not device.usable:
        yield "Not used for training."
    elif device.means:
        yield device.means
    if facts := _now(device):
        yield facts
    if device.driver:
        yield f"driver {device.driver}" + (f", for CUDA up to {device.runtime}" if device.runtime else "")
    for user in device.used_by or ():
        yield f"used by {holder(user)}"


def holder(user: Holder) -> str:
    """`python3 (pid 4242), 100.0 GB`."""
    held = "" if user.memory_bytes is None else f", {bytes_text(user.memory_bytes)}"
    return f"{user.name or 'another user or container'} (pid {user.pid}){held}"


def _now(device: Device) -> str:
    """Heat and power, as far as they are known: `52 °C, 310 of 700 W`."""
    facts = [] if device.temperature_c is None else [f"{device.temperature_c} °C"]
    if device.power_watts is not None:
        limit = "" if device.power_limit_watts is None else f" of {device.power_limit_watts:.0f}"
        facts.append(f"{device.power_watts:.0f}{limit} W")
    return ", ".join(facts)
