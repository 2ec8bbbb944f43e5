"""The one way that files of a hub get onto this machine: verified, resumable, under their own names only when whole."""

from __future__ import annotations

import fcntl
import os
import shutil
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path, PurePosixPath

from tunesmith.daemon.api import disk_errors
from tunesmith.daemon.hubs import Hub, HubFile, Kind, finishing, of_kind, refusals
from tunesmith.daemon.hubs.answers import Source
from tunesmith.daemon.hubs.arriving import Queue
from tunesmith.daemon.hubs.limits import Limits, from_environment
from tunesmith.daemon.hubs.partial_file import BLOCK_BYTES, places
from tunesmith.daemon.hubs.transfer import Transfer
from tunesmith.recipes.errors import DataError, MachineError
from tunesmith.recipes.units import bytes_text

STAGED = ".partial"  # where files lie until they are whole; hidden, so that reading the folder passes over it
TELL_EVERY_S = 0.1
SPARE_BYTES = 200_000_000  # left free on the disk, so that the download does not stop everything else


def fetch_files(
    hub: Hub,
    repository: str,
    kind: Kind,
    revision: str,
    files: Sequence[HubFile],
    folder: Path,
    progress: Callable[[int, int], None],
    limits: Limits | None = None,
) -> None:
    """Put `files` of a repository under `folder`, each by its path; `progress(bytes done, bytes in all)`.

    Files that are there and whole are kept, and an interrupted call is gone on from. A file gets its own name only when
    its size and digest are the listed ones. `progress` is called from this thread about ten times a second; an
    exception that it or a signal raises stops the download, and what arrived stays. Raises OSError and TunesmithError:
    `changed` when the hub has other bytes than listed (list again), `corrupt` when it keeps sending wrong ones,
    `offline`, `busy` or `hub_failed` when nothing arrived for too long, `disk_full`, `busy` too for a second download
    into the folder, `unsafe_path`, `not_found`, `not_allowed`.
    """
    hub, limits = of_kind(hub, kind), limits or from_environment()
    refuse_unsafe(repository, files)
    staged = folder / STAGED
    with locked(staged):
        missing = [file for file in files if not is_whole(folder / file.path, file)]
        total = sum(file.bytes for file in files)
        kept = total - sum(file.bytes for file in missing)
        if missing:
            refuse_full_disk(folder, sum(file.bytes for file in missing) - reserved(staged, missing, revision))
            headers = hub.headers()
            sources = [
                (file, Source(hub, repository, file, hub.address(repository, kind, revision, file.path), headers))
                for file in missing
            ]
            queue = Queue(sources, staged, revision, limits)
            run(hub, queue, folder, limits, lambda done: progress(kept + done, total))
        sync_folders(folder, missing)
        progress(total, total)
        shutil.rmtree(staged)


def run(hub: Hub, queue: Queue, folder: Path, limits: Limits, progress: Callable[[int], None]) -> None:
    """Until all files have their names. Raises what ended it."""
    transfer = Transfer(hub, queue, limits)
    finisher = threading.Thread(
        target=finishing.finish_all, args=(hub, queue, folder), name="download-finish", daemon=True
    )
    try:
        transfer.start()
        finisher.start()
        while not queue.stopped.wait(TELL_EVERY_S):
            progress(queue.bytes_there())
    finally:
        queue.stop()
        ended = transfer.stop()
        finisher.join()
        if ended:  # else a thread that still waits for an answer has the files, and writes nothing
            queue.close()
    if isinstance(queue.failure, OSError) and queue.failure.errno in disk_errors.FULL:
        raise disk_full(folder) from queue.failure
    if queue.failure is not None:
        raise queue.failure


def is_whole(path: Path, file: HubFile) -> bool:
    return path.is_file() and not damage(path, file)


def damage(path: Path, file: HubFile) -> str:
    """How the bytes of `path` differ from the listing; empty when they are the same."""
    size = path.stat().st_size if path.exists() else 0
    if size != file.bytes:
        return f"{bytes_text(size)} ({size} bytes) instead of {bytes_text(file.bytes)} ({file.bytes} bytes)"
    digest = finishing.new_digest(file)
    with path.open("rb", buffering=0) as content:
        while block := content.read(BLOCK_BYTES):
            digest.update(block)
    return "" if finishing.verified(file, digest.hexdigest()) else f"its {finishing.digest_name(file)} differs"


def refuse_unsafe(repository: str, files: Sequence[HubFile]) -> None:
    """Raises DataError for paths that leave the folder, are used twice, or are names of our own."""
    seen: set[str] = set()
    for file in files:
        path = PurePosixPath(file.path)
        odd = (
            path.is_absolute() or ".." in path.parts or str(path) != file.path or not path.parts or path.parts == (".",)
        )
        ours = path.parts[:1] == (STAGED,)
        unprintable = any(ord(letter) < 32 or letter in "\\\x7f" for letter in file.path)
        if odd or ours or unprintable or file.path in seen or file.bytes < 0:
            raise refusals.unsafe_path(repository, file.path)
        seen.add(file.path)


def refuse_full_disk(folder: Path, needed: int) -> None:
    """Raises MachineError when `needed` bytes do not fit where `folder` is."""
    free = shutil.disk_usage(folder).free
    if free < needed + SPARE_BYTES:
        raise MachineError(
            f"{folder} has {bytes_text(free)} free; this download needs {bytes_text(needed)} more",
            "Free some space, give another folder with --to, or set TUNESMITH_HOME to a larger disk.",
            "disk_full",
        )


def disk_full(folder: Path) -> MachineError:
    return MachineError(
        f"The disk of {folder} is full",
        "Free some space and run the same command: what arrived is kept, and it goes on from there.",
        "disk_full",
    )


def reserved(staged: Path, files: Sequence[HubFile], revision: str) -> int:
    """Bytes on the disk that an earlier call has taken for these files already."""
    paths = [places(staged, file, revision)[0] for file in files]
    return sum(path.stat().st_blocks * 512 for path in paths if path.is_file())


def sync_folders(folder: Path, files: Sequence[HubFile]) -> None:
    """Make the names of `files` outlive a power cut."""
    for path in {
        parent for file in files for parent in (folder / file.path).parents if folder in (parent, *parent.parents)
    }:
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


@contextmanager
def locked(staged: Path) -> Iterator[None]:
    """One download a folder. Raises DataError when another process is at it."""
    name = staged / ".busy"
    while True:
        staged.mkdir(parents=True, exist_ok=True)
        try:
            lock = name.open("w")
        except FileNotFoundError:  # the other download has just ended and took its folder away
            continue
        with lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise DataError(
                    f"Another download into {staged.parent} is running", "Wait for it to end.", "busy"
                ) from None
            if not name.exists() or not os.path.samestat(os.fstat(lock.fileno()), name.stat()):
                continue
            yield
            return
