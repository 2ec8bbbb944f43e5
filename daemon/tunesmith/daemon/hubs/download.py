"""One verified, resumable download of a data set into a folder, whichever hub it comes from."""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path, PurePosixPath

import msgspec

from tunesmith.daemon.hubs import Hub, HubFile, refusals
from tunesmith.recipes.data.public_sets import Repository
from tunesmith.recipes.errors import DataError, MachineError
from tunesmith.recipes.units import bytes_text

# Hidden, so that reading the folder as data passes over both.
STAGED = ".partial"
RECORD = ".hub.json"

# Data only: a repository's scripts are neither fetched nor run.
DATA_SUFFIXES = frozenset({".jsonl", ".ndjson", ".json", ".csv", ".tsv", ".parquet"})
NAMED_SUFFIXES = DATA_SUFFIXES | {".txt", ".md"}  # text files are too often a README: only when asked for by name
PACKED_SUFFIXES = frozenset({".gz", ".zst"})
NOT_DATA = frozenset({"dataset_infos.json", "dataset_info.json", "dataset_dict.json", "configuration.json"})

SPARE_BYTES = 200_000_000  # left free on the disk, so that the download does not stop everything else


class Record(msgspec.Struct, frozen=True):
    """What lies in a folder and where it came from; written when all of it is there and verified."""

    hub: str
    repository: str
    revision: str
    files: tuple[HubFile, ...]


def download(hub: Hub, repository: Repository, folder: Path, progress: Callable[[int, int], None]) -> Record:
    """Fetch what `repository` wants into `folder`; `progress(bytes done, bytes in all)`.

    Files that are there and whole are kept; an interrupted download goes on where it stopped. A file gets its own name
    only when its size and digest are those of the hub's listing. Raises TunesmithError.
    """
    listing = hub.listing(repository.id)
    files = chosen(listing.files, repository)
    if not files:
        raise DataError(
            f"{hub.title} lists no data files for {repository.id}",
            f"See {hub.page.format(id=repository.id)}; the files may have been renamed. Try the other hub with --hub.",
            "not_found",
        )
    total = sum(file.bytes for file in files)
    staged = folder / STAGED
    staged.mkdir(parents=True, exist_ok=True)
    with locked(staged):
        there = {file.path for file in files if is_whole(folder / file.path, file)}
        missing = [file for file in files if file.path not in there]
        counted = Counted(progress, total, sum(file.bytes for file in files if file.path in there))
        if missing:
            refuse_full_disk(folder, sum(file.bytes for file in missing) - bytes_below(staged))
            for file in missing:
                drop_if_damaged(staged / file.path, file)
            hub.fetch(repository.id, listing.revision, missing, staged, counted.add)
            for file in missing:
                publish(hub, file, staged, folder)
        record = Record(hub.key, repository.id, listing.revision, tuple(files))
        write_record(folder, record)
        shutil.rmtree(staged)
    return record


def chosen(files: Sequence[HubFile], repository: Repository) -> list[HubFile]:
    """The data files that `repository` wants. Raises DataError when the hub lists a path that leaves the folder."""
    found = [file for file in files if is_data(file.path, bool(repository.files)) and repository.wants(file.path)]
    for file in found:
        path = PurePosixPath(file.path)
        if path.is_absolute() or ".." in path.parts or "\\" in file.path or "\0" in file.path:
            raise DataError(
                f"{repository.id} lists the file {file.path!r}, outside of its folder",
                "Nothing was fetched. Do not use this repository; tell the hub about it.",
                "unsafe_path",
            )
    return sorted(found, key=lambda file: file.path)


def is_data(path: str, named: bool) -> bool:
    name = PurePosixPath(path)
    suffixes = [suffix.lower() for suffix in name.suffixes]
    if suffixes and suffixes[-1] in PACKED_SUFFIXES:
        suffixes.pop()
    known = NAMED_SUFFIXES if named else DATA_SUFFIXES
    hidden = any(part.startswith(".") and part != ".." for part in name.parts)
    return bool(suffixes) and suffixes[-1] in known and name.name not in NOT_DATA and not hidden


class Counted:
    """Adds up what arrives from several threads and tells it on, never below nought or above the total."""

    def __init__(self, progress: Callable[[int, int], None], total: int, done: int) -> None:
        self.progress, self.total, self.done = progress, total, done
        self.lock = threading.Lock()
        progress(done, total)

    def add(self, count: int) -> None:
        with self.lock:
            self.done += count
            self.progress(max(0, min(self.done, self.total)), self.total)


def publish(hub: Hub, file: HubFile, staged: Path, folder: Path) -> None:
    """Give a fetched file its name in `folder`, or throw it away. Raises DataError when it is not the listed one."""
    arrived, final = staged / file.path, folder / file.path
    if problem := damage(arrived, file):
        arrived.unlink(missing_ok=True)
        raise refusals.corrupt(hub, file.path, problem)
    with arrived.open("rb") as written:
        os.fsync(written.fileno())
    final.parent.mkdir(parents=True, exist_ok=True)
    os.replace(arrived, final)


def is_whole(path: Path, file: HubFile) -> bool:
    return path.is_file() and not damage(path, file)


def drop_if_damaged(path: Path, file: HubFile) -> None:
    """A complete file that an earlier call staged but did not publish may be used, unless the hub has another now."""
    if path.exists() and damage(path, file):
        path.unlink()


def damage(path: Path, file: HubFile) -> str:
    """How the bytes of `path` differ from the listing; empty when they are the same."""
    size = path.stat().st_size if path.exists() else 0
    if size != file.bytes:
        return f"{bytes_text(size)} ({size} bytes) instead of {bytes_text(file.bytes)} ({file.bytes} bytes)"
    with path.open("rb") as content:
        if file.sha256 and hashlib.file_digest(content, "sha256").hexdigest() != file.sha256:
            return "its SHA-256 differs"
        if not file.sha256 and file.git_sha1:
            digest = hashlib.sha1(b"blob %d\0" % size, usedforsecurity=False)  # git's own name for these bytes
            while block := content.read(1 << 20):
                digest.update(block)
            if digest.hexdigest() != file.git_sha1:
                return "its git SHA-1 differs"
    return ""


def refuse_full_disk(folder: Path, needed: int) -> None:
    """Raises MachineError when `needed` bytes do not fit where `folder` is."""
    free = shutil.disk_usage(folder).free
    if free < needed + SPARE_BYTES:
        raise MachineError(
            f"{folder} has {bytes_text(free)} free; this download needs {bytes_text(needed)} more",
            "Free some space, give another folder with --to, or set TUNESMITH_HOME to a larger disk.",
            "disk_full",
        )


def bytes_below(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


@contextmanager
def locked(staged: Path) -> Iterator[None]:
    """One download a folder. Raises DataError when another process is at it."""
    with (staged / ".busy").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise DataError(
                f"Another download into {staged.parent} is running", "Wait for it to end.", "busy"
            ) from None
        yield


def write_record(folder: Path, record: Record) -> None:
    written = folder / f"{RECORD}.new"
    written.write_bytes(msgspec.json.format(msgspec.json.encode(record)) + b"\n")
    os.replace(written, folder / RECORD)
