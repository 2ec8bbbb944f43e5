"""What may be typed behind a slash in a chat: one list of names for the wizard and for a terminal."""

from __future__ import annotations

from typing import Literal, NamedTuple

from tunesmith.tui.votes import Better

ALIASES = {"clear": "reset", "split": "both", "exit": "quit", "v": "vote"}
CHOICES: dict[str, Better | Literal["undo"]] = {
    "tuned": "tuned", "t": "tuned", "1": "tuned",
    "base": "base", "b": "base", "2": "base",
    "tie": "tie", "neither": "tie", "n": "tie", "0": "tie",
    "undo": "undo", "u": "undo",
}  # fmt: skip


class Command(NamedTuple):
    """`name` without the slash, also where there is none such."""

    name: str
    rest: str


def parsed(line: str) -> Command:
    name, _, rest = line.removeprefix("/").partition(" ")
    name = name.lower()
    return Command(ALIASES.get(name, name), rest.strip())


def choice(rest: str) -> Better | Literal["undo"] | None:
    """What `/vote` was told; None where that says nothing."""
    return CHOICES.get(rest.lower())
