"""docs/commands.md: every command with its arguments, options and example, from the table that typer runs."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import typer

EXAMPLE = re.compile(r"^Examples?: (.+)$", re.MULTILINE | re.DOTALL)
INTRODUCTION = """\
# Commands

<!-- Made by `python docs/make.py` from the commands themselves; `tunesmith COMMAND --help` says the same. -->

`tunesmith` alone opens the [wizard](wizard.md). Every command prints for people on a terminal; with `--json` the last
line of standard output is one JSON object. Data goes to standard output, everything else to standard error.
[errors.md](errors.md) explains every error code.
"""


def markdown() -> str:
    parts = [INTRODUCTION, "\n".join(_contents(root())) + "\n"]
    for path, command in commands(root()):
        parts += _command(path, command)
    return "\n".join(parts).rstrip() + "\n"


def root() -> Any:
    from tunesmith.tui.cli.main import app

    return typer.main.get_command(app)


def commands(group: Any, before: str = "tunesmith") -> Iterator[tuple[str, Any]]:
    """(`tunesmith data check`, command) of every command, groups before what is below them."""
    for name, command in group.commands.items():
        path = f"{before} {name}"
        yield path, command
        if hasattr(command, "commands"):
            yield from commands(command, path)


def _contents(group: Any) -> Iterator[str]:
    yield "| command | what it does |\n|---|---|"
    for path, command in commands(group):
        if not hasattr(command, "commands"):
            yield f"| [`{path}`](#{path.replace(' ', '-')}) | {_first_line(command)} |"


def _first_line(command: Any) -> str:
    return (command.help or "").strip().splitlines()[0]


def _command(path: str, command: Any) -> Iterator[str]:
    context = typer.Context(command, info_name=path)
    if hasattr(command, "commands"):
        yield f"## {path}\n\n{command.help.strip()}\n"
        return
    level = "##" if path.count(" ") == 1 else "###"
    text = command.help.strip()
    example = EXAMPLE.search(text)
    yield f"{level} {path}\n\n{EXAMPLE.sub('', text).strip()}\n"
    yield f"```\n{path} {_usage(command)}\n```\n"
    rows = [row for parameter in command.params if (row := _row(parameter, context))]
    yield "| | |\n|---|---|\n" + "\n".join(rows) + "\n"
    if example:
        yield f"```bash\n{example[1].strip()}\n```\n"


def _usage(command: Any) -> str:
    arguments = [p for p in command.params if p.param_type_name == "argument"]
    words = [(p.metavar or p.name.upper()) + ("..." if p.nargs != 1 else "") for p in arguments]
    return " ".join([*(w if p.required else f"[{w}]" for w, p in zip(words, arguments, strict=True)), "[OPTIONS]"])


def _row(parameter: Any, context: typer.Context) -> str:
    """Its name with its value, and typer's own help with the default."""
    record = parameter.get_help_record(context)
    if record is None:
        return ""
    name, text = record
    return f"| `{name.replace('|', ' or ')}` | {text.replace('|', ' or ').replace('<', '&lt;').replace('  [', ' [')} |"
