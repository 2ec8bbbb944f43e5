"""How often the wizard may draw: what a key changes waits for the next time, 16 ms with Textual's own 60 a second."""

from __future__ import annotations

import os

A_SECOND = 120


def often() -> None:
    """To be called before Textual is imported, which reads it then; a person's own setting counts."""
    os.environ.setdefault("TEXTUAL_FPS", str(A_SECOND))
