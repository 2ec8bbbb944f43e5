"""Gives a fetched file its final name once its bytes are those that the hub lists, and finds out which ones are not.

It reads the pieces in order while later ones still arrive, so that the digest of the whole is there soon after them.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import xxhash

from tunesmith.daemon import crash_points
from tunesmith.daemon.hubs import Hub, HubFile, refusals
from tunesmith.daemon.hubs.arriving import Arriving, Queue
from tunesmith.daemon.hubs.partial_file import Partial, Piece
from tunesmith.recipes.errors import MachineError

if TYPE_CHECKING:
    from hashlib import _Hash

TRIES = 3  # to put a piece on the disk so that the same is read again


class Stopped(Exception):
    """The download ended for another reason."""


def finish_all(hub: Hub, queue: Queue, folder: Path) -> None:
    """In a thread of its own: one file after the other; tells the queue when it ends or fails."""
    try:
        for arriving in queue.files:
            finish(hub, queue, arriving, folder)
    except Stopped:
        pass
    except Exception as error:  # noqa: BLE001 - the thread that waits for the download raises it
        queue.stop(error)


def finish(hub: Hub, queue: Queue, arriving: Arriving, folder: Path) -> None:
    """Raises Stopped, DataError (the hub's bytes are not the listed ones: thrown away), MachineError, OSError."""
    wait(queue, lambda: arriving.partial is not None)
    partial, file = queue.opened(arriving), arriving.file
    if not verified(file, followed(queue, arriving, partial.pieces)) and not repaired(queue, arriving):
        partial.discard()
        raise refusals.corrupt(hub, file.path, f"its {digest_name(file)} differs")
    os.fsync(partial.data.fileno())
    crash_points.reach("download.verified")
    final = folder / file.path
    final.parent.mkdir(parents=True, exist_ok=True)
    os.replace(partial.path, final)
    crash_points.reach("download.renamed")
    partial.discard()
    queue.finish(arriving)
    partial.close()


def verified(file: HubFile, digest: str) -> bool:
    """Whether bytes of this digest are the listed ones; a hub that lists none leaves only the size to compare."""
    return digest == (file.sha256 or file.git_sha1 or digest)


def digest_name(file: HubFile) -> str:
    return "SHA-256" if file.sha256 or not file.git_sha1 else "git SHA-1"


def new_digest(file: HubFile) -> _Hash:
    """SHA-256 of the bytes, or what git names them by where the hub lists only that."""
    if file.git_sha1 and not file.sha256:
        return hashlib.sha1(b"blob %d\0" % file.bytes, usedforsecurity=False)
    return hashlib.sha256()


def followed(queue: Queue, arriving: Arriving, pieces: Sequence[Piece]) -> str:
    """The digest of the file, whose `pieces` are read from the disk as soon as they are there.

    A piece that is not what was journalled is fetched again, that one alone.
    """
    digest = new_digest(arriving.file)
    partial = queue.opened(arriving)
    for piece in pieces:
        for _ in range(TRIES):
            wait(queue, lambda piece=piece: piece.done)  # type: ignore[misc]
            tried = digest.copy()
            if added(tried, partial, piece):
                digest = tried
                break
            queue.again(arriving, [piece])
        else:
            raise MachineError(
                f"The disk of {partial.path} does not keep what is written to it",
                "Check the disk, or give another folder.",
                "disk_damaged",
            )
    return digest.hexdigest()


def added(digest: _Hash, partial: Partial, piece: Piece) -> bool:
    """Whether the piece on the disk is the one that was journalled; `digest` has its bytes then."""
    checksum = xxhash.xxh3_128()
    for block in partial.blocks(piece.start, piece.end):
        checksum.update(block)
        digest.update(block)
    return checksum.hexdigest() == piece.checksum


def repaired(queue: Queue, arriving: Arriving) -> bool:
    """After all pieces were as they arrived and the whole is wrong: whether it is right with pieces fetched again.

    One by one, until one comes that makes it right; all at once from a server that only sends whole files.
    """
    partial = queue.opened(arriving)
    for pieces in [partial.pieces] if arriving.in_one else [[piece] for piece in partial.pieces]:
        before = [piece.checksum for piece in pieces]
        queue.again(arriving, pieces)
        for piece in pieces:
            wait(queue, lambda piece=piece: piece.done)  # type: ignore[misc]
        new = [piece.checksum for piece in pieces] != before
        if new and verified(arriving.file, followed(queue, arriving, partial.pieces)):
            return True
    return False


def wait(queue: Queue, reached: Callable[[], bool]) -> None:
    if not queue.wait_for(reached):
        raise Stopped
