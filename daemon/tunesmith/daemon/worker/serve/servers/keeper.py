"""Runs a command for as long as whoever started this lives, and ends it with all that it started; by path, with -I.

Standard input is a pipe whose other end only the owner has: it closes however the owner ends. The command is asked to
end first, so that it gives back what outlives a process (shared memory), and is killed when it takes too long.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import threading

import psutil

GRACE_S = 3.0  # with as much again for a busy machine, less than the 5 s that anything may outlive its owner


def main(private: str, command: list[str]) -> int:
    """The command's exit code; the folder `private` goes with it."""
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=sys.stderr, process_group=0)
    threading.Thread(target=_until_alone, args=(process,), daemon=True).start()
    code = process.wait()
    _end(process)  # what it left behind
    shutil.rmtree(private, ignore_errors=True)
    return code if code >= 0 else 128 - code


def _until_alone(process: subprocess.Popen[bytes]) -> None:
    while os.read(0, 4096):
        pass
    _end(process)


def _end(process: subprocess.Popen[bytes]) -> None:
    with contextlib.suppress(psutil.NoSuchProcess):
        others = psutil.Process(process.pid).children(recursive=True)  # those in sessions of their own too
        _signal(process.pid, signal.SIGTERM)
        psutil.wait_procs([psutil.Process(process.pid), *others], timeout=GRACE_S)
        for other in others:
            with contextlib.suppress(psutil.NoSuchProcess):
                other.kill()
    _signal(process.pid, signal.SIGKILL)


def _signal(group: int, number: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):  # PermissionError: macOS says so of the dead
        os.killpg(group, number)


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: None)  # it goes when its owner does
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    sys.exit(main(sys.argv[1], sys.argv[2:]))
