"""The shared cache of models: blobs by SHA-256, a folder of hard links to them a revision, and what branches meant.

```
models/blobs/9f/9f2c…            each file once, whichever hub and model it belongs to
models/snapshots/HUB/OWNER/NAME/REVISION/   hard links, MODEL.json (Kept) and MANIFEST.json
models/refs/HUB/OWNER/NAME.json  branch to revision, so that offline the newest pulled one is found
models/partial/HUB/OWNER/NAME/REVISION/     what of a download has arrived, REVISION.json (Partial) beside it
models/locks/                    one a model; blobs.lock while blobs come or go
```
What was imported has the hub `local` and no owner. The starter lies beside all this, in `models/starter/`.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from pathlib import Path

import msgspec

from tunesmith.daemon.api import locks
from tunesmith.daemon.api.home import Home
from tunesmith.recipes.models.source import HUBS, LOCAL, Repository

RECORD = "MODEL.json"
MANIFEST = "MANIFEST.json"
SHORT = 7  # digits of a revision that are enough to name it, if no other begins with them


class KeptFile(msgspec.Struct, frozen=True):
    path: str
    bytes: int
    sha256: str


class Kept(msgspec.Struct, frozen=True, kw_only=True):
    """MODEL.json: a model as it lies in the cache.

    `revision` is the hub's commit, or a digest over all files where it tells none; `branch` is what was asked for.
    `fetched` is seconds since the epoch. `origin` is where an import came from, `unpacked` that it was a GGUF.
    """

    hub: str
    repository: str
    revision: str
    branch: str = ""
    fetched: float = 0.0
    origin: str = ""
    unpacked: bool = False
    files: tuple[KeptFile, ...] = ()
    version: int = 1

    @property
    def bytes(self) -> int:
        return sum(file.bytes for file in self.files)

    @property
    def source(self) -> str:
        """What a recipe says to mean just this."""
        return str(Repository(self.hub, self.repository, self.revision))

    @property
    def name(self) -> str:
        """The same in short, as it was asked for."""
        return str(Repository(self.hub, self.repository, self.branch))


class Snapshot(msgspec.Struct, frozen=True):
    folder: Path
    kept: Kept


class Partial(msgspec.Struct, frozen=True, kw_only=True):
    """REVISION.json beside the folder of a download that is not complete: `there` of its `bytes` are on this machine,
    as it was told last.
    """

    hub: str
    repository: str
    revision: str
    branch: str = ""
    bytes: int = 0
    there: int = 0
    version: int = 1


class Incomplete(msgspec.Struct, frozen=True):
    folder: Path
    partial: Partial


class Refs(msgspec.Struct, frozen=True):
    """Revision by branch; "" is the hub's main branch."""

    refs: dict[str, str] = {}
    version: int = 1


def blob(home: Home, sha256: str) -> Path:
    return home.models / "blobs" / sha256[:2] / sha256


def of(home: Home, part: str, hub: str, repository: str) -> Path:
    """`part` is snapshots, refs or partial."""
    return home.models.joinpath(part, hub, *repository.split("/"))


def refs_file(home: Home, hub: str, repository: str) -> Path:
    folder = of(home, "refs", hub, repository)
    return folder.with_name(f"{folder.name}.json")


def refs(home: Home, hub: str, repository: str) -> Refs:
    """None known where the file is missing or damaged: the next pull writes it."""
    try:
        return msgspec.json.decode(refs_file(home, hub, repository).read_bytes(), type=Refs)
    except (OSError, msgspec.DecodeError):
        return Refs()


def snapshots(home: Home) -> list[Snapshot]:
    """All that is whole, by hub and name."""
    root = home.models / "snapshots"
    depths = {LOCAL: f"*/*/{RECORD}"} | dict.fromkeys(HUBS, f"*/*/*/{RECORD}")
    return [
        Snapshot(path.parent, record(path, hub))
        for hub in sorted(depths)
        for path in sorted((root / hub).glob(depths[hub]))
        if not path.parent.name.startswith(".")  # being made, or being removed
    ]


