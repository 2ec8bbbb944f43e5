"""An engine's process as the daemon runs it: lines in, lines out, nothing else on standard output."""

from __future__ import annotations

import itertools
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec

from tunesmith.daemon.serving.lines import (
    LAST,
    Answer,
    Called,
    Embed,
    Ended,
    Generate,
    Line,
    Loading,
    Piece,
    Ready,
    Refused,
    Sampling,
    Score,
    Stop,
)

COMMAND = [sys.executable, "-m", "tunesmith.daemon.worker.serve"]


def question(id: int, text: str, **more: Any) -> Generate:
    """A conversation of one message; of `more`, what is of Sampling goes there."""
    sampling = {key: more.pop(key) for key in Sampling.__struct_fields__ if key in more}
    messages = more.pop("messages", ({"role": "user", "content": text},))
    return Generate(id=id, sampling=Sampling(**{"max_tokens": 8, **sampling}), messages=messages, **more)


def said(*arguments: str | Path, lines: bytes = b"", timeout: float = 120) -> list[Line]:
    """All that such a process says to `lines`, a question by default, until it ends."""
    lines = lines or msgspec.json.encode(question(1, "Hello", max_tokens=1)) + b"\n"
    with tempfile.TemporaryDirectory() as home:
        command, environment = [*COMMAND, *map(str, arguments)], os.environ | {"TUNESMITH_HOME": home}
        done = subprocess.run(command, input=lines, capture_output=True, timeout=timeout, env=environment)
    return [msgspec.json.decode(line, type=Line) for line in done.stdout.splitlines()]


class Child:
    """Several questions may be under way; `until(id)` gives all that was said of one of them."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self.process = process
        self.heard: list[Line] = []
        self._ids = itertools.count(1)

    def send(self, line: Generate | Embed | Stop) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(msgspec.json.encode(line) + b"\n")
        self.process.stdin.flush()

    def hear(self) -> Line:
        assert self.process.stdout is not None
        line: Line = msgspec.json.decode(self.process.stdout.readline(), type=Line)
        self.heard.append(line)
        return line

    def until(self, id: int) -> list[Answer]:
        while not any(isinstance(line, LAST) and line.id == id for line in self.heard):
            self.hear()
        return [line for line in self.heard if not isinstance(line, Ready | Loading) and line.id == id]

    def ask(self, text: str, **more: Any) -> list[Answer]:
        id = next(self._ids)
        self.send(question(id, text, **more))
        return self.until(id)

    def new_id(self) -> int:
        return next(self._ids)


@contextmanager
def child(*arguments: str | Path) -> Iterator[Child]:
    pipe, quiet, command = subprocess.PIPE, subprocess.DEVNULL, [*COMMAND, *map(str, arguments)]
    with (
        tempfile.TemporaryDirectory() as home,
        subprocess.Popen(
            command, stdin=pipe, stdout=pipe, stderr=quiet, env=os.environ | {"TUNESMITH_HOME": home}
        ) as process,
    ):
        try:
            yield Child(process)
        finally:
            if process.poll() is None:
                process.kill()


def text_of(answers: list[Answer]) -> str:
    return "".join(one.text for one in answers if isinstance(one, Piece))


def scores_of(answers: list[Answer]) -> list[Score]:
    return [score for one in answers if isinstance(one, Piece) for score in one.scores]


def calls_of(answers: list[Answer]) -> list[Called]:
    return [one for one in answers if isinstance(one, Called)]


def ended(answers: list[Answer]) -> Ended:
    """The last of them. Fails when it was refused."""
    assert isinstance(answers[-1], Ended), answers[-1]
    return answers[-1]


def refused(answers: list[Answer]) -> Refused:
    assert isinstance(answers[-1], Refused), answers[-1]
    return answers[-1]
