"""`tunesmith chat` in this process, at a terminal whose keys are a list of lines, with a client in memory."""

from __future__ import annotations

import builtins
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import pytest
from histories import finished
from live import FakeClient

from tunesmith.daemon.api.home import Home
from tunesmith.tui.cli import chat, talk

Line = str | Callable[[], None] | type[BaseException]


class Said(NamedTuple):
    """The answers, and what was said beside them."""

    out: str
    err: str

    @property
    def answers(self) -> list[str]:
        return self.out.splitlines()


class Client(FakeClient):
    """Of a home with one finished run."""

    def __init__(self) -> None:
        super().__init__(identity=finished())

    async def close(self) -> None:
        return None


class TypedTalk:
    """`talk("a question", "/quit")`: lines, things that happen before the next line, or what a key raises."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
        self.client, self._capsys = Client(), capsys
        self.at_terminal = True
        self.prompts: list[str] = []
        self._lines: Iterator[Line] = iter(())

        async def ensure_daemon(home: Home) -> Client:
            return self.client

        monkeypatch.setattr(talk, "ensure_daemon", ensure_daemon)
        monkeypatch.setattr(talk, "at_terminal", lambda: self.at_terminal)
        monkeypatch.setattr(builtins, "input", self._input)

    def __call__(self, *lines: Line, **options: Any) -> Said:
        """Raises what the command ends with."""
        self._lines = iter(lines)
        self._capsys.readouterr()
        chat.chat("1", **options)
        return Said(*self._capsys.readouterr())

    @property
    def heard(self) -> list[list[str]]:
        """What each request had to say, oldest first."""
        return [[message.content for message in asked.messages] for asked in self.client.chats]

    def _input(self, prompt: str = "") -> str:
        self.prompts.append(prompt)
        for line in self._lines:
            if isinstance(line, type):
                raise line
            if isinstance(line, str):
                return line
            line()
        raise EOFError
