"""How soon what a key changes is drawn: Textual's own 60 a second let it wait 16 ms, and Python its writer 5 more."""

from __future__ import annotations

import os
import sys

A_SECOND = 120
WRITER_WAITS_S = 0.0005  # of the thread that writes to the terminal, while the others have work


def soon() -> None:
    """To be called before Textual is imported, which reads it then; a person's own setting counts."""
    os.environ.setdefault("TEXTUAL_FPS", str(A_SECOND))
    sys.setswitchinterval(WRITER_WAITS_S)
