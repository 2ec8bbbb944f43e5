"""Files that a person gives a chat: images for the next question, and tools; for one that is no good it is said why."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

from textual.screen import Screen

from tunesmith.daemon.api import images, tools
from tunesmith.daemon.api.images import Attached
from tunesmith.daemon.api.tools import Tool
from tunesmith.recipes.errors import TunesmithError
from tunesmith.tui import attaching
from tunesmith.tui.explained import Coded, sentences
from tunesmith.tui.watch import Clients

REFUSED_FOR_S = 10  # a sentence and a way out take longer to read than a notice
IMAGE_SUFFIXES = (*images.SUFFIXES, *(suffix.upper() for suffix in images.SUFFIXES))  # cameras write .JPG
TOOL_SUFFIXES = (".json", ".JSON")


class ChatFiles:
    """What is in the file at a path, or in one that is picked where there is no path; None where it is no good."""

    def __init__(self, screen: Screen[Any], clients: Clients, job_id: int) -> None:
        self._screen, self._clients, self._job_id = screen, clients, job_id
        self.folder = Path.home()  # where the picker begins

    async def image(self, path: Path | None, chats: dict[bool, list[str]]) -> Attached | None:
        """For the models with those images already, by whether it is the base; refused before one is picked."""
        try:
            await attaching.refuse_blind(await self._clients(), self._job_id, chats)
            found = path or await self._picked(IMAGE_SUFFIXES)
            return None if found is None else await attaching.read(found, chats.values())
        except TunesmithError as error:
            refused(self._screen, error)
            return None

    async def tools(self, path: Path | None) -> tuple[Tool, ...] | None:
        try:
            found = path or await self._picked(TOOL_SUFFIXES)
            return None if found is None else await asyncio.to_thread(tools.read, found)
        except TunesmithError as error:
            refused(self._screen, error)
            return None

    async def _picked(self, suffixes: tuple[str, ...]) -> Path | None:
        from tunesmith.tui.screens.pick import PickScreen

        path = await self._screen.app.push_screen_wait(PickScreen(self.folder, suffixes))
        if path is not None:
            self.folder = path.parent
        return path


def refused(screen: Screen[Any], error: Coded) -> None:
    screen.notify(sentences(error), severity="error", markup=False, timeout=REFUSED_FOR_S)
