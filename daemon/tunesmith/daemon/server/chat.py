"""llama.cpp children for chatting, one a GGUF: an abort in there ends a child and not the daemon."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import sys
import time
from collections.abc import AsyncGenerator, Callable
from pathlib import Path

import msgspec

from tunesmith.daemon.api.home import Home
from tunesmith.daemon.api.requests import Chat, ChatDelta, ChatEvent, ChatFailed
from tunesmith.daemon.settings import Settings
from tunesmith.recipes.errors import JobError

WAITING = 8  # for an answer at once: they are given one after the other, and a person asks one or two
KEPT = 2  # tuned and base side by side; each holds a model in memory
LINE_LIMIT = 1 << 20
LOOK_EVERY_S = 5.0
PREFERRED = tuple(f"model-{kind}.gguf" for kind in ("q8_0", "q6_k", "q5_k_m", "q4_k_m", "f16", "bf16"))
log = logging.getLogger("tunesmith.chat")


class Child:
    """One generation at a time, under `turn`."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process
        self.turn = asyncio.Lock()
        self.users = 0
        self.last_used = time.monotonic()
        self._killed = False

    @property
    def lives(self) -> bool:
        return self.process.returncode is None and not self._killed

    async def answer(self, chat: Chat) -> AsyncGenerator[ChatEvent, None]:
        """Left before its end (the reader went away), it kills the child: nothing else stops a generation.

        So does one that broke off, which may not be known as ended yet when the next is asked for.
        """
        assert self.process.stdin is not None and self.process.stdout is not None
        ended = False
        try:
            self.process.stdin.write(msgspec.json.encode(chat) + b"\n")
            await self.process.stdin.drain()
            while not ended:
                event: ChatEvent = msgspec.json.decode(await self.process.stdout.readline(), type=ChatEvent)
                ended = not isinstance(event, ChatDelta)
                yield event
        except (ConnectionError, ValueError):  # ValueError: a line above the limit, or none (msgspec's DecodeError)
            self.kill()
            hint = "Look at chat.log in the job's folder; is there memory for the model?"
            yield ChatFailed("chat_died", "The process that answers ended", hint)
        finally:
            self.last_used = time.monotonic()
            if not ended:
                self.kill()

    def kill(self) -> None:
        if self.lives:
            self._killed = True
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)


class Chats:
    def __init__(self, home: Home, settings: Settings, places: Callable[[int], list[int]]) -> None:
        """`places` are the jobs in which a model of a job may lie: its own folder first."""
        self._home = home
        self._places = places
        self._settings = settings
        self._children: dict[Path, Child] = {}
        self._starting = asyncio.Lock()
        self._asked = 0

    async def answer(self, job_id: int, chat: Chat) -> AsyncGenerator[ChatEvent, None]:
        """Raises JobError at once, before the first event, when the job has no such model."""
        self._asked += 1
        try:
            async with contextlib.aclosing(self._answer(job_id, chat)) as events:
                async for event in events:
                    yield event
        finally:
            self._asked -= 1

    async def _answer(self, job_id: int, chat: Chat) -> AsyncGenerator[ChatEvent, None]:
        gguf, arguments = self._model(job_id, chat.base)
        answered = False
        while not answered:
            child = await self._child(job_id, gguf, arguments)
            child.users += 1
            try:
                async with child.turn:
                    if not child.lives:  # whoever was before us hung up, which killed it
                        continue
                    answered = True
                    async with contextlib.aclosing(child.answer(chat)) as events:
                        async for event in events:
                            yield event
            finally:
                child.users -= 1

    def check(self, job_id: int, base: bool) -> None:
        """Raises JobError when the job has no model to chat with yet, or too many wait for an answer."""
        self._model(job_id, base)
        if self._asked >= WAITING:
            raise JobError(f"{WAITING} questions wait for an answer already", "Ask again later.", "too_many_chats")

    def _model(self, job_id: int, base: bool) -> tuple[Path, list[str]]:
        folder = self._home.job(job_id)
        if base:
            try:
                source = (folder / "base.txt").read_text("utf-8").strip()
            except FileNotFoundError as error:
                raise _no_model(job_id, "has not fetched its base model") from error
            return folder / "base-q8_0.gguf", ["--convert", source]
        for place in self._places(job_id):
            found = {path.name: path for path in (self._home.job(place) / "artifacts").glob("model-*.gguf")}
            if found:
                first = next((name for name in PREFERRED if name in found), min(found))
                return found[first], []
        raise _no_model(job_id, "has no GGUF")

    async def _child(self, job_id: int, gguf: Path, arguments: list[str]) -> Child:
        async with self._starting:
            child = self._children.pop(gguf, None)
            if child is None or not child.lives:
                await self._make_room()
                child = await self._start(job_id, gguf, arguments)
            self._children[gguf] = child  # the last is the one used last
            child.last_used = time.monotonic()
            return child

    async def _make_room(self) -> None:
        """End those used longest ago; one that is answering goes too, if there is no other."""
        self._forget_dead()
        while len(self._children) >= KEPT:
            idle = [path for path, child in self._children.items() if not child.users]
            child = self._children.pop((idle or list(self._children))[0])
            child.kill()
            await child.process.wait()

    async def _start(self, job_id: int, gguf: Path, arguments: list[str]) -> Child:
        with (self._home.job(job_id) / "chat.log").open("wb") as errors:
            process = await asyncio.create_subprocess_exec(
                sys.executable, "-m", self._settings.chat_module, str(gguf), *arguments,
                stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=errors,
                start_new_session=True, limit=LINE_LIMIT,
            )  # fmt: skip
        log.info("chat child %d for %s", process.pid, gguf)
        return Child(process)

    def _forget_dead(self) -> None:
        self._children = {path: child for path, child in self._children.items() if child.lives}

    async def end_idle(self) -> None:
        """For ever: end children nobody asked for a while."""
        while True:
            await asyncio.sleep(min(LOOK_EVERY_S, self._settings.chat_idle_s))
            self._forget_dead()
            for child in self._children.values():
                if not child.users and time.monotonic() - child.last_used > self._settings.chat_idle_s:
                    child.kill()

    async def close(self) -> None:
        children = [child for child in self._children.values() if child.lives]
        for child in children:
            child.kill()
        for child in children:
            await child.process.wait()


def _no_model(job_id: int, why: str) -> JobError:
    return JobError(f"Job {job_id} {why} yet", f"See how far it is with `tunesmith jobs show {job_id}`.", "no_model")
