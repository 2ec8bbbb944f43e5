"""What a person types behind a slash in a talk, and what it does; each says something back."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from tunesmith.daemon.api import tools
from tunesmith.daemon.api.images import Attached
from tunesmith.recipes.errors import nearest
from tunesmith.tui import attaching, chat_commands, votes
from tunesmith.tui.chat_sides import Sides
from tunesmith.tui.cli.talk_kept import Kept
from tunesmith.tui.cli.tool_text import tools_text
from tunesmith.tui.plain import one_line
from tunesmith.tui.saved_chats import Mode
from tunesmith.tui.texts import t

QUIT = "quit"


class Talking(Protocol):
    """What commands act on."""

    sides: Sides
    kept: Kept
    attached: list[Attached]

    def attach(self, text: str) -> None: ...


def run(talk: Talking, line: str) -> str:
    """Raises TunesmithError."""
    name, rest = chat_commands.parsed(line)
    if (act := COMMANDS.get(name)) is None:
        return t("talk.unknown", name=one_line(name), known=nearest(name, (*COMMANDS, QUIT)))
    return act(talk, rest)


def _help(talk: Talking, rest: str) -> str:
    return f"{t('talk.help')}{talk.kept.where()}"


def _reset(talk: Talking, rest: str) -> str:
    talk.sides.begin()
    return t("talk.reset")


def _system(talk: Talking, rest: str) -> str:
    talk.sides.system = rest
    return t("talk.system", text=rest) if rest else t("talk.no_system")


def _show(mode: Mode) -> Callable[[Talking, str], str]:
    def show(talk: Talking, rest: str) -> str:
        talk.sides.mode = talk.sides.switched(mode)
        return t("talk.now", mode=t(f"chat.mode_{talk.sides.mode}"))

    return show


def _vote(talk: Talking, rest: str) -> str:
    choice, sides = chat_commands.choice(rest), talk.sides
    if choice is None:
        return t("talk.vote_how")
    if choice == "undo":
        return sides.ballot.take_back() or t("talk.no_vote")
    if isinstance(sides.stand, votes.Asking):
        try:
            sides.vote(choice)
        except votes.Refused as error:
            return str(error)
    match sides.stand:
        case votes.Cast() as cast:
            return f"{votes.cast_text(cast)}\n{t('talk.voted')}"
        case votes.Impossible(why=why):
            return why
    return t("talk.no_two")


def _chats(talk: Talking, rest: str) -> str:
    return talk.kept.listing()


def _open(talk: Talking, rest: str) -> str:
    return talk.kept.open(rest)


def _image(talk: Talking, rest: str) -> str:
    if rest:
        talk.attach(rest)
    else:
        talk.attached.clear()
    return attaching.attached_text(talk.attached)


def _tools(talk: Talking, rest: str) -> str:
    if rest:
        talk.sides.tools = tools.read(attaching.typed_path(rest))
    return tools_text(talk.sides.tools)


COMMANDS: dict[str, Callable[[Talking, str], str]] = {
    "help": _help, "reset": _reset, "system": _system,
    "tuned": _show("tuned"), "base": _show("base"), "both": _show("split"),
    "vote": _vote, "chats": _chats, "open": _open, "image": _image, "tools": _tools,
}  # fmt: skip
