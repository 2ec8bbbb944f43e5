"""`python -m tunesmith.daemon.hubs get KEY --to FOLDER --json-progress`: one download in a process of its own.

It says what happens in lines of `daemon.api.downloads` on standard output; what the libraries print goes elsewhere.
"""

from __future__ import annotations

import argparse
import errno
import os
import signal
import sys
import time
from pathlib import Path
from types import FrameType
from typing import TextIO

import msgspec

from tunesmith.daemon.api import downloads
from tunesmith.recipes.data import public_sets
from tunesmith.recipes.errors import DataError, MachineError, TunesmithError, nearest

# Set before a client library is imported, unless the person did.
ENVIRONMENT = {
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "MODELSCOPE_REPO_TREE_PAGE_MAX_ATTEMPTS": "2",  # its four take 7 s to say that there is no network
    "TQDM_DISABLE": "1",  # their bars; ours is drawn from what this process says
}
TELL_EVERY_S = 0.1


class Teller:
    """Writes messages to `stream`; progress at most ten times a second."""

    def __init__(self, stream: TextIO, as_json: bool) -> None:
        self.stream, self.as_json = stream, as_json
        self.told_at = 0.0

    def progress(self, done: int, total: int) -> None:
        now = time.monotonic()
        if now - self.told_at >= TELL_EVERY_S or done == total:
            self.told_at = now
            self.say(downloads.Downloading(done, total))

    def say(self, message: downloads.DownloadMessage) -> None:
        text = msgspec.json.encode(message).decode() if self.as_json else str(message)
        print(text, file=self.stream, flush=True)


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m tunesmith.daemon.hubs", description=__doc__)
    commands = parser.add_subparsers(required=True)
    get = commands.add_parser("get", help="fetch a public data set")
    get.add_argument("key")
    get.add_argument("--to", type=Path, required=True, help="folder that the files go into")
    get.add_argument("--hub", default="", help="modelscope or huggingface; the set's first one by default")
    get.add_argument("--json-progress", action="store_true", help="write messages as lines of JSON")
    given = parser.parse_args(arguments)

    # Libraries print to standard output too; it is for messages alone.
    teller = Teller(os.fdopen(os.dup(1), "w", encoding="utf-8"), given.json_progress)
    os.dup2(2, 1)
    signal.signal(signal.SIGTERM, ended)
    for name, value in ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    try:
        teller.say(fetch(given.key, given.hub, given.to, teller))
    except TunesmithError as error:
        teller.say(downloads.DownloadFailed(error.code, error.message, error.hint))
        return 1
    except OSError as error:
        refused = of_the_disk(error, given.to)
        teller.say(downloads.DownloadFailed(refused.code, refused.message, refused.hint))
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


def ended(_signal: int, _frame: FrameType | None) -> None:
    """SIGTERM: the download stops where it is, with its connections closed and its journal written."""
    raise KeyboardInterrupt


def fetch(key: str, hub_key: str, folder: Path, teller: Teller) -> downloads.Downloaded:
    from tunesmith.daemon import hubs
    from tunesmith.daemon.hubs import data_set

    repositories = public_sets.find(key).repositories
    hub_key = hub_key or next(iter(repositories))
    if hub_key not in repositories:
        raise DataError(f"{key} is not known at '{hub_key}'", nearest(hub_key, repositories), "unknown_hub")
    record = data_set.download(hubs.cards()[hub_key], repositories[hub_key], folder, teller.progress)
    files = tuple(str(folder / file.path) for file in record.files)
    return downloads.Downloaded(
        key, hub_key, record.repository, record.revision, str(folder), files, sum(file.bytes for file in record.files)
    )


def of_the_disk(error: OSError, folder: Path) -> MachineError:
    if error.errno == errno.ENOSPC:
        return MachineError(
            f"The disk of {folder} is full",
            "Free some space and run the same command: what arrived is kept, and it goes on from there.",
            "disk_full",
        )
    return MachineError(f"{folder} cannot be written: {error}", "Give another folder with --to.", "unwritable")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
