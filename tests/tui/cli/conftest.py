"""A home of its own for every test, the command in its own process, and a daemon that only pretends to train."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from tunesmith.daemon.api.home import Home

FAKE_DAEMON = Path(__file__).parents[2] / "fakes" / "fake_daemon.py"


class Ran(NamedTuple):
    """What a command left: its exit code and both outputs."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> dict[str, Any]:
        """The object on the last line of standard output."""
        value = json.loads(self.out.strip().splitlines()[-1])
        assert isinstance(value, dict)
        return value


Tunesmith = Callable[..., Ran]


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Home]:
    monkeypatch.setenv("TUNESMITH_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "120")
    yield Home.find()
    # A command that needs a daemon starts a real one; none may outlive its test.
    stop = [sys.executable, "-c", "from tunesmith.tui.cli.main import main; main()", "daemon", "stop"]
    subprocess.run(stop, capture_output=True, timeout=60, check=True)


@pytest.fixture
def tunesmith(home: Home) -> Tunesmith:
    """`tunesmith("jobs", "list")` runs the command as a person would, with `text` on its standard input."""

    def run(*arguments: str, text: str = "", cwd: Path | None = None) -> Ran:
        command = [sys.executable, "-c", "from tunesmith.tui.cli.main import main; main()", *arguments]
        done = subprocess.run(command, input=text, capture_output=True, text=True, timeout=60, env=os.environ, cwd=cwd)
        assert "Traceback" not in done.stdout + done.stderr
        return Ran(done.returncode, done.stdout, done.stderr)

    return run


@pytest.fixture
def fake_daemon(home: Home) -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen([sys.executable, str(FAKE_DAEMON)], env=os.environ)
    deadline = time.monotonic() + 60
    while not home.socket.exists() and time.monotonic() < deadline:
        time.sleep(0.02)
    yield process
    process.kill()
    process.wait()


@pytest.fixture
def recipe(tmp_path: Path) -> Callable[[str], str]:
    """`recipe("name")` writes a recipe whose name tells the fake daemon how it shall end."""

    def write(name: str) -> str:
        path = tmp_path / f"{name}.yaml"
        path.write_text(f"name: {name}\ntraining:\n  epochs: 1\n", "utf-8")
        return str(path)

    return write
