"""Who a worker process is: pid, start time and boot, on disk: a later daemon finds it, and nobody else's is hit.

Every signal to a worker or its group is sent from here, after a look at whose process it is.
"""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import time
from pathlib import Path

import msgspec
import psutil

from tunesmith.daemon import cgroup, versions

# psutil derives start times from the kernel's boot time, whole seconds that a corrected clock shifts by one.
START_TIME_TOLERANCE_S = 1.5
REPLACED_S = 0.2  # longer than the system takes to give a process another program
FORMAT = "tunesmith-worker"
FORMAT_VERSION = 1
MARK = "TUNESMITH_WORKER_OF"  # in the environment of a worker and of all it starts: the job's folder
log = logging.getLogger("tunesmith.recovery")


class WorkerRecord(msgspec.Struct, frozen=True):
    """worker-n.json. `group` is the process group and session the worker leads; `memory_kills` how many processes the
    system had killed for memory when it began, None where it does not count; `mark` what MARK says in its environment;
    `cgroup` the folder of its control group, empty where it has none of its own.
    """

    pid: int
    start_time: float
    boot: str
    group: int
    memory_kills: int | None = None
    mark: str = ""
    cgroup: str = ""
    format: str = FORMAT
    version: int = FORMAT_VERSION

    def encode(self) -> bytes:
        return msgspec.json.encode(self)


def record_of(pid: int, memory_kills: int | None = None, mark: str = "", group: str = "") -> WorkerRecord:
    """Of a child of ours that leads its own session."""
    return WorkerRecord(pid, psutil.Process(pid).create_time(), boot(), pid, memory_kills, mark, group)


def load(path: Path) -> WorkerRecord | None:
    """None when there is no record, or none that can be read: then there is no worker of ours.

    Raises JobError when a newer Tunesmith wrote it.
    """
    try:
        record = msgspec.json.decode(path.read_bytes(), type=WorkerRecord)
    except (FileNotFoundError, msgspec.DecodeError):
        return None
    versions.refuse_newer(path, record.version, FORMAT_VERSION)
    return record


def records(folder: Path, before: int) -> list[WorkerRecord]:
    """Of the attempts below `before` at the job in `folder`."""
    found = (path.stem.removeprefix("worker-") for path in folder.glob("worker-*.json"))
    numbers = sorted(int(number) for number in found if number.isdecimal() and int(number) < before)
    loaded = (load(folder / f"worker-{number}.json") for number in numbers)
    return [record for record in loaded if record is not None]


def lives(record: WorkerRecord) -> bool:
    """Whether that very process runs (a zombie does not)."""
    if record.pid <= 1 or record.boot != boot():
        return False
    try:
        process = psutil.Process(record.pid)
        return _same(process, record) and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
    except OSError as error:  # no descriptors left, for one: nothing is known, so nobody is declared dead
        log.error("cannot look at process %d: %s", record.pid, error)
        return True


def tell(record: WorkerRecord, number: signal.Signals) -> None:
    """Send the worker a signal, if it still is that very process."""
    if lives(record):
        with contextlib.suppress(ProcessLookupError):
            os.kill(record.pid, number)


def tell_group(record: WorkerRecord, number: signal.Signals) -> None:
    """Send a signal to the worker and all it started, or to what a dead one left behind; to nobody else."""
    if record.group <= 1 or record.group == os.getpgrp() or record.boot != boot():
        return
    try:
        leader = psutil.Process(record.group)
        if not _same(leader, record):
            return  # the number belongs to somebody else by now
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(record.group, number)
    except psutil.NoSuchProcess:
        # A group keeps its number while it has members, but one that is empty loses it: each is looked at.
        for member in _members(record):
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(member, number)


def kill_group(record: WorkerRecord) -> None:
    """End the worker and all it started."""
    tell_group(record, signal.SIGKILL)
    if record.boot == boot():
        cgroup.kill(record.cgroup)  # what has left the process group too


def boot() -> str:
    """Changes with every start of the machine."""
    kernel = Path("/proc/sys/kernel/random/boot_id")
    if kernel.exists():
        return kernel.read_text().strip()
    return f"{psutil.boot_time():.0f}"


def _same(process: psutil.Process, record: WorkerRecord) -> bool:
    return bool(abs(process.create_time() - record.start_time) <= START_TIME_TOLERANCE_S)


def _members(record: WorkerRecord) -> list[int]:
    """Of a group whose leader is gone, those that bear the worker's mark."""
    found = []
    for process in psutil.process_iter():
        try:
            if os.getpgid(process.pid) == record.group and _environment(process).get(MARK) == record.mark != "":
                found.append(process.pid)
        except (psutil.Error, OSError):  # it ended meanwhile, or is not ours to look at
            continue
    return found


def _environment(process: psutil.Process) -> dict[str, str]:
    """While a process becomes another program the system shows none of it, for a moment."""
    until = time.monotonic() + REPLACED_S
    while not (found := process.environ()) and process.status() != psutil.STATUS_ZOMBIE and time.monotonic() < until:
        time.sleep(REPLACED_S / 20)
    return dict(found)
