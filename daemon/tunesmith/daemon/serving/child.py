"""A process that holds a model, as the daemon sees it: many questions at once on two pipes, and its end."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import logging
import os
import signal
import time
from collections.abc import AsyncGenerator, Callable, Sequence
from pathlib import Path

import msgspec

from tunesmith.daemon.limits import first_to_end
from tunesmith.daemon.serving.lines import LAST, Answer, Embed, Generate, Line, Loading, Ready, Refused, Stop
from tunesmith.recipes.errors import ModelError

LINE_LIMIT = 4 << 20  # bytes of an answer's line: a vector of 10,000 numbers is 250 kB
LOG_LIMIT = 1 << 20  # bytes of a log from which on it is begun anew with the next process
DIED_HINT = "Is there memory for the model? What it said last is in {log}."
log = logging.getLogger("tunesmith.serving")


class Child:
    """`ready` once the model is loaded, `why` it could not be or died; `users` ask or wait for it.

    Until then `loading` is what the engine said last, where it says anything.
    """

    def __init__(self, process: asyncio.subprocess.Process, log_file: Path) -> None:
        self.process = process
        self.ready: Ready | None = None
        self.why: Refused | None = None
        self.loading = ""
        self.began = time.monotonic()
        self.users = 0
        self.last_used = time.monotonic()
        self._log_file = log_file
        self._ids = itertools.count(1)
        self._asked: dict[int, asyncio.Queue[Answer | None]] = {}
        self._told = asyncio.Event()
        self._killed = False
        self._reading = asyncio.create_task(self._read())

    @classmethod
    async def start(cls, command: Sequence[str], log_file: Path) -> Child:
        """Raises OSError."""
        mode = "ab" if log_file.exists() and log_file.stat().st_size < LOG_LIMIT else "wb"
        with log_file.open(mode) as errors:
            process = await asyncio.create_subprocess_exec(
                *command, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=errors,
                start_new_session=True, limit=LINE_LIMIT,
            )  # fmt: skip
        first_to_end(process.pid)
        return cls(process, log_file)

    @property
    def lives(self) -> bool:
        return self.process.returncode is None and not self._killed

    async def loaded(self) -> Ready:
        """When it answers. Raises ModelError when it cannot."""
        await self._told.wait()
        if self.ready is None:
            raise self._error()
        return self.ready

    def _error(self) -> ModelError:
        found = self.why or self._died(0)
        return ModelError(found.message, found.hint, found.code)

    def _died(self, id: int) -> Refused:
        if self.why is not None:
            return msgspec.structs.replace(self.why, id=id)
        return Refused(id, "engine_died", "The process that answers ended", DIED_HINT.format(log=self._log_file))

    async def ask(self, question: Callable[[int], Generate | Embed]) -> AsyncGenerator[Answer, None]:
        """The events of an answer to `question(id)`. Left before its end, the answer is stopped."""
        id, events = next(self._ids), asyncio.Queue[Answer | None]()
        self._asked[id] = events
        ended = False
        try:
            await self._send(question(id))
            while not ended:
                event = await events.get() or self._died(id)
                ended = isinstance(event, LAST)
                yield event
        finally:
            del self._asked[id]
            self.last_used = time.monotonic()
            if not ended and self.lives:
                with contextlib.suppress(ConnectionError, RuntimeError):  # it ends just now
                    self._write(Stop(id))

    def _write(self, line: Generate | Embed | Stop) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(msgspec.json.encode(line) + b"\n")

    async def _send(self, line: Generate | Embed) -> None:
        assert self.process.stdin is not None
        with contextlib.suppress(ConnectionError, RuntimeError):  # it has ended: what is read says so
            if self._told.is_set() and not self.lives:
                self._asked[line.id].put_nowait(None)
                return
            self._write(line)
            await self.process.stdin.drain()

    async def _read(self) -> None:
        """Until it says no more, or something that it should not: then it is of no use, and is ended."""
        decoder = msgspec.json.Decoder(Line)
        assert self.process.stdout is not None
        try:
            while line := await self.process.stdout.readline():
                self._hear(decoder.decode(line))
                if self.why is not None and self.why.code == "engine_died":
                    break  # what holds its output open is being ended
        except (ConnectionError, ValueError) as error:  # ValueError: a line above the limit, or no line of ours
            log.warning("engine %d said what cannot be read: %s", self.process.pid, error)
        self.kill()
        self._told.set()
        for events in self._asked.values():
            events.put_nowait(None)

    def _hear(self, line: Line) -> None:
        if isinstance(line, Ready):
            self.ready = line
            self._told.set()
        elif isinstance(line, Loading):
            self.loading = line.said
        elif line.id in self._asked:
            self._asked[line.id].put_nowait(line)
        elif isinstance(line, Refused) and line.id == 0:
            log.warning("engine %d: %s", self.process.pid, line.message)
            self.why = line

    def kill(self) -> None:
        if self.lives:
            self._killed = True
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)

    async def gone(self) -> None:
        """Killed, and no process any more."""
        self.kill()
        await self.process.wait()
        await self._reading
