"""The one way an artifact gets its final name: staged beside it, synced, recorded in a manifest, then renamed.

A reader therefore never sees part of a file under a final name, and `verify_file` and `verify_folder` tell later
damage (a flipped bit, a missing file) from what was published. `staged` and `final` lie in one folder, on one disk.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec

from tunesmith.daemon import crash_points, replacing
from tunesmith.daemon.api.whole_files import sync_folder
from tunesmith.recipes.errors import JobError, MachineError

MANIFEST = "MANIFEST.json"
FORMAT = "tunesmith-manifest"
FORMAT_VERSION = 2  # 1 had no hash of its own
CORRUPT, NEWER, SUPERSEDED = "corrupt", "newer_version", "superseded"
HASHED_AT_ONCE = 2  # files: of a checkpoint the weights and the optimizer's state are large
_MARK = ".staged-"  # in every staged name, so that leftovers of a killed process can be told from artifacts
STAGED_BY = re.compile(re.escape(_MARK) + r"(\d+)")  # in a staged name: the process that writes it


class Published(msgspec.Struct, frozen=True):
    """What was published: its size and SHA-256; for a folder the sum of its files and the hash of its manifest."""

    bytes: int
    sha256: str


class Manifest(msgspec.Struct, frozen=True):
    """`files` by path relative to the manifest's folder, with forward slashes; `sha256` is of all else in it."""

    files: dict[str, Published] = {}
    format: str = FORMAT
    version: int = FORMAT_VERSION
    sha256: str = ""


class Fence(msgspec.Struct, frozen=True):
    """Lets a process of a job's newest epoch publish, and none of an older one. `newest` is a file with that number.

    Where there is no such file everybody may.
    """

    newest: Path
    epoch: int

    def check(self) -> None:
        """Raises JobError (code superseded), MachineError when the file says no number."""
        try:
            newest = int(self.newest.read_text("ascii"))
        except FileNotFoundError:
            return
        except (OSError, ValueError) as error:
            raise MachineError(f"{self.newest} cannot be read: {error}", _HINT, CORRUPT) from error
        if self.epoch < newest:
            raise JobError(
                f"Attempt {self.epoch} of this job is over: attempt {newest} has it now",
                "Nothing of the older attempt is used.",
                SUPERSEDED,
            )


@contextmanager
def staging(final: Path) -> Iterator[Path]:
    """A free staged name beside `final`; what is still under it at the end (nothing, once published) is removed."""
    if not final.parent.exists():
        final.parent.mkdir(parents=True, exist_ok=True)
        sync_folder(final.parent.parent)  # else a power cut takes the folder along
    # Keeps the suffix: writers such as the GGUF converter look at it.
    staged = final.with_name(f".{final.stem}{_MARK}{os.getpid()}{final.suffix}")
    remove(staged)
    try:
        yield staged
    finally:
        remove(staged)


def publish_file(staged: Path, final: Path, fence: Fence | None = None) -> Published:
    """Give `staged` its final name, recorded in the manifest of their folder. An older `final` is replaced.

    Raises OSError, and what the `fence` raises.
    """
    published = _hash_and_sync(staged)
    crash_points.reach("publish.hashed")
    if fence is not None:
        fence.check()
    # Recorded before it is visible: a crash in between leaves a record without its file, which verifying reports;
    # the other way round an unrecorded file could pass for a whole one.
    known = read_manifest(final.parent).files if (final.parent / MANIFEST).exists() else {}
    _write_manifest(final.parent, known | {final.name: published})
    crash_points.reach("publish.manifest_written")
    os.rename(staged, final)
    crash_points.reach("publish.renamed")
    sync_folder(final.parent)
    return published


def publish_folder(
    staged: Path, final: Path, fence: Fence | None = None, known: Mapping[str, Published] | None = None
) -> Published:
    """Give the folder `staged` its final name, with a manifest of all its files in it. An older `final` is replaced.

    `known` are files, by path, whose bytes the caller has just hashed itself: they are synced and not read again.
    Raises OSError, MachineError for a link in it, and what the `fence` raises.
    """
    paths = []
    for path in sorted(staged.rglob("*")):
        if path.is_symlink():
            raise MachineError(f"{path} is a link", "Only plain files are published; remove it and try again.")
        if path.is_file() and path.name != MANIFEST:
            paths.append(path)
    names = [path.relative_to(staged).as_posix() for path in paths]

    def recorded(path: Path, name: str) -> Published:
        return _synced(path, known[name]) if known and name in known else _hash_and_sync(path)

    with ThreadPoolExecutor(HASHED_AT_ONCE) as pool:
        files = dict(zip(names, pool.map(recorded, paths, names), strict=True))
    for folder in (path for path in staged.rglob("*") if path.is_dir()):
        sync_folder(folder)
    crash_points.reach("publish.hashed")
    _write_manifest(staged, files)
    manifest_hash = hashlib.sha256((staged / MANIFEST).read_bytes()).hexdigest()
    crash_points.reach("publish.manifest_written")
    if fence is not None:
        fence.check()
    replacing.settle(final)
    if final.exists():
        replacing.replace_folder(staged, final)
    else:
        os.rename(staged, final)
    crash_points.reach("publish.renamed")
    sync_folder(final.parent)
    return Published(sum(entry.bytes for entry in files.values()), manifest_hash)


