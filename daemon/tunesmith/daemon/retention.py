"""What runs take on the disk, and the removal of what a person wants gone; never of living jobs."""

from __future__ import annotations

import asyncio
import logging
import os
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

from tunesmith.daemon.api import events as e
from tunesmith.daemon.api.home import Home
from tunesmith.daemon.api.retention import PARTS, Clean, Cleaned, Item, Sizes
from tunesmith.daemon.api.view import PAUSED, JobView
from tunesmith.daemon.publish import remove
from tunesmith.daemon.store import Store

_PATTERNS = {
    "work": ("work-*",),
    "checkpoints": ("checkpoints",),
    "journals": ("journal-*.jsonl", "worker-*.json", "worker-*.log*", "chat*.log"),
    "artifacts": ("artifacts",),
}
log = logging.getLogger("tunesmith.retention")


def sizes(home: Home, job_id: int) -> Sizes:
    """For a thread: it walks the job's folder."""
    folder = home.job(job_id)
    by_part = {part: sum(map(size, paths(folder, part))) for part in PARTS}
    return Sizes(job_id, **by_part, other=max(0, size(folder) - sum(by_part.values())))


def paths(folder: Path, part: str) -> Iterator[Path]:
    for pattern in _PATTERNS[part]:
        yield from folder.glob(pattern)


def size(path: Path) -> int:
    """Bytes of a file, or of all below a folder; links count as themselves."""
    try:
        if path.is_symlink() or not path.is_dir():
            return path.lstat().st_size
        with os.scandir(path) as entries:
            return sum(size(Path(entry.path)) for entry in entries)
    except FileNotFoundError:  # removed while we looked
        return 0


def chosen(views: Iterable[JobView], measured: dict[int, Sizes], asked: Clean, now: float) -> tuple[Item, ...]:
    """What `asked` means, of `views`, newest job last."""
    resting = [view for view in sorted(views, key=lambda view: view.id) if view.ended_already and view.state != PAUSED]
    old = resting[: max(0, len(resting) - asked.keep)]
    parts = [part for part in PARTS if part not in ("journals", "artifacts") or getattr(asked, part)]
    return tuple(
        Item(view.id, view.name, view.state, part, found)
        for view in old
        if now - (view.ended or view.created) >= asked.older_than_s
        for part in parts
        if (found := getattr(measured[view.id], part))
    )


class Retention:
    def __init__(self, store: Store) -> None:
        self._store = store

    async def sizes(self) -> list[Sizes]:
        """Of every job, newest first."""
        home = self._store.home
        return await asyncio.to_thread(lambda: [sizes(home, view.id) for view in self._store.jobs()])

    async def clean(self, asked: Clean) -> Cleaned:
        """Raises MachineError when a folder cannot be removed."""
        measured = {found.job: found for found in await self.sizes()}
        views = [view for view in self._store.jobs() if view.id in measured]
        used = {job_id for view in self._store.living() for job_id in (view.of, *view.beside)}
        found = chosen(views, measured, asked, time.time())
        items = tuple(item for item in found if item.part != "artifacts" or item.job not in used)
        if not asked.dry_run:
            items = tuple([item for item in items if await self._remove(item)])
        return Cleaned(items, sum(item.bytes for item in items), asked.dry_run)

    async def _remove(self, item: Item) -> bool:
        """False when the job has come to life meanwhile, or another begins with its artifacts.

        Said first: what is said to be gone may still be there.
        """
        if item.part == "artifacts" and self._store.user_of(item.job) is not None:
            return False
        if not await self._store.append(item.job, [e.Cleaned(time=time.time(), part=item.part)], only_in=item.state):
            return False
        folder = self._store.home.job(item.job)
        log.info("job %d: %s removed, %d bytes", item.job, item.part, item.bytes)
        await asyncio.to_thread(_remove_all, list(paths(folder, item.part)))
        return True


def _remove_all(gone: list[Path]) -> None:
    for path in gone:
        remove(path)
