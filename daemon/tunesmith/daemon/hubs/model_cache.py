"""Puts files into the shared cache of models: blobs by their digest, then a published snapshot of hard links to them.

Nothing here asks a hub. A blob gets its name only when its bytes have that SHA-256.
"""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path

import msgspec

from tunesmith.daemon import publish
from tunesmith.daemon.api import locks, model_store
from tunesmith.daemon.api.home import Home
from tunesmith.daemon.api.model_store import Kept, KeptFile, Snapshot
from tunesmith.daemon.hubs import HubFile

BLOCK_BYTES = 4 << 20
# Small files of others are copied: people edit them in place, and a hard link would change with them.
LINKED_FROM_BYTES = 16 << 20
NO_HARD_LINKS = frozenset({errno.EPERM, errno.ENOTSUP, errno.EMLINK, errno.EXDEV, errno.ENOSYS})

Read = Callable[[int], None]  # told how many bytes were read


def digests(path: Path, read: Read) -> tuple[int, str, str]:
    """Size, SHA-256 and git's SHA-1 of a file."""
    size = path.stat().st_size
    sha256 = hashlib.sha256()
    git = hashlib.sha1(b"blob %d\0" % size, usedforsecurity=False)
    with path.open("rb") as file:
        while block := file.read(BLOCK_BYTES):
            sha256.update(block)
            if size < LINKED_FROM_BYTES:  # larger files are never listed by it
                git.update(block)
            read(len(block))
    return size, sha256.hexdigest(), git.hexdigest()


def digest_if(path: Path, file: HubFile, read: Read) -> str:
    """The SHA-256 of `path` when its bytes are those that the hub lists; empty when they differ, or it is not there."""
    try:
        if path.stat().st_size != file.bytes:
            return ""
        _, sha256, git = digests(path, read)
    except OSError:
        return ""
    same = sha256 == file.sha256 if file.sha256 else not file.git_sha1 or git == file.git_sha1
    return sha256 if same else ""


def take_in(home: Home, path: Path, sha256: str, *, move: bool = False) -> Path:
    """The blob of `sha256`, made from `path`, whose bytes were just found to have it. Raises OSError."""
    final = model_store.blob(home, sha256)
    if final.exists() and (os.path.samefile(final, path) or (not move and _same(final, sha256))):
        return final
    final.parent.mkdir(parents=True, exist_ok=True)
    if move:
        os.replace(path, final)
        return final
    part = final.with_name(f".{sha256}-{os.getpid()}")
    part.unlink(missing_ok=True)
    try:
        if path.stat().st_size < LINKED_FROM_BYTES or not linked(path.resolve(), part):
            shutil.copyfile(path, part)
            if digests(part, lambda count: None)[1] != sha256:
                raise OSError(errno.EIO, "it changed while it was copied", str(path))
        os.replace(part, final)
    finally:
        part.unlink(missing_ok=True)
    return final


def _same(path: Path, sha256: str) -> bool:
    return digests(path, lambda count: None)[1] == sha256


def linked(source: Path, target: Path) -> bool:
    """Whether `target` could be made a hard link to `source`. Raises OSError for what is not about links."""
    try:
        os.link(source, target)
    except OSError as error:
        if error.errno in NO_HARD_LINKS:
            return False
        raise
    return True


def install(home: Home, kept: Kept, digest_of: Mapping[str, str]) -> Snapshot:
    """A snapshot of the blobs in `digest_of`, by path in the model. An older one of the revision is replaced.

    Raises OSError, MachineError.
    """
    final = model_store.of(home, "snapshots", kept.hub, kept.repository) / kept.revision
    files: list[KeptFile] = []
    known: dict[str, publish.Published] = {}
    with publish.staging(final) as staged:
        staged.mkdir(parents=True)
        for name, sha256 in sorted(digest_of.items()):
            blob = model_store.blob(home, sha256)
            size = blob.stat().st_size
            if not linked(blob, staged / name):
                shutil.copyfile(blob, staged / name)  # a disk without hard links: each model keeps its own
            else:
                known[name] = publish.Published(size, sha256)
            files.append(KeptFile(name, size, sha256))
        kept = msgspec.structs.replace(kept, files=tuple(files), fetched=time.time())
        (staged / model_store.RECORD).write_bytes(msgspec.json.format(msgspec.json.encode(kept)) + b"\n")
        publish.publish_folder(staged, final, known=known)
    for sha256 in {sha256 for name, sha256 in digest_of.items() if name not in known}:
        model_store.blob(home, sha256).unlink(missing_ok=True)
    point(home, kept)
    return Snapshot(final, kept)


def point(home: Home, kept: Kept) -> None:
    """From now on the branch that was asked for means this revision."""
    file = model_store.refs_file(home, kept.hub, kept.repository)
    known = dict(model_store.refs(home, kept.hub, kept.repository).refs)
    if kept.branch != kept.revision and known.get(kept.branch) != kept.revision:
        model_store.write_refs(file, model_store.Refs(known | {kept.branch: kept.revision}))


def placing(home: Home) -> AbstractContextManager[None]:
    """While blobs are put in place and not yet linked nobody may remove those that look unused."""
    return locks.locked(model_store.blobs_lock(home), shared=True)


def revision_of(files: Sequence[HubFile]) -> str:
    """A name for just these files, where the hub tells no commit."""
    digest = hashlib.sha256()
    for file in sorted(files, key=lambda file: file.path):
        digest.update(f"{file.path} {file.bytes} {file.sha256 or file.git_sha1}\n".encode())
    return digest.hexdigest()[:40]
