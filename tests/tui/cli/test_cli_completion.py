"""Shells complete commands, options and names: the script is printed, and what it asks is answered from files alone."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tunesmith.daemon.api.home import Home

MAIN = "from tunesmith.tui.cli.main import main; main()"


def tunesmith(*arguments: str, **environment: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", MAIN, *arguments], capture_output=True, text=True, timeout=120,
        env=os.environ | environment,
    )  # fmt: skip
    assert "Traceback" not in done.stderr
    return done.stdout


def completed(line: str) -> list[str]:
    """What bash is offered for the last word of `line`."""
    words = line.split(" ")
    asked = {"_TUNESMITH_COMPLETE": "complete_bash", "COMP_WORDS": line, "COMP_CWORD": str(len(words) - 1)}
    return tunesmith(**asked).split()


@pytest.fixture
def runs(home: Home) -> Home:
    for number in (1, 2, 10):
        folder = home.root / "jobs" / str(number)
        folder.mkdir(parents=True)
        (folder / "spec.json").write_text(f'{{"name": "run {number}"}}')
    (home.root / "jobs" / "10" / "spec.json").write_text("half a")
    return home


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_script_of_a_shell_is_printed(home: Home, shell: str) -> None:
    script = tunesmith(_TUNESMITH_COMPLETE=f"source_{shell}")
    assert "_TUNESMITH_COMPLETE" in script and "tunesmith" in script


def test_the_help_says_how_to_get_it(home: Home) -> None:
    assert "--install-completion" in tunesmith("--help") and "--show-completion" in tunesmith("--help")


def test_commands_and_options_are_completed(home: Home) -> None:
    assert completed("tunesmith jo") == ["jobs"]
    assert completed("tunesmith jobs re") == ["resume", "retry", "remove", "recover", "report"]
    assert completed("tunesmith web --no") == ["--no-open"]


def test_runs_are_completed_newest_first_without_a_daemon(runs: Home) -> None:
    assert completed("tunesmith jobs follow ") == ["last", "10", "2", "1"]
    assert completed("tunesmith chat 1") == ["10", "1"]
    assert not runs.socket.exists()


def test_models_and_data_sets_are_completed(home: Home, tmp_path: Path) -> None:
    assert "starter" in completed("tunesmith plan --model st")
    assert "qwen2.5-7b-instruct" in completed("tunesmith models pull qwen2.5-7b")
    assert completed("tunesmith data get alp")
