"""The wizard of one tab; what serves it speaks over its pipes, and it ends when that is gone."""

from __future__ import annotations

import os
import signal
import threading
import time

LOOK_EVERY_S = 1.0  # an orphan holds some 60 MB; a second of that harms nobody


def end_with(parent: int) -> None:
    """A killed server closes the pipes, which Textual's driver takes for silence."""
    while os.getppid() == parent:
        time.sleep(LOOK_EVERY_S)
    os.kill(os.getpid(), signal.SIGTERM)


def main() -> None:
    from tunesmith.tui import frames

    frames.soon()
    from tunesmith.tui.app import run

    threading.Thread(target=end_with, args=(os.getppid(),), name="end-with-parent", daemon=True).start()
    run()


if __name__ == "__main__":
    main()
