"""Who a worker process is: pid, start time and boot, on disk: a later daemon finds it, and nobody else's is hit."""

from __future__ import annotations

import contextlib
import logging
import os
import signal
from pathlib import Path

import msgspec
import psutil

# psutil derives start times from the kernel's boot time, whole seconds that a corrected clock shifts by one.
START_TIME_TOLERANCE_S = 1.5
log = logging.getLogger("tunesmith.recovery")


class WorkerRecord(msgspec.Struct, frozen=True):
    """worker-n.json. `group` is the process group and session the worker leads; `memory_kills` how many processes the
    system had killed for memory when it began, None where it does not count.
    """

    pid: int
    start_time: float
    boot: str
    group: int
    memory_kills: int | None = None

    def encode(self) -> bytes:
        return msgspec.json.encode(self)


def record_of(pid: int, memory_kills: int | None = None) -> WorkerRecord:
    """Of a child of ours that leads its own session."""
    return WorkerRecord(pid, psutil.Process(pid).create_time(), boot(), pid, memory_kills)


def load(path: Path) -> WorkerRecord | None:
    """None when there is no record, or none that can be read: then there is no worker of ours."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=WorkerRecord)
    except (FileNotFoundError, msgspec.DecodeError):
        return None


def lives(record: WorkerRecord) -> bool:
    """Whether that very process runs (a zombie does not)."""
    if record.pid <= 1 or record.boot != boot():
        return False
    try:
        process = psutil.Process(record.pid)
        same = abs(process.create_time() - record.start_time) <= START_TIME_TOLERANCE_S
        return same and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
    except OSError as error:  # no descriptors left, for one: nothing is known, so nobody is declared dead
        log.error("cannot look at process %d: %s", record.pid, error)
        return True


def kill_group(record: WorkerRecord) -> None:
    """End what a dead worker left behind in its group."""
    if record.group <= 1 or record.boot != boot():
        return
    try:
        leader = psutil.Process(record.group)
        if abs(leader.create_time() - record.start_time) > START_TIME_TOLERANCE_S:
            return  # the number belongs to somebody else by now
    except psutil.NoSuchProcess:
        pass  # a group keeps its number while it has members
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(record.group, signal.SIGKILL)


def boot() -> str:
    """Changes with every start of the machine."""
    kernel = Path("/proc/sys/kernel/random/boot_id")
    if kernel.exists():
        return kernel.read_text().strip()
    return f"{psutil.boot_time():.0f}"
