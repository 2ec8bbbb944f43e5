"""Downloads: each runs in a process of its own and tells its progress here, line by line.

No job of the daemon's: nothing waits for it, the command line needs no daemon for it, and stopping it is ending the
process; what arrived stays and the next download of the same goes on from there.
"""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncGenerator, Sequence
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from tunesmith.daemon.api.home import Home
from tunesmith.recipes.errors import DaemonError, TunesmithError
from tunesmith.recipes.words import Said

HUBS = "tunesmith.daemon.hubs"
STOP_WITHIN_S = 5.0
LONGEST_LINE = 1 << 24  # bytes: the last message names every file, and there may be thousands
WITH_PARENT = "--ends-with-parent"  # the process ends when its standard input is closed: with whoever started it


class Downloading(msgspec.Struct, frozen=True, tag="downloading"):
    """Bytes so far, of this and earlier attempts, and in all."""

    done: int
    total: int


class Checking(msgspec.Struct, frozen=True, tag="checking"):
    """Bytes read so far to see whether what is here already is right, and in all."""

    done: int
    total: int


class Waiting(msgspec.Struct, frozen=True, tag="waiting"):
    """Why nothing happens yet, as a sentence without a full stop."""

    text: str
    said: Said | None = None


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


Progress = Downloading | Checking | Waiting
Last = TypeVar("Last", bound=msgspec.Struct)


def decoder(last: type[Last]) -> msgspec.json.Decoder[Any]:
    """Of a line that such a process writes; `last` is what it ends with when it succeeds."""
    return msgspec.json.Decoder(Downloading | Checking | Waiting | DownloadFailed | last)


def command(module: str, arguments: Sequence[str]) -> list[str]:
    """`arguments` begin with the module's own command."""
    return [sys.executable, "-m", module, arguments[0], "--json-progress", WITH_PARENT, *arguments[1:]]


def environment(home: Home) -> dict[str, str]:
    return os.environ | {"TUNESMITH_HOME": str(home.root)}


def failed(message: DownloadFailed) -> TunesmithError:
    return TunesmithError(message.message, message.hint, message.code)


def ended(code: int | None, said: str) -> DaemonError:
    """Of a process that ended without its last word; `said` is what it wrote to standard error."""
    lines = said.strip().splitlines()
    return DaemonError(
        f"The download ended with exit code {code}" + (f": {lines[-1]}" if lines else ""),
        "Run the same command again; what arrived is kept.",
        "download_ended",
    )


async def download(
    home: Home, key: str, hub: str = "", folder: Path | None = None
) -> AsyncGenerator[Progress | Downloaded, None]:
    """Progress of fetching the catalogue's data set `key`, the last one Downloaded.

    `folder` is `home.data / key` by default. Raises TunesmithError when it fails.
    """
    arguments = ["get", key, "--to", str(folder or home.data / key), "--hub", hub]
    async for message in messages(home, HUBS, arguments, Downloaded):
        yield message


async def messages(
    home: Home, module: str, arguments: Sequence[str], last: type[Last]
) -> AsyncGenerator[Progress | Last, None]:
    """What `python -m module` with `arguments` says, to its `last`; ends the process when it is closed.

    Raises TunesmithError when it fails.
    """
    process = await asyncio.create_subprocess_exec(
        *command(module, arguments),
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
        env=environment(home), limit=LONGEST_LINE,
    )  # fmt: skip
    assert process.stdout is not None and process.stderr is not None
    log = asyncio.create_task(process.stderr.read())
    decode, complete = decoder(last).decode, False
    try:
        async for line in process.stdout:
            message = decode(line)
            if isinstance(message, DownloadFailed):
                raise failed(message)
            complete = isinstance(message, last)
            yield message
        await process.wait()
        if not complete:
            raise ended(process.returncode, (await log).decode("utf-8", "replace"))
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
