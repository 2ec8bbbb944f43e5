"""How a process that fetches or unpacks says what happens: lines of `daemon.api.downloads` on standard output."""

from __future__ import annotations

import os
import signal
import threading
import time
from pathlib import Path
from typing import TextIO

import msgspec

from tunesmith.daemon.api import disk_errors, downloads
from tunesmith.recipes.errors import MachineError
from tunesmith.recipes.words import meaning

TELL_EVERY_S = 0.1
STOP_WITHIN_S = 3.0  # to close connections and journals


class Teller:
    """Writes messages to `stream`; progress at most ten times a second."""

    def __init__(self, stream: TextIO, as_json: bool) -> None:
        self.stream, self.as_json = stream, as_json
        self.told_at = 0.0

    def progress(self, done: int, total: int) -> None:
        if self.due(done, total):
            self.say(downloads.Downloading(done, total))

    def checking(self, done: int, total: int) -> None:
        if self.due(done, total):
            self.say(downloads.Checking(done, total))

    def waiting(self, text: str) -> None:
        if self.due(0, 1):
            self.say(downloads.Waiting(str(text), meaning(text)))

    def due(self, done: int, total: int) -> bool:
        now = time.monotonic()
        if now - self.told_at < TELL_EVERY_S and done != total:
            return False
        self.told_at = now
        return True

    def say(self, message: msgspec.Struct) -> None:
        text = msgspec.json.encode(message).decode() if self.as_json else str(message)
        print(text, file=self.stream, flush=True)


def alone(as_json: bool) -> Teller:
    """A teller that has standard output for itself; what libraries print goes to standard error from now on."""
    teller = Teller(os.fdopen(os.dup(1), "w", encoding="utf-8"), as_json)
    os.dup2(2, 1)
    return teller


def end_with_parent() -> None:
    """End when standard input is closed: whoever started this holds the other end. What arrived is kept."""

    def wait() -> None:
        os.read(0, 1)
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(STOP_WITHIN_S)
        os._exit(1)

    threading.Thread(target=wait, daemon=True).start()


def of_the_disk(error: OSError, folder: Path) -> MachineError:
    """What a person is told of an error of the disk while `folder` was written."""
    if error.errno in disk_errors.FULL:
        return MachineError(
            f"The disk of {folder} is full",
            "Free some space and run the same command: what arrived is kept, and it goes on from there.",
            "disk_full",
        )
    return MachineError(f"{folder} cannot be written: {error}", "Give another folder with --to.", "unwritable")
