"""An input for a path that offers the rest of a name as one types; right arrow or tab takes it."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

from textual.binding import Binding
from textual.suggester import Suggester
from textual.widgets import Input

ENTRIES_LOOKED_AT = 5000  # of one folder; more would make typing wait on a network disk


class PathSuggester(Suggester):
    """The first entry, by name, that begins with what is typed; files only with one of `suffixes`."""

    def __init__(self, suffixes: tuple[str, ...] | None) -> None:
        super().__init__(use_cache=False, case_sensitive=True)
        self.suffixes = suffixes

    async def get_suggestion(self, value: str) -> str | None:
        return await asyncio.to_thread(self.complete, value)

    def complete(self, value: str) -> str | None:
        folder, _, start = value.rpartition("/")
        place = Path(folder).expanduser() if folder else Path("/" if value.startswith("/") else ".")
        found: list[str] = []
        try:
            with os.scandir(place) as entries:
                for _, entry in zip(range(ENTRIES_LOOKED_AT), entries, strict=False):
                    if not entry.name.startswith(start) or (entry.name.startswith(".") and not start):
                        continue
                    if entry.is_dir():
                        found.append(entry.name + "/")
                    elif self.suffixes and entry.name.endswith(self.suffixes):
                        found.append(entry.name)
        except OSError:  # no such folder (yet): nothing to offer; the check says it when asked
            return None
        return value[: len(value) - len(start)] + min(found) if found and start + "/" not in found else None


class PathInput(Input):
    BINDINGS = [Binding("tab", "complete", show=False)]

    def __init__(self, value: str, *, placeholder: str, id: str, suffixes: tuple[str, ...] | None = None) -> None:
        super().__init__(
            value, placeholder, id=id, suggester=PathSuggester(suffixes), select_on_focus=False, compact=True
        )

    def action_complete(self) -> None:
        """Take what is offered; with nothing offered, tab moves on as everywhere."""
        if self._suggestion and self.cursor_at_end:
            self.action_cursor_right()
        else:
            self.screen.focus_next()