def record(path: Path, hub: str) -> Kept:
    """Of a snapshot of `hub`; where it is damaged, what its place says, and no files."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=Kept)
    except (OSError, msgspec.DecodeError):
        folder = path.parent
        name = folder.parent.name if hub == LOCAL else f"{folder.parent.parent.name}/{folder.parent.name}"
        return Kept(hub=hub, repository=name, revision=folder.name)


def incomplete(home: Home) -> list[Incomplete]:
    """Downloads that were begun and are not whole."""
    found = []
    for path in sorted((home.models / "partial").glob("*/*/*/*.json")):
        try:
            partial = msgspec.json.decode(path.read_bytes(), type=Partial)
        except (OSError, msgspec.DecodeError):
            continue  # torn while it was begun: the next pull begins it again
        found.append(Incomplete(path.with_suffix(""), partial))
    return found


def bytes_on_disk(folder: Path) -> int:
    """What files really take: downloads leave holes where nothing has arrived yet."""
    total = 0
    for path in folder.rglob("*"):
        try:
            state = path.lstat()
        except FileNotFoundError:  # given its final name meanwhile
            continue
        if not path.is_dir():
            total += min(state.st_blocks * 512, state.st_size)
    return total


def find(home: Home, hub: str, repository: str, revision: str = "") -> Snapshot | None:
    """The snapshot of that branch or revision; of "" the newest of the main branch, else of any."""
    folder = of(home, "snapshots", hub, repository)
    known = refs(home, hub, repository).refs
    wanted = known.get(revision, revision)
    if wanted and (folder / wanted / RECORD).is_file():
        return Snapshot(folder / wanted, record(folder / wanted / RECORD, hub))
    records = [path for path in folder.glob(f"*/{RECORD}") if not path.parent.name.startswith(".")]
    there = [Snapshot(path.parent, record(path, hub)) for path in records]
    if revision:
        close = [one for one in there if len(revision) >= SHORT and one.folder.name.startswith(revision)]
        return close[0] if len(close) == 1 else None
    return max(there, key=lambda one: one.kept.fetched, default=None)


def first(home: Home, candidates: Sequence[tuple[str, str]], revision: str = "") -> Snapshot | None:
    """The first of several hubs' ids that lies here."""
    found = (find(home, hub, id, revision) for hub, id in candidates)
    return next((snapshot for snapshot in found if snapshot is not None), None)


def matching(home: Home, name: str) -> list[Snapshot]:
    """Every snapshot that `name` means: hub:id@revision, id@revision, id, or the name of an import."""
    wanted, _, revision = name.partition("@")
    hub, colon, id = wanted.partition(":")
    hub, id = (hub, id) if colon else ("", wanted)
    return [
        snapshot
        for snapshot in snapshots(home)
        if snapshot.kept.repository.lower() == id.lower()
        and hub in ("", snapshot.kept.hub)
        and (not revision or is_revision(home, snapshot, revision))
    ]


def is_revision(home: Home, snapshot: Snapshot, revision: str) -> bool:
    named = refs(home, snapshot.kept.hub, snapshot.kept.repository).refs.get(revision)
    return snapshot.folder.name == named or (len(revision) >= SHORT and snapshot.folder.name.startswith(revision))


def frees(snapshots: Sequence[Snapshot]) -> int:
    """Bytes that removing all of them gives back: files that no other snapshot shares."""
    links: dict[int, list[os.stat_result]] = {}
    for snapshot in snapshots:
        for path in snapshot.folder.rglob("*"):
            if path.is_file():
                state = path.stat()
                links.setdefault(state.st_ino, []).append(state)
    # A blob's own name is one link more; without hard links there is none.
    return sum(states[0].st_size for states in links.values() if states[0].st_nlink <= len(states) + 1)


def remove(home: Home, snapshot: Snapshot) -> None:
    """Out of sight at once, then from the disk; its blobs are left to `remove_unshared`."""
    aside = snapshot.folder.with_name(f".removed-{os.getpid()}-{snapshot.folder.name}")
    os.rename(snapshot.folder, aside)
    shutil.rmtree(aside)
    kept = snapshot.kept
    file = refs_file(home, kept.hub, kept.repository)
    left = {branch: name for branch, name in refs(home, kept.hub, kept.repository).refs.items()
            if name != snapshot.folder.name}  # fmt: skip
    if left:
        write_refs(file, Refs(left))
    else:
        file.unlink(missing_ok=True)
    without_empty(snapshot.folder.parent, home.models / "snapshots")
    without_empty(file.parent, home.models / "refs")


def write_refs(file: Path, known: Refs) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    write_part(file, msgspec.json.encode(known))


def write_part(file: Path, content: bytes) -> None:
    """Whole or not at all; what these files say is found out again when it is lost. Raises OSError."""
    part = file.with_name(f".{file.name}-{os.getpid()}")
    part.write_bytes(content)
    os.replace(part, file)


def without_empty(folder: Path, root: Path) -> None:
    """Remove `folder` and those above it up to `root` while nothing is in them."""
    while folder != root and folder.is_dir() and not any(folder.iterdir()):
        folder.rmdir()
        folder = folder.parent


def remove_unshared(home: Home) -> int:
    """Bytes of the blobs that no snapshot had, which are removed. Waits for pulls that are putting blobs in place."""
    freed = 0
    with locks.locked(blobs_lock(home)):
        for path in (home.models / "blobs").glob("*/*"):
            state = path.stat()
            if state.st_nlink == 1:
                path.unlink()
                freed += state.st_size
    return freed


def blobs_lock(home: Home) -> Path:
    return home.models / "locks" / "blobs.lock"


def lock_of(home: Home, hub: str, repository: str) -> Path:
    return home.models / "locks" / f"{hub}--{repository.replace('/', '--')}.lock"


def forget(home: Home, left: Incomplete) -> int:
    """Bytes that were freed of a download which is not complete. Waits for whoever is at it to end. Raises OSError."""
    with locks.locked(lock_of(home, left.partial.hub, left.partial.repository)):
        if left.folder.is_dir():
            shutil.rmtree(left.folder)
        left.folder.with_name(f"{left.folder.name}.json").unlink(missing_ok=True)
        without_empty(left.folder.parent, home.models / "partial")
    return left.partial.there
