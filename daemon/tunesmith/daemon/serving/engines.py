"""The engines' processes, one a model: started when asked for and when there is memory, ended when idle.

A crash in there ends a process and not the daemon; the next question starts another.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import sys
import time
from collections.abc import AsyncGenerator, Callable
from pathlib import Path

import msgspec

from tunesmith.daemon.admission import Look
from tunesmith.daemon.api.home import Home
from tunesmith.daemon.serving import memory
from tunesmith.daemon.serving.child import Child
from tunesmith.daemon.serving.lines import Answer, Embed, Generate, Ready
from tunesmith.daemon.serving.memory import Needed
from tunesmith.daemon.serving.subjects import Subject
from tunesmith.daemon.settings import Settings
from tunesmith.recipes.errors import JobError, MachineError

WAITING = 64  # questions under way or waiting at once: 32 streams, and as many behind them
KEPT = 4  # models at once, whatever the memory: tuned and base side by side, one that is served, and one more
CONTEXT, SLOTS = 4096, 8  # a context costs memory when it is made, and models claim up to a million
LOOK_EVERY_S = 5.0
Question = Callable[[int], Generate | Embed]
log = logging.getLogger("tunesmith.serving")


class How(msgspec.Struct, frozen=True):
    """How a model is held: `context` tokens a conversation, `slots` answers at once, `idle_s` without a question."""

    context: int = CONTEXT
    slots: int = SLOTS
    idle_s: float | None = None


class Held(msgspec.Struct):
    """A model that is loaded or being loaded. `need` is what it takes."""

    child: Child
    need: Needed
    idle_s: float


class Engines:
    """`how` says for a model's path how it is served, where a person said so.

    `held_back`: bytes of the machine's memory that are promised to runs and do not show as taken yet.
    """

    def __init__(self, home: Home, settings: Settings, machine: Look, held_back: Callable[[], int] = lambda: 0) -> None:
        self._home = home
        self._settings = settings
        self._machine = machine
        self._held_back = held_back
        self._held: dict[Path, Held] = {}
        self._starting = asyncio.Lock()
        self._asked = 0
        self.how: dict[Path, How] = {}

    async def answer(self, subject: Subject, question: Question) -> AsyncGenerator[Answer, None]:
        """Raises TunesmithError before the first event when `subject` cannot be loaded."""
        self.refuse_crowd()
        self._asked += 1
        try:
            held = await self._ready(subject)
            try:
                async with contextlib.aclosing(held.child.ask(question)) as events:
                    async for event in events:
                        yield event
            finally:
                held.child.users -= 1
        finally:
            self._asked -= 1

    def refuse_crowd(self, more: int = 1) -> None:
        """Raises JobError when too many wait for an answer already."""
        if self._asked + more > WAITING:
            raise JobError(f"{WAITING} questions wait for an answer already", "Ask again later.", "too_many_chats")

    async def load(self, subject: Subject) -> Ready:
        """Have it loaded, or find out why it cannot be. Raises TunesmithError."""
        held = await self._ready(subject)
        held.child.users -= 1
        assert held.child.ready is not None
        return held.child.ready

    async def unload(self, path: Path) -> None:
        if (held := self._held.pop(path, None)) is not None:
            await held.child.gone()

    def loaded(self, path: Path) -> Ready | None:
        held = self._held.get(path)
        return held.child.ready if held is not None and held.child.lives else None

    @property
    def unseen_bytes(self) -> int:
        """Of the memory that the models take, what does not show as taken: admission counts it."""
        return sum(memory.unseen(one.need, one.child.process.pid) for one in self._held.values() if one.child.lives)

    async def _ready(self, subject: Subject) -> Held:
        """A loaded one, with one user more."""
        async with self._starting:
            held = self._held.pop(subject.path, None)
            if held is None or not held.child.lives:
                held = await self._start(subject)
            self._held[subject.path] = held  # the last is the one used last
            held.child.users += 1
        try:
            await held.child.loaded()
        except BaseException:
            held.child.users -= 1
            raise
        held.child.last_used = time.monotonic()
        return held

    async def _start(self, subject: Subject) -> Held:
        """Raises MachineError, ModelError when there is no room for it."""
        how = self.how.get(subject.path, How())
        need = await asyncio.to_thread(memory.needed, subject, how.context)
        await self._make_room(subject, need)
        command = [
            sys.executable, "-m", self._settings.engine_module, str(subject.path), "--engine", subject.engine,
            "--context", str(how.context), "--slots", str(how.slots),
        ]  # fmt: skip
        if subject.convert:
            command += ["--convert", subject.convert]
        if subject.eyes is not None:
            command += ["--mmproj", str(subject.eyes)]
        try:
            child = await Child.start(command, subject.log)
        except OSError as error:
            hint = "Look at free memory and the limit on processes, then ask again."
            raise MachineError(
                f"No process could be started for {subject.name}: {error}", hint, "engine_start"
            ) from error
        log.info("engine %d for %s", child.process.pid, subject.path)
        return Held(child, need, self._settings.engine_idle_s if how.idle_s is None else how.idle_s)

    async def _make_room(self, subject: Subject, need: Needed) -> None:
        """End those used longest ago that nobody asks, until it fits. Raises ModelError when it does not."""
        self._forget_dead()
        while True:
            free = await asyncio.to_thread(self._free_bytes)
            if len(self._held) < KEPT and need.bytes <= free:
                return
            idle = [path for path, held in self._held.items() if not held.child.users]
            if not idle:
                if len(self._held) >= KEPT:
                    raise JobError(f"{KEPT} models answer at once already", "Ask again later.", "too_many_chats")
                raise memory.refusal(subject, need.bytes, free)
            await self.unload(idle[0])

    def _free_bytes(self) -> int:
        free = self._machine.now(self._home, "cpu").place.host_free_bytes
        return free - memory.LEFT_BYTES - self.unseen_bytes - self._held_back()

    def _forget_dead(self) -> None:
        self._held = {path: held for path, held in self._held.items() if held.child.lives}

    async def end_idle(self) -> None:
        """For ever: end those nobody asked for a while."""
        while True:
            shortest = min([self._settings.engine_idle_s, *(held.idle_s for held in self._held.values())])
            await asyncio.sleep(min(LOOK_EVERY_S, max(shortest, 0.05)))
            self._forget_dead()
            for path, held in list(self._held.items()):
                if not held.child.users and time.monotonic() - held.child.last_used > held.idle_s:
                    await self.unload(path)

    async def close(self) -> None:
        await asyncio.gather(*(held.child.gone() for held in self._held.values()))
