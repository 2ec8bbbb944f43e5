"""After a fault: everything of a home held against what was promised, while its daemon lives and once it has ended."""

from __future__ import annotations

import asyncio
import fcntl
import time
from collections.abc import Callable, Iterable
from pathlib import Path

import history
import msgspec
import toy_chain
from daemon_process import DaemonProcess

from tunesmith.daemon.api.home import Home

CLEAR_S = 5.0  # I7: how long anything of ours may outlive its owner


async def over(what: Callable[[], object], seconds: float) -> None:
    """Until `what` gives nothing any more, or `seconds` have passed."""
    until = time.monotonic() + seconds
    while what():
        if time.monotonic() > until:
            return
        await asyncio.sleep(0.05)


async def unattended(daemon: DaemonProcess) -> list[str]:
    """I3: jobs at work without a process, seen so twice: one may end between two looks."""
    found: set[str] = set()
    for look in range(2):
        states = [(view.id, view.state, view.pid) for view in await daemon.client.jobs()]
        now = set(history.without_process(states, {process.pid for process in daemon.workers()}))
        found = now & found if look else now
        if found:
            await asyncio.sleep(1)
    return sorted(found)


async def broken(
    daemon: DaemonProcess, records: Iterable[history.Record] = (), *, worked_once: bool = False
) -> list[str]:
    """Stop the daemon in order, then every violation that is left behind; `worked_once` where no worker was killed."""
    await daemon.client.close()
    assert daemon.process is not None
    found = [f"the daemon had ended with {daemon.process.poll()}"] if daemon.process.poll() is not None else []
    if not found and (code := daemon.end()) != 0:
        found.append(f"the daemon ended with {code}")
    await over(daemon.workers, CLEAR_S)
    found += [f"I7: process {process.pid} was left" for process in daemon.workers()]
    return found + at_rest(daemon.home, records, worked_once=worked_once)


def at_rest(home: Home, records: Iterable[history.Record] = (), *, worked_once: bool = False) -> list[str]:
    """Of a home that no daemon holds."""
    jobs = history.jobs_of(home.database)
    found = history.violations(records, jobs) + history.on_disk(home, jobs) + history.left_behind(home)
    if worked_once:
        found += history.completed_twice(home, jobs)
    if not _free(home.lock):
        found.append(f"I7: somebody holds {home.lock}")
    return found


def wrong_result(home: Home, job: int, name: str) -> list[str]:
    """I4: every step of the finished job of that name was done, once and in order."""
    steps = int(dict(part.partition("=")[::2] for part in name.split()).get("steps", "5"))
    path = home.job(job) / "artifacts" / "chain.json"
    try:
        found = msgspec.json.decode(path.read_bytes(), type=toy_chain.State)
    except (OSError, msgspec.DecodeError) as error:
        return [f"I4: the result of job {job} cannot be read: {error}"]
    right = toy_chain.expected(name, steps)
    return [] if found == right else [f"I4: job {job} came to {found}, and {right} is right"]


def _free(lock: Path) -> bool:
    if not lock.exists():
        return True
    with lock.open("rb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True
