"""NO_COLOR: a command on a real terminal draws no colour; without it, it does."""

from __future__ import annotations

import os
import pty
import re
import subprocess
import sys

import pytest

from tunesmith.daemon.api.home import Home

COLOUR = re.compile(rb"\x1b\[(?:[0-9;]*;)?(?:3[0-8]|4[0-8]|9[0-7]|10[0-7])(?:;[0-9;]*)?m")


def on_a_terminal(*arguments: str, **environment: str) -> bytes:
    """What the command writes to a terminal."""
    ours, its = pty.openpty()
    command = [sys.executable, "-c", "from tunesmith.tui.cli.main import main; main()", *arguments]
    environ = {key: value for key, value in os.environ.items() if key != "NO_COLOR"} | {"TERM": "xterm-256color"}
    process = subprocess.Popen(command, stdin=its, stdout=its, stderr=its, env=environ | environment)
    os.close(its)
    said = b""
    while True:
        try:
            part = os.read(ours, 65536)
        except OSError:  # how Linux says that the other end is closed
            break
        if not part:
            break
        said += part
    os.close(ours)
    assert process.wait() in (0, 1, 2)
    return said


@pytest.mark.parametrize(
    "arguments",
    [("--help",), ("plan", "--machines"), ("recipe", "schema", "--wrong"), ("jobs", "show", "7")],
    ids=" ".join,
)
def test_no_color_is_kept(home: Home, arguments: tuple[str, ...]) -> None:
    assert COLOUR.search(on_a_terminal(*arguments, NO_COLOR="1")) is None


def test_without_it_a_terminal_is_coloured(home: Home) -> None:
    assert COLOUR.search(on_a_terminal("jobs", "show", "7"))
