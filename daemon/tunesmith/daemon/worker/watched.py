"""Running a command while looking, a few times a second, at how far it is."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import IO

from tunesmith.recipes.errors import TunesmithError

LOOK_EVERY_S = 0.2


def run_watched(
    command: list[str],
    folder: Path,
    look: Callable[[], None],
    *,
    out: IO[str] | None = None,
    environment: Mapping[str, str] | None = None,
) -> None:
    """Run `command` in `folder`, its output going to `out`, else to standard error, which is the log's; it ends when
    `look` raises.

    Raises TunesmithError unless it ends with 0.
    """
    with subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=out or sys.stderr, stderr=out, cwd=folder, env=environment
    ) as process:
        try:
            while True:
                try:
                    code = process.wait(LOOK_EVERY_S)
                    break
                except subprocess.TimeoutExpired:
                    look()
        finally:
            if process.poll() is None:
                process.kill()
    if code:
        name = next((Path(part).name for part in command if part.endswith(".py")), Path(command[0]).name)
        raise TunesmithError(f"{name} ended with {code}", "What it printed is in the log.", "command")
