"""The chat screen's conversation on its way to the disk; a disk that refuses is said once, and the chat goes on."""

from __future__ import annotations

import asyncio
from typing import Any

from textual.screen import Screen

from tunesmith.recipes.errors import TunesmithError
from tunesmith.tui.saved_chats import Keeper
from tunesmith.tui.screens.chat_files import refused


class Saving:
    def __init__(self, screen: Screen[Any], keeper: Keeper) -> None:
        self._screen, self._keeper = screen, keeper
        self._unwritable = ""

    def begin(self) -> None:
        """Write what the keeper noted, beside the screen."""
        self._screen.run_worker(self._write(), group="save")

    async def _write(self) -> None:
        try:
            await asyncio.to_thread(self._keeper.write)
            self._unwritable = ""
        except TunesmithError as error:
            if error.message != self._unwritable:  # once, not with every answer
                self._unwritable = error.message
                refused(self._screen, error)

    def end(self) -> None:
        """What the workers, which end now, did not come to."""
        try:
            self._keeper.write()
        except TunesmithError as error:
            refused(self._screen, error)
