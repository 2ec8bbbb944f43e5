"""What is on screen as an SVG file, with the room that wide characters take."""

from __future__ import annotations

import html
import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from textual.app import App

TEXT = re.compile(r'(<text [^>]*textLength=")([\d.]+)("[^>]*>)([^<]*)(?=</text>)')


def svg(app: App[Any], title: str) -> str:
    return TEXT.sub(_with_room, app.export_screenshot(title=title))


def _with_room(found: re.Match[str]) -> str:
    """Rich gives a text the room of its characters, of which a Chinese one takes two cells: it would be squeezed."""
    from rich.cells import cell_len

    text = html.unescape(found[4])
    cells = cell_len(text)
    if cells == len(text):
        return found[0]
    return f"{found[1]}{float(found[2]) / len(text) * cells:g}{found[3]}{found[4]}"
