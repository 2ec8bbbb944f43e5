"""A program on a terminal of its own (a pty): keys go in, and what it draws is watched as the bytes arrive."""

from __future__ import annotations

import fcntl
import os
import pty
import select
import signal
import struct
import subprocess
import termios
import threading
import time
from types import TracebackType
from typing import NamedTuple

COLUMNS, LINES = 120, 36
READ_BYTES = 65536
KEEP_BYTES = 1 << 20  # of what was drawn: more than one whole screen with its colours


class Took(NamedTuple):
    """The second says what the first would be on a machine that does nothing else."""

    seconds: float
    processor_s: float


class Terminal:
    """`with Terminal(command) as terminal`; whatever the program does, it is gone afterwards."""

    def __init__(self, command: list[str], **environment: str) -> None:
        self.command = command
        self.environment = os.environ | {"TERM": "xterm-256color", "LANG": "en_US.UTF-8"} | environment
        self.environment.pop("NO_COLOR", None)
        self._drawn = b""
        self._arrived = threading.Condition()

    def __enter__(self) -> Terminal:
        self._controller, terminal = pty.openpty()
        fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", LINES, COLUMNS, 0, 0))
        self.process = subprocess.Popen(
            self.command, stdin=terminal, stdout=terminal, stderr=terminal, env=self.environment, start_new_session=True
        )
        os.close(terminal)
        self._open = True
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.process.poll() is None:
            os.kill(self.process.pid, signal.SIGKILL)
        self.process.wait()
        self._open = False
        self._reader.join()
        os.close(self._controller)

    def _read(self) -> None:
        while self._open:
            if not select.select([self._controller], [], [], 0.05)[0]:
                continue
            try:
                arrived = os.read(self._controller, READ_BYTES)
            except OSError:  # a pty whose program has ended
                return
            with self._arrived:
                self._drawn = (self._drawn + arrived)[-KEEP_BYTES:]
                self._arrived.notify_all()

    def processor_s(self) -> float:
        """Processor seconds of the program so far; Linux's clock of a process, finer than its ticks."""
        return time.clock_gettime((~self.process.pid << 3) | 2)

    def press(self, keys: str, until: str, within_s: float = 30) -> Took:
        """From the key until `until` was drawn after it."""
        with self._arrived:
            self._drawn = b""
        began, used = time.perf_counter(), self.processor_s()
        os.write(self._controller, keys.encode())
        self.wait(until, within_s)
        return Took(time.perf_counter() - began, self.processor_s() - used)

    def wait(self, until: str, within_s: float = 30) -> None:
        """Until that was drawn since the last key."""
        with self._arrived:
            if not self._arrived.wait_for(lambda: until.encode() in self._drawn, within_s):
                raise SystemExit(f"{until!r} was not drawn: {self._drawn[-400:]!r}")


def share(values: list[float], part: float) -> float:
    """The value that `part` of them do not exceed."""
    return sorted(values)[min(len(values) - 1, int(len(values) * part))]
