"""The engines' processes, one a model: started when asked for and when there is memory, ended when idle.

A crash in there ends a process and not the daemon; the next question starts another.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import sys
import time
from collections.abc import AsyncGenerator, Callable, Iterator
from pathlib import Path

import msgspec

from tunesmith.daemon.admission import Look
from tunesmith.daemon.api.home import Home
from tunesmith.daemon.api.requests import LoadingModel
from tunesmith.daemon.serving import beside, memory
from tunesmith.daemon.serving.child import Child
from tunesmith.daemon.serving.lines import Answer, Embed, Generate, Ready
from tunesmith.daemon.serving.memory import Needed
from tunesmith.daemon.serving.subjects import Subject
from tunesmith.daemon.settings import Settings
from tunesmith.recipes.errors import JobError, MachineError, ModelError

WAITING = 64  # questions under way or waiting at once: 32 streams, and as many behind them
KEPT = 4  # models at once, whatever the memory: tuned and base side by side, one that is served, and one more
CONTEXT, SLOTS = 4096, 8  # a context costs memory when it is made, and models claim up to a million
LOOK_EVERY_S = 5.0
Question = Callable[[int], Generate | Embed]
log = logging.getLogger("tunesmith.serving")


class How(msgspec.Struct, frozen=True):
    """How a model is held: `context` tokens a conversation, `slots` answers at once, `idle_s` without a question.

    `engine` is a card's key, or auto. `adapters` are the paths of those that will be asked for, which some engines must
    be told when they start.
    """

    context: int = CONTEXT
    slots: int = SLOTS
    idle_s: float | None = None
    engine: str = "auto"
    adapters: tuple[str, ...] = ()


class Held(msgspec.Struct):
    """A model that is loaded or being loaded. `need` is what it takes; `adapters` None: any can be put on it."""

    name: str
    engine: str
    child: Child
    need: Needed
    idle_s: float
    adapters: frozenset[str] | None = None

    def has(self, adapter: str) -> bool:
        return not adapter or self.adapters is None or adapter in self.adapters


class Short(msgspec.Struct, frozen=True):
    """Why a model does not fit now; `on_device`: in the memory of the device."""

    refusal: ModelError
    on_device: bool = False


class Engines:
    """`how` says for a model's path how it is served, where a person said so.

    `held_back`: bytes of the machine's memory that are promised to runs and do not show as taken yet; `on_device`:
    those of the device that runs were promised, taken or not.
    """

    def __init__(
        self,
        home: Home,
        settings: Settings,
        machine: Look,
        held_back: Callable[[], int] = lambda: 0,
        on_device: Callable[[], int] = lambda: 0,
    ) -> None:
        self._home = home
        self._settings = settings
        self._machine = machine
        self._held_back, self._on_device = held_back, on_device
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

    async def load_as(self, subject: Subject, how: How) -> Ready:
        """As `load`, and held so from now on; as it was before where that cannot be."""
        before = self.how.get(subject.path)
        self.how[subject.path] = how
        try:
            return await self.load(subject)
        except BaseException:
            del self.how[subject.path]
            if before is not None:
                self.how[subject.path] = before
            raise

    async def unload(self, path: Path) -> None:
        if (held := self._held.pop(path, None)) is not None:
            await held.child.gone()

    def held_as(self, path: Path, how: How) -> bool:
        """Whether nothing has to be loaded anew to hold it so; most engines take adapters as they are asked for."""
        held = self._held.get(path)
        if held is None:
            return True
        same = msgspec.structs.replace(self.how.get(path, How()), adapters=how.adapters) == how
        return same and all(map(held.has, how.adapters))

    def loaded(self, path: Path) -> Ready | None:
        held = self._held.get(path)
        return held.child.ready if held is not None and held.child.lives else None

    @property
    def unseen_bytes(self) -> int:
        """Of the memory that the models take, what does not show as taken: admission counts it."""
        return sum(memory.unseen(one.need, one.child.process.pid) for one in self._held.values() if one.child.lives)

    @property
    def unseen_device_bytes(self) -> int:
        """Of the device: an engine takes all of its share while it loads, so a loaded one's shows."""
        loading = (one for one in self._held.values() if one.child.lives and one.child.ready is None)
        return sum(one.need.device_bytes for one in loading)

    def loading(self) -> Iterator[LoadingModel]:
        """Those that do not answer yet, with what their engines said last."""
        for one in self._held.values():
            if one.child.lives and one.child.ready is None:
                seconds = time.monotonic() - one.child.began
                yield LoadingModel(one.name, one.engine, one.child.loading, seconds)

    async def _ready(self, subject: Subject) -> Held:
        """A loaded one, with one user more."""
        async with self._starting:
            held = self._held.pop(subject.path, None)
            if held is not None and held.child.lives and not held.has(subject.adapter):
                await self._without_adapter(subject, held)
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

    async def _without_adapter(self, subject: Subject, held: Held) -> None:
        """End `held`, which would have to be told of it when it starts. Raises JobError while others ask it."""
        if held.child.users:
            self._held[subject.path] = held
            raise JobError(
                f"{held.name} was loaded without the adapter {subject.adapter}, and is being asked",
                "Ask again later, or serve the two together: tunesmith serve MODEL --adapter NAME=PATH.",
                "adapter_not_loaded",
            )  # fmt: skip
        await held.child.gone()

    async def _start(self, subject: Subject) -> Held:
        """Raises TunesmithError when there is no room for it, or no such engine."""
        how = self.how.get(subject.path, How())
        row = beside.row_of(how.engine)
        command = [
            sys.executable, "-m", self._settings.engine_module, str(subject.path), "--engine", how.engine,
            "--context", str(how.context), "--slots", str(how.slots),
        ]  # fmt: skip
        if subject.convert:
            command += ["--convert", subject.convert]
        if subject.eyes is not None:
            command += ["--mmproj", str(subject.eyes)]
        need = await asyncio.to_thread(self._needed, subject, how)
        await self._make_room(subject, need)
        adapters = None if row is None else frozenset(filter(None, (*how.adapters, subject.adapter)))
        if row is not None:
            about = beside.words(row, self._home, self._machine, need, adapters or ())
            command += await asyncio.to_thread(list, about)
        try:
            child = await Child.start(command, subject.log)
        except OSError as error:
            hint = "Look at free memory and the limit on processes, then ask again."
            raise MachineError(
                f"No process could be started for {subject.name}: {error}", hint, "engine_start"
            ) from error
        log.info("engine %d for %s", child.process.pid, subject.path)
        idle_s = self._settings.engine_idle_s if how.idle_s is None else how.idle_s
        return Held(subject.name, how.engine, child, need, idle_s, adapters)

    def _needed(self, subject: Subject, how: How) -> Needed:
        """Raises TunesmithError where the engine is not installed, or has no device here."""
        if (row := beside.row_of(how.engine)) is None:
            return memory.needed(subject, how.context)
        beside.program(row, self._home)
        return memory.of_server(subject, how.context, how.slots, beside.place(row, self._home, self._machine))

    async def _make_room(self, subject: Subject, need: Needed) -> None:
        """End those used longest ago that nobody asks, until it fits. Raises ModelError when it does not."""
        self._forget_dead()
        while True:
            short = await asyncio.to_thread(self._short, subject, need)
            if len(self._held) < KEPT and short is None:
                return
            on_device = short is not None and short.on_device and len(self._held) < KEPT
            idle = [path for path, held in self._held.items() if not held.child.users]
            helps = [path for path in idle if not on_device or self._held[path].need.device_bytes]
            if not helps:
                if len(self._held) >= KEPT or short is None:
                    raise JobError(f"{KEPT} models answer at once already", "Ask again later.", "too_many_chats")
                raise short.refusal
            await self.unload(helps[0])

    def _short(self, subject: Subject, need: Needed) -> Short | None:
        """Of what there is too little now."""
        if need.bytes > (free := self._free_bytes()):
            return Short(memory.refusal(subject, need.bytes, free))
        if need.device_bytes and need.device_bytes > (free := self._free_on_device()):
            return Short(memory.refusal(subject, need.device_bytes, free, "GPU memory"), on_device=True)
        return None

    def _free_on_device(self) -> int:
        """What runs were promised is held back as far as it does not show as taken yet."""
        place = self._machine.now(self._home, "auto").place
        promised = max(0, self._on_device() - (place.memory_bytes - place.free_bytes))
        return place.free_bytes - self.unseen_device_bytes - promised

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
