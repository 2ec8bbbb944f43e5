"""What is typed behind a slash in the chat screen: each does what a key does, some with what stands behind."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tunesmith.tui import attaching, chat_commands
from tunesmith.tui.screens.chat_files import REFUSED_FOR_S
from tunesmith.tui.texts import t
from tunesmith.tui.tool_text import described

if TYPE_CHECKING:
    from tunesmith.tui.screens.chat import ChatScreen


def obey(screen: ChatScreen, text: str) -> None:
    command, rest = chat_commands.parsed(text)
    path = attaching.typed_path(rest) if rest else None
    match command:
        case "reset":
            screen.action_clear()
        case "tuned":
            screen.mode = "tuned"
        case "base":
            screen.action_base()
        case "both":
            screen.action_split()
        case "vote":
            vote(screen, rest)
        case "chats" | "open":
            screen.action_saved()
        case "system":
            screen.set_system(rest)
        case "image":
            screen.attach(path)
        case "tools" if path is None and screen.tools:
            said = "\n".join(map(described, screen.tools))
            screen.notify(said, markup=False, timeout=REFUSED_FOR_S)
        case "tools":
            screen.use_tools(path)
        case "quit":
            screen.dismiss(None)
        case _:
            screen.notify(t("chat.commands"), markup=False)


def vote(screen: ChatScreen, rest: str) -> None:
    """The line above the question says what can be voted on, and what was voted."""
    match chat_commands.choice(rest):
        case None:
            screen.notify(t("talk.vote_how"), markup=False)
        case "undo":
            screen.action_take_back_vote()
        case better if screen.sides.stand is not None:
            screen.action_vote(better)
        case _:
            screen.notify(t("talk.no_two"), markup=False)
