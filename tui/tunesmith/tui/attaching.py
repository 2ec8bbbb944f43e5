"""Images that a person attaches to a question: refused at once where the model or the chat cannot take them."""

from __future__ import annotations

import asyncio
import os
import shlex
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Protocol

from tunesmith.daemon.api import images
from tunesmith.daemon.api.images import Attached
from tunesmith.daemon.api.requests import ChatModel
from tunesmith.tui.conversation import Turn, messages
from tunesmith.tui.plain import one_line
from tunesmith.tui.texts import t


class Asked(Protocol):
    async def chat_model(self, job_id: int, base: bool = False) -> ChatModel: ...


async def refuse_blind(client: Asked, job_id: int, bases: Iterable[bool]) -> None:
    """Raises TunesmithError unless the tuned model, or with True the base, takes images."""
    for base in bases:
        if not (await client.chat_model(job_id, base)).images:
            raise images.unsupported(job_id)


async def read(path: Path, chats: Iterable[Iterable[str]]) -> Attached:
    """The image in that file, for chats that have such images already. Raises DataError."""
    found = await asyncio.to_thread(images.read, path)
    for urls in chats:
        images.refuse_too_many([*urls, found.url])
    return found


def urls(turns: Sequence[Turn]) -> list[str]:
    """Of the images that go with the next question by themselves: those of the questions before it."""
    return [url for message in messages(turns, "") for url in message.images]


async def typed(client: Asked, job_id: int, text: str, chats: Mapping[bool, Iterable[str]]) -> Attached:
    """The image whose path was typed, for models with such images already, the base by True. Raises TunesmithError."""
    await refuse_blind(client, job_id, chats)
    return await read(typed_path(text), chats.values())


def attached_text(attached: Sequence[Attached]) -> str:
    """What goes with the next message, in words: no sign that a screen reader would spell."""
    if not attached:
        return t("chat.attached_none")
    names = (
        t("chat.attached_one", name=one_line(image.name), width=image.width, height=image.height) for image in attached
    )
    return t("chat.attached", images=", ".join(names))


def typed_path(text: str) -> Path:
    """As a person types one, or a terminal writes it where a file is dropped: in quotes, or with spaces escaped."""
    path = os.path.expanduser(text.strip())
    if not os.path.lexists(path):
        try:
            words = shlex.split(text)
        except ValueError:  # a quotation mark that is part of the name, or one that is missing
            words = []
        if len(words) == 1:
            path = os.path.expanduser(words[0])
    return Path(path)