def write_whole(path: Path, data: bytes) -> None:
    """A small file: either its old content or the new is there, after a power cut too. Raises OSError."""
    staged = path.with_name(f".{path.name}{_MARK}{os.getpid()}")
    try:
        with staged.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(staged, path)
    except BaseException:
        staged.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)


def read_manifest(folder: Path) -> Manifest:
    """Raises MachineError when it is missing or damaged (code corrupt), or of a newer version (code newer_version)."""
    path = folder / MANIFEST
    try:
        data = path.read_bytes()
        raw = msgspec.json.decode(data, type=dict[str, Any])
        whole = raw.pop("sha256", None) == _sealed(raw)  # as newer versions will have it too
        version = raw.get("version")
        if whole and raw.get("format") == FORMAT and isinstance(version, int) and version > FORMAT_VERSION:
            raise MachineError(f"{path} is of version {version}, newer than this Tunesmith", "Update Tunesmith.", NEWER)
        manifest = msgspec.json.decode(data, type=Manifest)
    except (OSError, msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise MachineError(f"The manifest {path} cannot be read: {error}", _HINT, CORRUPT) from error
    if manifest.format != FORMAT or not (whole or manifest.version == 1):
        raise MachineError(f"The manifest {path} is damaged", _HINT, CORRUPT)
    return manifest


def verify_file(path: Path) -> Published:
    """The record of the published file `path`. Raises MachineError when it is missing or its bytes differ."""
    recorded = read_manifest(path.parent).files.get(path.name)
    if recorded is None:
        raise MachineError(f"{path} is not in the manifest of its folder", _HINT, CORRUPT)
    _compare(path, recorded)
    return recorded


def verify_folder(final: Path) -> Published:
    """What was published as `final`. Raises MachineError at the first file that is missing, different or not recorded.

    A folder inside it that has a manifest of its own is verified by that.
    """
    manifest = read_manifest(final)
    for name, recorded in manifest.files.items():
        if Path(name).is_absolute() or ".." in Path(name).parts:
            raise MachineError(f"The manifest of {final} names {name!r}, outside of it", _HINT, CORRUPT)
        _compare(final / name, recorded)
    _refuse_unrecorded(final, final, manifest)
    manifest_hash = hashlib.sha256((final / MANIFEST).read_bytes()).hexdigest()
    return Published(sum(entry.bytes for entry in manifest.files.values()), manifest_hash)


def remove(path: Path) -> None:
    """Remove the file or folder `path` if it is there. A folder loses its name first, so no part is seen."""
    if path.is_dir() and not path.is_symlink():
        if _MARK not in path.name:
            nameless = path.with_name(f".{path.name}{_MARK}{os.getpid()}")
            remove(nameless)
            os.rename(path, nameless)
            sync_folder(path.parent)
            path = nameless
        crash_points.reach("publish.unnamed")
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def remove_staged(folder: Path) -> None:
    """Put right what killed processes left in `folder`: staged files go, what they were replacing is there again.

    For the one process that writes there.
    """
    replacing.recover(folder)
    for path in folder.glob(f".*{_MARK}*"):
        remove(path)


def remove_staged_folders(folder: Path) -> None:
    """What a killed process was removing or staging as a whole folder; files may be another's, at this moment."""
    for path in folder.glob(f".*{_MARK}*"):
        if path.is_dir():
            remove(path)


_HINT = "The disk or another program changed it: remove it and make it again."


def _refuse_unrecorded(folder: Path, root: Path, manifest: Manifest) -> None:
    for path in sorted(folder.iterdir()):
        if path.name.startswith(".") and (_MARK in path.name or replacing.waits(path)):
            continue
        if path.is_dir():
            if (path / MANIFEST).exists():
                verify_folder(path)
            else:
                _refuse_unrecorded(path, root, manifest)
        elif path.name != MANIFEST and path.relative_to(root).as_posix() not in manifest.files:
            raise MachineError(f"{path} is not in the manifest of its folder", _HINT, CORRUPT)


def _compare(path: Path, recorded: Published) -> None:
    try:
        size = path.stat().st_size
        if size != recorded.bytes:
            raise MachineError(f"{path} has {size} bytes, {recorded.bytes} were published", _HINT, CORRUPT)
        with path.open("rb") as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise MachineError(f"{path} cannot be read: {error.strerror}", _HINT, CORRUPT) from error
    if found != recorded.sha256:
        raise MachineError(f"{path} is damaged: its SHA-256 is not the published one", _HINT, CORRUPT)


def _hash_and_sync(path: Path) -> Published:
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
        os.fsync(file.fileno())
        return Published(os.fstat(file.fileno()).st_size, digest)


def _synced(path: Path, known: Published) -> Published:
    with path.open("rb") as file:
        os.fsync(file.fileno())
    return known


def _write_manifest(folder: Path, files: dict[str, Published]) -> None:
    manifest = Manifest(dict(sorted(files.items())))
    raw = msgspec.to_builtins(manifest)
    del raw["sha256"]
    manifest = msgspec.structs.replace(manifest, sha256=_sealed(raw))
    write_whole(folder / MANIFEST, msgspec.json.format(msgspec.json.encode(manifest)) + b"\n")


def _sealed(raw: dict[str, Any]) -> str:
    """SHA-256 of a manifest's content but for that hash itself, however it is laid out."""
    return hashlib.sha256(msgspec.json.encode(raw, order="sorted")).hexdigest()
