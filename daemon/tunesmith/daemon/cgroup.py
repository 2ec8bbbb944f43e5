"""A control group (cgroup v2) of its own for each worker, where one was handed to us: limits, exact counts, one kill.

The unit of `tunesmith daemon install` asks systemd for it: a group that is ours, with the daemon in its leaf `daemon`,
since a group with processes in it cannot pass memory limits on. Elsewhere there are none, and nothing here is needed.
"""

from __future__ import annotations

import logging
import os
from pathlib import Path

MOUNT = Path("/sys/fs/cgroup")
MEMBERSHIP = Path("/proc/self/cgroup")
LEAF = "daemon"  # DelegateSubgroup in api/service/systemd.py
PREFIX = "job-"
log = logging.getLogger("tunesmith.cgroup")


def handed_to_us(mount: Path = MOUNT, membership: Path = MEMBERSHIP) -> Path | None:
    """The folder for groups of workers, None where we may make none."""
    try:
        lines = membership.read_text().splitlines()
    except OSError:  # another system
        return None
    path = next((line.removeprefix("0::") for line in lines if line.startswith("0::")), None)
    if path is None or path == "/":
        return None
    tree = mount if (mount / "cgroup.controllers").exists() else mount / "unified"  # where version 1 is there too
    own = tree / path.lstrip("/")
    if own.name != LEAF or not own.is_dir():
        return None
    writable = os.access(own.parent, os.W_OK) and os.access(own.parent / "cgroup.procs", os.W_OK)
    return own.parent if writable else None


def prepare(place: Path) -> None:
    """Once a start of the daemon: pass the memory limits on, take away what earlier daemons left empty."""
    for group in place.glob(f"{PREFIX}*"):
        remove(group)
    try:
        if "memory" in (place / "cgroup.controllers").read_text().split():
            (place / "cgroup.subtree_control").write_text("+memory")
    except OSError as error:
        log.warning("workers have no memory limit of their own: %s", error)


def make(place: Path, name: str, most_bytes: int) -> Path | None:
    """A group for a worker of at most `most_bytes` of memory, in which all end together; None when it cannot be."""
    group = place / f"{PREFIX}{name}"
    try:
        group.mkdir(exist_ok=True)
        if (group / "memory.max").exists():
            # No memory.high: past it the system slows a process without end, and a run that crawls tells nobody why.
            (group / "memory.max").write_text(str(most_bytes))
            (group / "memory.oom.group").write_text("1")
    except OSError as error:
        log.warning("the worker has no control group: %s", error)
        remove(group)
        return None
    return group


def enter(group: Path, pid: int) -> None:
    """Raises OSError."""
    (group / "cgroup.procs").write_text(str(pid))


def memory_kills(group: str) -> int | None:
    """Processes in it that were ended because memory ran out; None where it does not count, or is gone."""
    if not _ours(group):
        return None
    try:
        lines = (Path(group) / "memory.events").read_text().splitlines()
    except OSError:
        return None
    return next((int(line.split()[1]) for line in lines if line.startswith("oom_kill ")), None)


def kill(group: str) -> None:
    """End all that is in it, what has left the worker's process group too."""
    if not _ours(group):
        return
    try:
        (Path(group) / "cgroup.kill").write_text("1")
    except OSError as error:  # gone already, or a system before 5.14: the process group is killed all the same
        log.info("%s: %s", group, error)


def remove(group: Path) -> bool:
    """Whether it is gone: one that still has processes stays."""
    try:
        group.rmdir()
    except FileNotFoundError:
        return True
    except OSError:
        return False
    return True


def _ours(group: str) -> bool:
    """A record on disk names it: nothing but a group for a worker is ever touched."""
    return bool(group) and Path(group).name.startswith(PREFIX) and ".." not in Path(group).parts
