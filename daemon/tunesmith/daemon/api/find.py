"""Find the daemon of a home, or start it: detached, so that it outlives whoever needed it first."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys

from tunesmith.daemon.api import disk_errors, service, settings
from tunesmith.daemon.api.client import Client
from tunesmith.daemon.api.home import Home, private_folder, refuse_foreign
from tunesmith.recipes.errors import DaemonError

START_WITHIN_S = 10.0  # measured 0.5 to 1 s; a loaded two-core machine needs more


async def running(home: Home) -> Client | None:
    """A client of the daemon that answers now, or None; the caller closes it.

    Raises DaemonError when the socket lies in a folder that is not ours: another user's program may answer there.
    """
    if not home.socket.exists():
        return None
    refuse_foreign(home.socket.parent)
    client = Client(home.socket)
    if await client.healthy():
        return client
    await client.close()
    return None


async def ensure_daemon(home: Home, *, start: bool = True) -> Client:
    """A client of a daemon that answers, started when none does.

    Raises DaemonError when none runs and `start` is False, or when a started one ends or stays silent, MachineError
    when the disk refuses.
    """
    if client := await running(home):
        return client
    if not start:
        raise DaemonError("No daemon is running", "Start it with `tunesmith daemon start`.", code="not_running")
    with disk_errors.writing(home.root):
        private_folder(home.root)
    # One that is installed as a service stays one: else the manager would find the home taken at the next login.
    if await asyncio.to_thread(service.start, home):
        return await answering(home)
    log = home.root / "daemon-start.log"
    with disk_errors.writing(log):
        log.touch()
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "tunesmith.daemon"],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
            cwd=home.root,
            # This home, whatever the environment says; and without what may be settled otherwise while it runs.
            env=settings.of_the_person(os.environ) | {"TUNESMITH_HOME": str(home.root)},
        )
    return await answering(home, process)


async def answering(home: Home, started: subprocess.Popen[bytes] | None = None) -> Client:
    """A client of the daemon that was started a moment ago. Raises DaemonError when it ends or stays silent."""
    clock = asyncio.get_running_loop().time
    deadline = clock() + START_WITHIN_S
    while clock() < deadline:
        await asyncio.sleep(0.05)
        # Another client may have started one at the same moment: ours ends then, and theirs answers.
        if client := await running(home):
            return client
        if started is not None and started.poll() is not None and clock() > deadline - START_WITHIN_S + 3.0:
            break
    log = home.root / "daemon-start.log"
    said = log.read_text("utf-8", "replace").strip()[-500:] if log.exists() else ""
    raise DaemonError(
        f"The daemon did not start within {START_WITHIN_S:.0f} s" + (f": {said}" if said else ""),
        f"See {home.log}; `tunesmith doctor` checks the set-up.",
        code="start_failed",
    )


async def ended(home: Home) -> None:
    """Stop the daemon of `home`, if one answers, and wait until it is gone. Raises DaemonError when it stays."""
    client = await running(home)
    if client is None:
        return
    async with client:
        await client.stop()
        deadline = asyncio.get_running_loop().time() + START_WITHIN_S
        while home.socket.exists():
            if asyncio.get_running_loop().time() > deadline:
                raise DaemonError(
                    f"The daemon did not stop within {START_WITHIN_S:.0f} s", f"See {home.log}.", code="stop_failed"
                )
            await asyncio.sleep(0.05)
