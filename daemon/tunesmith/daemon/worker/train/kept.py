"""Which checkpoints stay: the newest two, or one where the disk has no room for more."""

from __future__ import annotations

import errno
import shutil
from pathlib import Path

from tunesmith.daemon import publish
from tunesmith.daemon.worker.context import Context
from tunesmith.recipes.units import bytes_text
from tunesmith.recipes.words import say

KEPT = 2  # the second is for the day the newest is damaged
SPARE_BYTES = 16 << 20  # stay free beside a checkpoint: for the job's journal and the daemon's database


def steps(folder: Path) -> list[Path]:
    """The folders of checkpoints in `folder`, oldest first."""
    found = [path for path in folder.glob("step-*") if path.name.removeprefix("step-").isdecimal()]
    return sorted(found, key=lambda path: int(path.name.removeprefix("step-")))


def make_room(context: Context, needed: int) -> None:
    """Older checkpoints go where the disk has no room for `needed` bytes more. Raises OSError when it still has not."""
    for old in steps(context.checkpoints)[:-1]:
        if free_bytes(context.job) < needed + SPARE_BYTES:
            let_go(context, old)
    free = free_bytes(context.job)
    if free < needed + SPARE_BYTES:
        text = f"{bytes_text(free)} are free, it needs {bytes_text(needed + SPARE_BYTES)}"
        raise OSError(errno.ENOSPC, text)


def keep_newest(context: Context, next_bytes: int) -> None:
    """Of the checkpoints there are, KEPT stay, or one where the next one would find no room otherwise."""
    older = steps(context.checkpoints)[:-1]
    for old in older[: 1 - KEPT]:
        publish.remove(old)
    for old in older[1 - KEPT :]:
        if free_bytes(context.job) < next_bytes + SPARE_BYTES:
            let_go(context, old)


def let_go(context: Context, old: Path) -> None:
    publish.remove(old)
    free = bytes_text(free_bytes(context.job))
    context.notice_once(
        "kept", "warning", say("one_checkpoint", "Only one checkpoint is kept: the disk has {free} free.", free=free)
    )


def free_bytes(folder: Path) -> int:
    return shutil.disk_usage(folder).free
