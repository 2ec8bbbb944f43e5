"""A saved picture: every text has the room that it takes on screen, Chinese too."""

from __future__ import annotations

import html
import re

import pytest
from live import Alone
from textual.widgets import Static

from tunesmith.tui.picture import svg

CELL = 12.2  # Rich's own, in the units of its pictures


@pytest.mark.parametrize(("text", "cells"), [("Models", 6), ("模型a&b", 7), ("é字", 3)])
async def test_a_text_has_the_room_of_its_cells(text: str, cells: int) -> None:
    app = Alone(Static(text, markup=False))
    async with app.run_test(size=(cells, 4)) as pilot:
        await pilot.pause()
        picture = svg(app, "tunesmith")
    rooms = {
        html.unescape(said): float(room) for room, said in re.findall(r'textLength="([\d.]+)"[^>]*>([^<]+)', picture)
    }
    assert rooms[text] == pytest.approx(CELL * cells)
