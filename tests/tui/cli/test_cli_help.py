"""Help is there for every command, quickly, and loads nothing heavy."""

from __future__ import annotations

import resource
import subprocess
import sys
from pathlib import Path

import pytest
from typer.main import get_command

from tunesmith.tui.cli.main import app

EXTRA_LIMIT_S = 0.15  # over an empty typer program
HEAVY = ("torch", "transformers", "peft", "trl", "textual", "httpx", "msgspec", "llama_cpp", "starlette")
MAIN = "from tunesmith.tui.cli.main import main; main()"
EMPTY = """
import typer
app = typer.Typer()
@app.command()
def one() -> None: "One."
@app.command()
def two() -> None: "Two."
app()
"""


def commands() -> list[tuple[str, ...]]:
    """Every command with the groups before it."""
    found: list[tuple[str, ...]] = []
    for name, command in get_command(app).commands.items():  # type: ignore[attr-defined]
        below = getattr(command, "commands", None)
        found += [(name, inner) for inner in below] if below else [(name,)]
    return found


def test_all_commands_of_the_issue_are_there() -> None:
    looking = ("list", "show", "follow", "logs", "recover", "compare", "report")
    acting = ("pause", "resume", "finish", "retry", "more", "move", "cancel", "remove", "clean")
    jobs = {("jobs", name) for name in (*looking, *acting)}
    daemon = {("daemon", name) for name in ("start", "stop", "status", "install", "uninstall")}
    data = {("data", name) for name in ("check", "preview", "list", "get")}
    models = {("models", name) for name in ("search", "pull", "list", "show", "remove", "verify", "import")}
    settings = {("settings", name) for name in ("show", "get", "set", "reset")}
    others = {
        ("quickstart",),
        ("run",),
        ("resume",),
        ("chat",),
        ("export",),
        ("merge",),
        ("eval",),
        ("serve",),
        ("doctor",),
        ("plan",),
        ("version",),
        ("web",),
        ("recipe", "schema"),
    }
    assert set(commands()) == jobs | daemon | data | models | settings | others


@pytest.mark.parametrize("command", commands(), ids=" ".join)
def test_every_command_has_help_with_an_example_and_a_json_option(command: tuple[str, ...]) -> None:
    done = subprocess.run(
        [sys.executable, "-c", MAIN, *command, "--help"], capture_output=True, text=True, env={"COLUMNS": "120"}
    )
    assert done.returncode == 0
    assert f"Example: tunesmith {' '.join(command)}" in done.stdout
    assert "--json" in done.stdout


def seconds(source: str) -> float:
    """Processor time of the program's help: it only computes, and a busy machine stretches wall time."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, "-c", source, "--help"], capture_output=True, check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def test_help_is_hardly_slower_than_an_empty_typer_program() -> None:
    pairs = [(seconds(MAIN), seconds(EMPTY)) for _ in range(7)]
    ours, empty = (min(times) for times in zip(*pairs, strict=True))
    assert ours - empty <= EXTRA_LIMIT_S


def test_help_loads_no_engine_and_no_client() -> None:
    source = f"""
import sys
from tunesmith.tui.cli.errors import guarded
from tunesmith.tui.cli.main import app
assert guarded(app, ["--help"]) == 0
loaded = [name for name in {HEAVY!r} if name in sys.modules]
sys.exit(f"loaded: {{loaded}}" if loaded else 0)
"""
    done = subprocess.run([sys.executable, "-c", source], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_without_a_terminal_and_a_command_the_help_is_shown(tmp_path: Path) -> None:
    done = subprocess.run([sys.executable, "-c", MAIN], stdin=subprocess.DEVNULL, capture_output=True, text=True)
    assert done.returncode == 0
    assert "quickstart" in done.stdout
