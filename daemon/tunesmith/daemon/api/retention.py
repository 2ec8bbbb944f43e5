"""What runs take on the disk, by kind, and what of it a person wants to go."""

from __future__ import annotations

from typing import Annotated

import msgspec

# In the order of how easily each is done without: `work` is made again by a run, `checkpoints` are what a run that
# ended early can go on from, `journals` are its records and logs, `artifacts` are what it was for.
PARTS = ("work", "checkpoints", "journals", "artifacts")


class Sizes(msgspec.Struct, frozen=True):
    """Bytes of one job's folder by kind; `other` is the recipe and small files."""

    job: int
    work: int = 0
    checkpoints: int = 0
    journals: int = 0
    artifacts: int = 0
    other: int = 0

    @property
    def total(self) -> int:
        return self.work + self.checkpoints + self.journals + self.artifacts + self.other


class Clean(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """POST /v1/jobs/clean. Only of jobs that have ended: all but the newest `keep`, those of at least `older_than_s`.

    Work folders and checkpoints; journals and artifacts, of which there is no second copy, only when asked for. With
    `dry_run` nothing is removed. Of paused jobs nothing ever is.
    """

    keep: Annotated[int, msgspec.Meta(ge=0, le=10**6)] = 3
    older_than_s: Annotated[float, msgspec.Meta(ge=0, le=1e12)] = 0.0
    journals: bool = False
    artifacts: bool = False
    dry_run: bool = True


class Item(msgspec.Struct, frozen=True):
    """`part` of PARTS of a job, and what it takes."""

    job: int
    name: str
    state: str
    part: str
    bytes: int


class Cleaned(msgspec.Struct, frozen=True):
    """What was removed, or would be."""

    items: tuple[Item, ...]
    bytes: int
    dry_run: bool
