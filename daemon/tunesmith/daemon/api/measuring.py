"""What only the engine knows of this machine: asked of a short-lived process, kept until a version changes."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Sequence
from importlib.metadata import PackageNotFoundError, version

import msgspec

from tunesmith.daemon.api.home import Home, private_folder
from tunesmith.recipes.errors import MachineError
from tunesmith.recipes.machine import Machine
from tunesmith.recipes.measured import Doing, Measured, Surface, merge

PROBES = 1  # raised when what is measured changes, so that older figures are not taken for it
PACKAGES = ("torch", "bitsandbytes", "flash-attn", "liger-kernel", "triton", "torch-npu")
CHILD = "tunesmith.daemon.worker.machine"
GRACE_S = 5.0  # to end the compiler that it may have started
WITHIN_S = 150.0  # measured 15 to 25 s on two cores; a loaded machine needs more


class Basis(msgspec.Struct, frozen=True):
    """What the figures depend on; when any of it changes they are measured again."""

    probes: int
    python: str
    packages: dict[str, str]
    driver: str | None
    processor: str
    cores: int
    devices: tuple[str, ...]


class Kept(msgspec.Struct, frozen=True):
    basis: Basis
    measured: Measured


def basis(machine: Machine) -> Basis:
    """`machine` is as found without the engine."""
    accelerators = [device for device in machine.devices if device.kind != "cpu"]
    return Basis(
        probes=PROBES,
        python=platform.python_version(),
        packages={name: found for name in PACKAGES if (found := _version(name))},
        driver=next((device.driver for device in accelerators if device.driver), None),
        processor=machine.cpu_name,
        cores=machine.cores,
        devices=tuple(device.uuid or device.name for device in accelerators),
    )


def kept(home: Home, machine: Machine) -> Measured | None:
    """What was measured before and still holds; None when there is nothing, it is damaged, or a version changed."""
    try:
        found = msgspec.json.decode(home.measured.read_bytes(), type=Kept)
    except (OSError, msgspec.DecodeError, UnicodeDecodeError):  # it can be measured again
        return None
    return found.measured if found.basis == basis(machine) else None


def measure(home: Home, machine: Machine, tell: Callable[[str], None]) -> Measured:
    """Measure now and keep it; `tell(step)` is called as each step begins.

    Raises MachineError when the process fails or takes longer than WITHIN_S, and when `home` cannot be written.
    """
    try:
        private_folder(home.root)
        private_folder(home.measured.parent)
    except OSError as error:
        raise MachineError(f"{home.root} cannot be written: {error.strerror}", "Set TUNESMITH_HOME.") from error
    left_out: list[str] = []
    while True:
        answer = _ask([str(home.root), *(word for step in left_out for word in ("--without", step))], tell)
        if isinstance(answer, Measured):
            keep(home, machine, answer)
            return answer
        # A kernel for another processor ends the process that tries it: everything else can still be measured.
        if not (isinstance(answer, Ended) and answer.by_signal and answer.step) or answer.step in left_out:
            raise _failed(answer)
        left_out.append(answer.step)


def surface_now() -> Surface:
    """The devices torch offers, with the memory that is free now; takes 2 to 4 s. Raises MachineError."""
    answer = _ask([tempfile.gettempdir(), "--devices"], lambda step: None)
    if isinstance(answer, Surface):
        return answer
    raise _failed(answer)


def merged(home: Home, machine: Machine) -> Machine:
    """`machine` with what the engine was seen to offer when it was measured; as it is where it never was."""
    found = kept(home, machine)
    return merge.merge(machine, found.surface, live=False) if found else machine


def only_torch_knows(surface: Surface) -> bool:
    """Whether there are devices whose free memory is not known without torch."""
    return any(device.kind in ("xpu", "npu") or device.architecture for device in surface.devices)


class Ended(msgspec.Struct, frozen=True):
    """The process gave no answer: the step it was at, whether a signal of others ended it, and its last line."""

    step: str
    by_signal: bool
    said: str


def _ask(arguments: Sequence[str], tell: Callable[[str], None]) -> Measured | Surface | Ended:
    command = [sys.executable, "-m", CHILD, *arguments]
    decoder: msgspec.json.Decoder[Doing | Measured | Surface] = msgspec.json.Decoder(Doing | Measured | Surface)
    step, late = "", threading.Event()
    with (
        tempfile.TemporaryFile() as errors,
        subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=errors) as process,
    ):

        def end() -> None:
            late.set()
            process.terminate()
            try:
                process.wait(GRACE_S)
            except subprocess.TimeoutExpired:  # a driver that hangs keeps it from ending itself
                process.kill()

        timer = threading.Timer(WITHIN_S, end)
        timer.start()
        try:
            for line in process.stdout or ():
                answer = decoder.decode(line)
                if not isinstance(answer, Doing):
                    return answer
                step = answer.step
                tell(step)
            code = process.wait()
        finally:
            timer.cancel()
            process.terminate()  # nothing where it has ended; ctrl-c in between ends it with us
        errors.seek(0)
        lines = errors.read().decode("utf-8", "replace").strip().splitlines()
    if late.is_set():
        return Ended(step, False, f"it took longer than {WITHIN_S:.0f} s")
    return Ended(step, code < 0, f"signal {-code}" if code < 0 else (lines or [f"exit code {code}"])[-1][:300])


def _failed(answer: object) -> MachineError:
    ended = answer if isinstance(answer, Ended) else Ended("", False, "an answer to another question")
    at = f" (while measuring {ended.step})" if ended.step else ""
    return MachineError(
        f"This machine could not be measured: {ended.said}{at}",
        "Run ./install.sh again, then `tunesmith doctor --refresh`.",
        "not_measured",
    )


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def keep(home: Home, machine: Machine, measured: Measured) -> None:
    """Whole or not at all: written beside it, then renamed."""
    home.measured.parent.mkdir(parents=True, exist_ok=True)
    part = home.measured.with_name(f".machine-{os.getpid()}.json")
    part.write_bytes(msgspec.json.format(msgspec.json.encode(Kept(basis(machine), measured))))
    os.replace(part, home.measured)
