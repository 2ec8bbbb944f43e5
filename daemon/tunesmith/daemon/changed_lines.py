"""The lines of all jobs, each with the number of its last change, so that a list costs what changed and no more."""

from __future__ import annotations

import uuid

from tunesmith.daemon.api.listing import JobLine, Lines, line_of
from tunesmith.daemon.api.view import JobView


class ChangedLines:
    """Written in the store's thread, read in the loop's. Numbers count from 1 and mean nothing to another daemon."""

    def __init__(self) -> None:
        self._born = uuid.uuid4().hex
        self._number = 0
        self._lines: dict[int, JobLine] = {}
        self._changed: dict[int, int] = {}
        self._removed: dict[int, int] = {}

    def put(self, view: JobView) -> None:
        line = line_of(view)
        if self._lines.get(view.id) != line:
            self._lines[view.id] = line
            # A reader in between gets this line now and once more: that is harmless, never getting it would not be.
            self._changed[view.id] = self._number + 1
            self._number += 1

    def remove(self, job_id: int) -> None:
        self._changed.pop(job_id, None)
        self._lines.pop(job_id, None)
        self._removed[job_id] = self._number + 1
        self._number += 1

    def since(self, after: str) -> Lines:
        """All of them where `after` is not of this daemon."""
        now = self._number
        born, _, text = after.partition(".")
        known = int(text) if born == self._born and text.isascii() and text.isdecimal() else 0
        lines = tuple(
            line
            for job_id, number in tuple(self._changed.items())
            if number > known and (line := self._lines.get(job_id)) is not None
        )
        removed = tuple(job_id for job_id, number in tuple(self._removed.items()) if number > known) if known else ()
        return Lines(f"{self._born}.{now}", lines, removed, whole=known == 0)
