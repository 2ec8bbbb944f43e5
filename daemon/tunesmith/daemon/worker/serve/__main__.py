"""`python -m tunesmith.daemon.worker.serve PATH`: a process that answers from the model at PATH, a GGUF or a folder.

Requests as JSON a line on standard input, answers on standard output, as `serving.lines` says. It ends with its input
or on SIGTERM, and at once when the daemon is gone.
"""

from __future__ import annotations

import argparse
import os
import queue
import signal
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import msgspec

from tunesmith.daemon.api.home import Home
from tunesmith.daemon.serving import lines
from tunesmith.daemon.serving.lines import Loading, Ready, Refused, Request, Share
from tunesmith.daemon.worker import engines
from tunesmith.daemon.worker.serve import base
from tunesmith.daemon.worker.serve.loop import Loop, Say
from tunesmith.recipes.data.rendering import bounds
from tunesmith.recipes.errors import ModelError, TunesmithError


class Lines:
    """Standard input, read in a thread of its own, so that a request is heard between two steps."""

    def __init__(self, say: Say) -> None:
        self._queue: queue.SimpleQueue[Request | None] = queue.SimpleQueue()
        self._say = say
        self._ended = False
        threading.Thread(target=self._read, daemon=True).start()

    def take(self, wait: bool) -> Request | None:
        try:
            found = self._queue.get(block=wait)
        except queue.Empty:
            return None
        if found is None:
            raise EOFError
        return found

    def _read(self) -> None:
        decoder = msgspec.json.Decoder(Request)
        for line in sys.stdin.buffer:
            try:
                self._queue.put(decoder.decode(line))
            except (msgspec.DecodeError, UnicodeDecodeError) as error:
                self._say(Refused(0, "request", f"This is no request: {error}", "Send one as JSON a line."))
        self._queue.put(None)


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m tunesmith.daemon.worker.serve", description=__doc__)
    parser.add_argument("path", type=Path)
    parser.add_argument("--engine", default="auto")
    parser.add_argument("--convert", type=Path, help="the model folder that PATH is made of when it is not there")
    parser.add_argument("--mmproj", type=Path, help="what it sees with")
    parser.add_argument("--context", type=int, default=4096)
    parser.add_argument("--slots", type=int, default=8)
    parser.add_argument("--program", default="", help="the command of an engine that is installed beside us")
    parser.add_argument("--adapter", type=Path, action="append", default=[], help="one that will be asked for; again")
    parser.add_argument("--share", type=share, help="what it may take of the device's memory, as JSON")
    given = parser.parse_args(arguments)
    # Engines print wherever they like; only our lines may reach the reader.
    output = os.fdopen(os.dup(1), "wb", buffering=0)
    os.dup2(2, 1)
    bounds.confine()
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
    one_at_a_time = threading.Lock()

    def say(line: lines.Line) -> None:
        with one_at_a_time:
            output.write(msgspec.json.encode(line) + b"\n")

    def tell(line: Loading | Refused) -> None:
        """From an engine's own thread."""
        try:
            say(line)
        except BrokenPipeError:
            os._exit(0)
        if isinstance(line, Refused):  # it died, and with it the reason to go on
            os._exit(1)

    try:
        try:
            engine = opened(given, tell, output.fileno())
        except TunesmithError as error:
            say(Refused(0, error.code, error.message, error.hint))
            return 1
        say(Ready(given.engine, engine.name, engine.context_tokens, engine.slots))
        Loop(engine, Lines(say), say).run()
        engine.close()
    except BrokenPipeError:  # the reader is gone, and with it the reason to go on
        os._exit(0)
    return 0


def share(text: str) -> Share:
    return msgspec.json.decode(text, type=Share)


def opened(given: argparse.Namespace, tell: Callable[[Loading | Refused], None], output: int) -> engines.Engine:
    """The loaded model, made from another first where need be. Raises TunesmithError."""
    path: Path = given.path
    if given.convert is not None and not base.whole(path):
        base.convert(given.convert, path)
    if not path.exists():
        raise ModelError(f"There is no model at {path}", "Let the run reach the end of its export stage first.")
    base.verify(path)
    if given.mmproj is not None:
        base.verify(given.mmproj)
    card = engines.chosen(given.engine, path)
    given.engine = card.key
    options = engines.Options(
        given.context, given.slots, Home.find().served_view(path), given.mmproj, given.program, tuple(given.adapter),
        given.share, tell, output,
    )  # fmt: skip
    return card.open(path, options)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
