"""The process of an engine's server: started under a keeper, heard while it loads, and watched until it ends."""

from __future__ import annotations

import collections
import contextlib
import os
import re
import secrets
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import httpx
import psutil

from tunesmith.daemon.worker.serve.servers import keeper
from tunesmith.recipes.errors import ModelError

START_WITHIN_S = 1800.0  # 140 GB of weights from a disk of 100 MB/s take 25 minutes
LOOK_EVERY_S = 0.2
KEPT, LINE_LIMIT = 400, 300  # lines of what it said last, and characters of each
NOT_THE_CAUSE = "root cause"  # what vLLM says last of an error is where to look for it
NOISE = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")  # colours
ENDS = re.compile(rb"[\r\n]+")  # progress bars are written over themselves


def new_key() -> str:
    return secrets.token_urlsafe(32)


@contextlib.contextmanager
def private_folder() -> Iterator[Path]:
    """Of mode 0700, with a name that is short enough for a socket's path.

    It is removed where what is done with it fails; else the keeper does that, once nobody uses it.
    """
    folder = Path(tempfile.mkdtemp(prefix="tunesmith-", dir="/tmp"))
    try:
        yield folder
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


class Server:
    """`tell` hears its last line while it loads, `died` its end when it was not asked to; both from another thread."""

    def __init__(
        self,
        title: str,
        command: tuple[str, ...],
        environment: Mapping[str, str],
        private: Path,
        output: int | None,
        tell: Callable[[str], None],
        died: Callable[[str], None],
    ) -> None:
        self._title, self._tell, self._died = title, tell, died
        self._lines: collections.deque[str] = collections.deque(maxlen=KEPT)
        self._ready = self._closing = False
        self.ended = threading.Event()
        self._process = subprocess.Popen(
            [sys.executable, "-I", keeper.__file__, str(private), *command],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True,
            env={**os.environ, **environment}, pass_fds=() if output is None else (output,),
            cwd=private,  # where Python looks for modules first, and nobody else can put one
        )  # fmt: skip
        self._reading = threading.Thread(target=self._read, daemon=True)
        self._reading.start()

    def _read(self) -> None:
        """All that it prints, into the log of this process; until its end."""
        assert self._process.stdout is not None
        rest = b""
        while data := self._process.stdout.read1(65_536):  # type: ignore[attr-defined]
            os.write(2, data)
            *lines, rest = ENDS.split(rest + data)
            for line in lines:
                self._hear(line)
            rest = rest[-65_536:]
        self._hear(rest)
        self._process.wait()
        self.ended.set()
        if self._ready and not self._closing:
            self._died(f"{self._title} ended with {self._process.returncode}: {self.said}")

    def _hear(self, line: bytes) -> None:
        text = NOISE.sub("", line.decode("utf-8", "replace")).strip()[:LINE_LIMIT]
        if text:
            self._lines.append(text)
            if not self._ready:
                self._tell(text)

    @property
    def said(self) -> str:
        """The last line that says what went wrong; where none does, the last."""
        for mark in ("Error: ", "error"):
            for line in reversed(self._lines):
                if mark.lower() in line.lower() and NOT_THE_CAUSE not in line:
                    return line
        return self._lines[-1] if self._lines else "it said nothing"

    def until_ready(self, client: httpx.Client, port: int | None) -> None:
        """Until it answers; this process ends with its parent meanwhile. Raises ModelError when it ends instead."""
        parent, deadline = os.getppid(), time.monotonic() + START_WITHIN_S
        while not self._answers(client, port):
            if os.getppid() != parent:  # the daemon is gone, and nobody reads standard input yet
                os._exit(1)
            if self.ended.wait(LOOK_EVERY_S):
                self._reading.join()
                raise ModelError(
                    f"{self._title} ended before the model was loaded: {self.said}",
                    "Its log, that of this model's process, has all that it said.",
                    "engine_failed",
                )
            if time.monotonic() > deadline:
                self.close()
                raise ModelError(
                    f"{self._title} did not answer within {START_WITHIN_S / 60:.0f} minutes; it said last: {self.said}",
                    "Look into its log; a smaller model or another engine starts sooner.",
                    "engine_failed",
                )
        self._ready = True

    def _answers(self, client: httpx.Client, port: int | None) -> bool:
        if port is not None and not self._listens(port):
            return False
        try:
            return client.get("/health").status_code == 200
        except httpx.TransportError:  # it does not listen yet
            return False

    def _listens(self, port: int) -> bool:
        """Whether it is a process of its own that has the port: another's must not be told the key."""
        with contextlib.suppress(psutil.NoSuchProcess):
            for one in psutil.Process(self._process.pid).children(recursive=True):
                with contextlib.suppress(psutil.NoSuchProcess):
                    for found in one.net_connections("tcp4"):
                        if found.status == psutil.CONN_LISTEN and found.laddr.port == port:
                            return True
        return False

    def close(self) -> None:
        """Ask it to end, and wait until it has."""
        self._closing = True
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait()
