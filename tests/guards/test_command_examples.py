"""Every command and group shows an example that is one: its names and options exist, and it can be parsed."""

from __future__ import annotations

import itertools
import re
import shlex
from collections.abc import Iterator
from typing import Any

import pytest
import typer

from tunesmith.tui.cli.main import app


def tree(command: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Every command and group below, with its name."""
    yield path, command
    for name, below in getattr(command, "commands", {}).items():
        yield from tree(below, (*path, name))


COMMANDS = dict(tree(typer.main.get_command(app)))


def example(command: Any) -> str:
    """The line of the help that begins with `Example:`, wherever it stands."""
    said = f"{command.help or ''}\n{command.epilog or ''}"
    found = re.findall(r"^\s*Example: (.+)$", said, re.MULTILINE)
    return found[-1].strip() if found else ""


@pytest.mark.parametrize("path", COMMANDS, ids=lambda path: " ".join(("tunesmith", *path)))
def test_a_command_s_example_can_be_run(path: tuple[str, ...]) -> None:
    words = list(itertools.takewhile(lambda word: word not in (">", "|", "&&"), shlex.split(example(COMMANDS[path]))))
    assert words[: len(path) + 1] == ["tunesmith", *path]
    rest, command = words[1:], COMMANDS[()]
    while hasattr(command, "commands"):
        if rest[:1] and rest[0] in command.commands:
            command, rest = command.commands[rest[0]], rest[1:]
        else:
            assert rest == [], f"{rest[0]} is no command"
            return
    command.make_context("tunesmith", list(rest))  # raises for an option or an argument that does not exist


def test_the_whole_tree_was_looked_at() -> None:
    assert len(COMMANDS) >= 38
    assert {("web",), ("jobs", "follow"), ("models",)} <= set(COMMANDS)
