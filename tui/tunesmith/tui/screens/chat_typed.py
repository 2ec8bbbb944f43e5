"""What is typed behind a slash in the chat screen: each does what a key does, some with what stands behind."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tunesmith.tui import attaching
from tunesmith.tui.screens.chat_files import REFUSED_FOR_S
from tunesmith.tui.texts import t
from tunesmith.tui.tool_text import described

if TYPE_CHECKING:
    from tunesmith.tui.screens.chat import ChatScreen


def obey(screen: ChatScreen, text: str) -> None:
    command, _, rest = text[1:].partition(" ")
    path = attaching.typed_path(rest) if rest.strip() else None
    match command:
        case "clear":
            screen.action_clear()
        case "base":
            screen.action_base()
        case "split":
            screen.action_split()
        case "system":
            screen.set_system(rest.strip())
        case "image":
            screen.attach(path)
        case "tools" if path is None and screen.tools:
            said = "\n".join(map(described, screen.tools))
            screen.notify(said, markup=False, timeout=REFUSED_FOR_S)
        case "tools":
            screen.use_tools(path)
        case "quit" | "exit":
            screen.dismiss(None)
        case _:
            screen.notify(t("chat.commands"), markup=False)
