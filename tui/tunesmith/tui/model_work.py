"""What is done to the cache of models (a pull, a check, an import): one at a time, going on while nobody looks."""

from __future__ import annotations

import importlib
from collections.abc import AsyncGenerator
from contextlib import aclosing
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol

import msgspec

from tunesmith.recipes.errors import ErrorBody, TunesmithError
from tunesmith.tui.run_words import words

if TYPE_CHECKING:
    from collections.abc import Coroutine

    from textual.worker import Worker

    from tunesmith.daemon.api.home import Home

Kind = Literal["pull", "verify", "import"]


class Ended(msgspec.Struct, frozen=True):
    """`error` None: it went well, and `damaged` of `models` are not whole (a check), `bytes` are there (the others)."""

    kind: Kind
    name: str
    error: ErrorBody | None = None
    stopped: bool = False
    bytes: int = 0
    models: int = 0
    damaged: int = 0


class Now(msgspec.Struct, frozen=True):
    """At work on `name`: `done` of `total` bytes in this `phase`, or what it waits for."""

    kind: Kind
    name: str
    phase: Literal["begun", "downloading", "checking", "waiting"] = "begun"
    done: int = 0
    total: int = 0
    waits: str = ""


class Runs(Protocol):
    """What keeps a coroutine going, and ends it: the app."""

    def run_worker(self, work: Coroutine[Any, Any, None], *, group: str, exclusive: bool) -> Worker[None]: ...


class ModelWork:
    """`now` and `ended` are drawn by whoever shows them; `checked` says by folder what a check found damaged."""

    def __init__(self, home: Home, runs: Runs) -> None:
        self.home = home
        self.now: Now | None = None
        self.ended: Ended | None = None
        self.checked: dict[Path, tuple[str, ...]] = {}
        self._runs = runs
        self._worker: Worker[None] | None = None

    def pull(self, name: str) -> None:
        models = importlib.import_module("tunesmith.daemon.api.models")
        self._begin("pull", name, models.pull(self.home, name))

    def verify(self, *names: str) -> None:
        """All of them without names."""
        models = importlib.import_module("tunesmith.daemon.api.models")
        self._begin("verify", " ".join(names), models.verify(self.home, names))

    def take_in(self, path: Path) -> None:
        """A folder, or a GGUF file."""
        models = importlib.import_module("tunesmith.daemon.api.models")
        act = models.unpack if path.suffix.lower() == ".gguf" else models.adopt
        self._begin("import", path.name, act(self.home, str(path), ""))

    def stop(self) -> None:
        """What arrived is kept."""
        if self._worker is not None and self.now is not None:
            self._worker.cancel()
            self.ended = Ended(self.now.kind, self.now.name, stopped=True)
            self.now = None

    def _begin(self, kind: Kind, name: str, messages: AsyncGenerator[Any, None]) -> None:
        self.now, self.ended = Now(kind, name), None
        self._worker = self._runs.run_worker(self._follow(kind, name, messages), group="models", exclusive=True)

    async def _follow(self, kind: Kind, name: str, messages: AsyncGenerator[Any, None]) -> None:
        downloads = importlib.import_module("tunesmith.daemon.api.downloads")
        models = importlib.import_module("tunesmith.daemon.api.models")
        ended = Ended(kind, name)
        try:
            async with aclosing(messages) as arriving:
                async for message in arriving:
                    match message:
                        case downloads.Downloading(done, total):
                            self.now = Now(kind, name, "downloading", done, total)
                        case downloads.Checking(done, total):
                            self.now = Now(kind, name, "checking", done, total)
                        case downloads.Waiting(text, said):
                            self.now = Now(kind, name, "waiting", waits=words(text, said))
                        case models.Pulled():
                            ended = Ended(kind, name, bytes=message.model.bytes)
                            self.checked.pop(Path(message.folder), None)
                        case models.Verified(found):
                            self.checked.update({Path(one.folder): one.damaged for one in found})
                            damaged = sum(bool(one.damaged) for one in found)
                            ended = Ended(kind, name, models=len(found), damaged=damaged)
        except TunesmithError as error:
            ended = Ended(kind, name, error.body())
        self.now, self.ended = None, ended
