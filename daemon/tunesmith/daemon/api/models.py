"""Models: pulling one into the cache, and what a hub says of one, each from a process of its own; and removing one."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from typing import Any

import msgspec

from tunesmith.daemon.api import downloads, locks, model_store
from tunesmith.daemon.api.downloads import HUBS, Progress
from tunesmith.daemon.api.home import Home
from tunesmith.daemon.api.model_store import Kept, Snapshot
from tunesmith.recipes.errors import ErrorBody

UNPACK = "tunesmith.daemon.worker.unpack"


class Pulled(msgspec.Struct, frozen=True, tag="pulled"):
    """`fetched` bytes came over the network now; 0 when all of it was here."""

    model: Kept
    folder: str
    fetched: int = 0


class ListedFile(msgspec.Struct, frozen=True):
    """`needed`: training fetches it."""

    path: str
    bytes: int
    needed: bool


class Described(msgspec.Struct, frozen=True, kw_only=True, tag="described"):
    """A model as its hub describes it; `config` is empty and `parameters` None where the hub withholds them.

    `withheld` is why, `unusable` why it cannot be trained.
    """

    hub: str
    id: str
    revision: str
    page: str
    license: str = ""
    gated: bool = False
    private: bool = False
    downloads: int = 0
    parameters: int | None = None
    config: dict[str, Any] = {}
    files: tuple[ListedFile, ...] = ()
    withheld: ErrorBody | None = None
    unusable: ErrorBody | None = None

    @property
    def bytes(self) -> int:
        """What pulling it fetches."""
        return sum(file.bytes for file in self.files if file.needed)


class Result(msgspec.Struct, frozen=True, kw_only=True):
    """`key` is its name in the catalogue, empty when it is not there."""

    hub: str
    id: str
    downloads: int = 0
    license: str = ""
    gated: bool = False
    key: str = ""


class Found(msgspec.Struct, frozen=True, tag="found"):
    results: tuple[Result, ...]


class Checked(msgspec.Struct, frozen=True):
    """`damaged` says what is wrong, file by file; `mend` is the command that makes it right."""

    source: str
    folder: str
    damaged: tuple[str, ...] = ()
    mend: str = ""


class Verified(msgspec.Struct, frozen=True, tag="verified"):
    models: tuple[Checked, ...]


def pull(
    home: Home, source: str, hub: str = "", revision: str = "", *, refresh: bool = True
) -> AsyncGenerator[Progress | Pulled, None]:
    """Progress of a pull, the last one Pulled. Without `refresh` what lies in the cache is taken as it is."""
    return downloads.messages(home, HUBS, pull_arguments(source, hub, revision, refresh=refresh), Pulled)


def pull_arguments(source: str, hub: str = "", revision: str = "", *, refresh: bool = True) -> list[str]:
    only_missing = [] if refresh else ["--if-missing"]
    return ["pull", *only_missing, *named("hub", hub), *named("revision", revision), "--", source]


def describe(home: Home, source: str, hub: str = "", revision: str = "") -> AsyncGenerator[Progress | Described, None]:
    arguments = ["describe", *named("hub", hub), *named("revision", revision), "--", source]
    return downloads.messages(home, HUBS, arguments, Described)


def search(home: Home, text: str, hub: str = "", limit: int = 20) -> AsyncGenerator[Progress | Found, None]:
    arguments = ["search", "--limit", str(limit), *named("hub", hub), "--", text]
    return downloads.messages(home, HUBS, arguments, Found)


def verify(home: Home, names: Sequence[str]) -> AsyncGenerator[Progress | Verified, None]:
    return downloads.messages(home, HUBS, ["verify", "--", *names], Verified)


def adopt(home: Home, folder: str, name: str) -> AsyncGenerator[Progress | Pulled, None]:
    """A model folder of the person's, under a name in the cache."""
    return downloads.messages(home, HUBS, ["import", "--name", name, "--", folder], Pulled)


def unpack(home: Home, file: str, name: str) -> AsyncGenerator[Progress | Pulled, None]:
    """A GGUF file as a model folder in the cache; the engine that this takes stays out of this process."""
    return downloads.messages(home, UNPACK, ["import", "--name", name, "--", file], Pulled)


def named(option: str, value: str) -> list[str]:
    return [f"--{option}", value] if value else []


def remove(home: Home, snapshots: Sequence[Snapshot]) -> int:
    """Bytes that were freed. Waits for a pull of one of them to end. Raises OSError."""
    freed = model_store.frees(snapshots)
    for snapshot in snapshots:
        with locks.locked(model_store.lock_of(home, snapshot.kept.hub, snapshot.kept.repository)):
            if snapshot.folder.is_dir():
                model_store.remove(home, snapshot)
    model_store.remove_unshared(home)
    return freed
