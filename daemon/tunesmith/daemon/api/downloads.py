"""Downloads of public data sets: each runs in a process of its own and tells its progress here, line by line.

No job of the daemon's: nothing waits for it, the command line needs no daemon for it, and stopping it is ending the
process; what arrived stays and the next download of the set goes on from there.
"""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncGenerator
from pathlib import Path

import msgspec

from tunesmith.daemon.api.home import Home
from tunesmith.recipes.errors import DaemonError, TunesmithError

STOP_WITHIN_S = 5.0
LONGEST_LINE = 1 << 24  # bytes: the last message names every file, and there may be thousands


class Downloading(msgspec.Struct, frozen=True, tag="downloading"):
    """Bytes so far, of this and earlier attempts, and in all."""

    done: int
    total: int


class Downloaded(msgspec.Struct, frozen=True, tag="downloaded"):
    """`files` are paths; `revision` is the hub's name of this very version, or of a branch where it tells no more."""

    key: str
    hub: str
    repository: str
    revision: str
    folder: str
    files: tuple[str, ...]
    bytes: int


class DownloadFailed(msgspec.Struct, frozen=True, tag="failed"):
    code: str
    message: str
    hint: str = ""


DownloadMessage = Downloading | Downloaded | DownloadFailed


async def download(
    home: Home, key: str, hub: str = "", folder: Path | None = None
) -> AsyncGenerator[Downloading | Downloaded, None]:
    """Progress of fetching the catalogue's set `key`, the last one Downloaded; ends the process when it is closed.

    `folder` is `home.data / key` by default. Raises TunesmithError when it fails.
    """
    target = folder or home.data / key
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tunesmith.daemon.hubs", "get", key, "--to", str(target), "--hub", hub, "--json-progress",
        stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
        env=os.environ | {"TUNESMITH_HOME": str(home.root)}, limit=LONGEST_LINE,
    )  # fmt: skip
    assert process.stdout is not None and process.stderr is not None
    log = asyncio.create_task(process.stderr.read())
    ended = False
    try:
        async for line in process.stdout:
            message = msgspec.json.decode(line, type=DownloadMessage)
            if isinstance(message, DownloadFailed):
                raise TunesmithError(message.message, message.hint, message.code)
            ended = isinstance(message, Downloaded)
            yield message
        await process.wait()
        if not ended:
            said = (await log).decode("utf-8", "replace").strip().splitlines()
            raise DaemonError(
                f"The download ended with exit code {process.returncode}" + (f": {said[-1]}" if said else ""),
                "Run the same command again; what arrived is kept.",
                "download_ended",
            )
    finally:
        await stop(process)
        log.cancel()


async def stop(process: asyncio.subprocess.Process) -> None:
    if process.returncode is not None:
        return
    process.terminate()
    try:
        await asyncio.wait_for(process.wait(), STOP_WITHIN_S)
    except TimeoutError:
        process.kill()
        await process.wait()
