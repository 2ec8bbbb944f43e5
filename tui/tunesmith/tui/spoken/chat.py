"""A chat in plain lines: what is typed is answered by the tuned model; images go with it where the model takes them."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import aclosing

from tunesmith.daemon.api.client import Client
from tunesmith.daemon.api.images import Attached
from tunesmith.daemon.api.requests import Chat
from tunesmith.recipes.errors import TunesmithError
from tunesmith.tui import attaching, chat_commands
from tunesmith.tui.answering import Answer
from tunesmith.tui.conversation import Turn, messages
from tunesmith.tui.spoken.asking import Asker
from tunesmith.tui.texts import t


class SpokenChat:
    """`daemon` gives a client whose daemon answers, and raises DaemonError."""

    def __init__(self, ask: Asker, daemon: Callable[[], Awaitable[Client]], job_id: int) -> None:
        self._ask, self._daemon, self._job_id = ask, daemon, job_id
        self._turns: tuple[Turn, ...] = ()
        self._attached: tuple[Attached, ...] = ()  # to the next message

    def run(self, runner: asyncio.Runner) -> None:
        """Until the person leaves: raises Back, Quit."""
        while True:
            typed = self._ask.text(t("spoken.chat_question"), "", t("spoken.chat_why"))
            command = chat_commands.parsed(typed)
            if typed.startswith("/") and command.name == "image":
                self._image(runner, command.rest)
            elif typed:
                said = runner.run(self._answer(typed))
                self._ask.say(f"{t('chat.tuned')}: {said.text}", said.note)
            elif self._attached:
                self._ask.say(t("chat.image_needs_text"))

    def _image(self, runner: asyncio.Runner, path: str) -> None:
        """Attach the one at `path`, or take all back; said before that where the model takes none."""
        try:
            self._attached = (*self._attached, runner.run(self._read(path))) if path else ()
        except TunesmithError as error:
            self._ask.fault(error)
        else:
            self._ask.say(attaching.attached_text(self._attached))

    async def _read(self, path: str) -> Attached:
        urls = [*attaching.urls(self._turns), *(image.url for image in self._attached)]
        return await attaching.typed(await self._daemon(), self._job_id, path, {False: urls})

    async def _answer(self, typed: str) -> Turn:
        """What the model says, or what went wrong; the images of what it did not answer go with the next message."""
        self._turns += (Turn("user", typed, images=self._attached),)
        answer = Answer()
        try:
            client = await self._daemon()
            async with aclosing(client.chat(self._job_id, Chat(messages(self._turns, "")))) as events:  # type: ignore[type-var]
                async for event in events:
                    answer.hear(event)
        except TunesmithError as error:
            answer.fail(error)
        self._turns += (answer.turn,)
        if answer.text:
            self._attached = ()
        return answer.turn
