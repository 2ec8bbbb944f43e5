"""The chat screen of a run as tests open it: its cursor at rest."""

from __future__ import annotations

from live import FakeClient
from textual.pilot import Pilot
from textual.widgets import Input

from tunesmith.tui.screens.chat import ChatScreen


async def open_chat(pilot: Pilot[None], fake: FakeClient, base: bool = False) -> ChatScreen:
    screen = ChatScreen(fake.clients, 1, name="identity", base=base)
    await pilot.app.push_screen(screen)
    for field in screen.query(Input):
        field.cursor_blink = False
    await pilot.pause()
    return screen
