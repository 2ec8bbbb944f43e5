"""`python -m tunesmith.daemon.worker.chat <gguf> [--convert <model folder>]`: a process that answers from one GGUF.

A `Chat` as JSON a line on standard input; `ChatDelta` lines, then one `ChatDone` or `ChatFailed`, on standard output.
It ends with its input or on SIGTERM. Only the standard library, llama.cpp and our own structs are loaded.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec

from tunesmith.daemon import publish
from tunesmith.daemon.api.home import Home
from tunesmith.daemon.api.requests import Chat, ChatDelta, ChatDone, ChatEvent, ChatFailed
from tunesmith.daemon.worker.llama import Engine
from tunesmith.daemon.worker.watched import run_watched
from tunesmith.recipes.data.rendering import bounds
from tunesmith.recipes.errors import ModelError, TunesmithError
from tunesmith.recipes.exports import gguf
from tunesmith.recipes.models import vetted

CONVERTED_TO = "q8_0"  # what the tuned model is chatted with too, so that the two compare


def main(arguments: list[str]) -> int:
    # llama.cpp prints wherever it likes; only our lines may reach the reader.
    lines = os.fdopen(os.dup(1), "wb", buffering=0)
    os.dup2(2, 1)
    bounds.confine()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    path = Path(arguments[0])
    source = Path(arguments[arguments.index("--convert") + 1]) if "--convert" in arguments else None
    encoder = msgspec.json.Encoder()
    try:
        opened = open_model(path, source)
        for line in sys.stdin.buffer:
            for event in respond(opened, line):
                lines.write(encoder.encode(event) + b"\n")
    except BrokenPipeError:  # the reader is gone, and with it the reason to go on
        return 0
    if isinstance(opened, Engine):
        opened.__exit__()
    return 0


def open_model(path: Path, source: Path | None) -> Engine | ChatFailed:
    """The loaded model, made from `source` first if need be; or what every question is to be answered with."""
    try:
        if source is not None and not whole(path):
            convert(source, path)
        if not path.is_file():
            raise ModelError(f"There is no model at {path}", "Let the run reach the end of its export stage first.")
        publish.verify_file(path)
        return Engine(path)
    except TunesmithError as error:
        return failed(error)


def whole(path: Path) -> bool:
    """Whether `path` is there as it was published; a damaged one is made again from its source."""
    try:
        publish.verify_file(path)
    except TunesmithError:
        return False
    return True


def convert(source: Path, path: Path) -> None:
    """Make the GGUF `path` from the model folder `source`. Raises TunesmithError."""
    if not (source / "config.json").is_file():
        raise ModelError(f"The base model {source} is gone", "Put it back, or chat with the tuned model.")
    home = Home.find()
    with publish.staging(path) as staged, publish.staging(path.with_name("base-view")) as view:
        vetted.view(source, view, home.models)  # the converter runs a model's own code where it finds some
        run_watched(gguf.command(home.vendor, view, CONVERTED_TO, staged), path.parent, lambda: None)
        publish.publish_file(staged, path)


def respond(opened: Engine | ChatFailed, line: bytes) -> Iterator[ChatEvent]:
    """What is answered to one line of input; the last event is ChatDone or ChatFailed."""
    if isinstance(opened, ChatFailed):
        yield opened
        return
    try:
        yield from answer(opened, msgspec.json.decode(line, type=Chat))
    except msgspec.DecodeError as error:
        yield ChatFailed("request", f"This is not a chat request: {error}", "Send one `Chat` as JSON a line.")
    except TunesmithError as error:
        yield failed(error)
    except RuntimeError as error:  # what llama-cpp-python raises when llama.cpp refuses to decode
        yield ChatFailed("llama", f"llama.cpp stopped: {error}", "Begin a new conversation.")


def answer(engine: Engine, chat: Chat) -> Iterator[ChatEvent]:
    ids = engine.tokenize(engine.render([msgspec.to_builtins(message) for message in chat.messages]))
    tokens, first = 0, 0.0
    for piece in engine.stream(ids, chat.max_tokens, chat.temperature, chat.seed):
        tokens += 1
        first = first or time.monotonic()
        if piece:
            yield ChatDelta(piece)
    # From the first token on: reading a long prompt is not writing speed.
    seconds = time.monotonic() - first
    speed = (tokens - 1) / seconds if tokens > 1 else 0.0
    yield ChatDone(tokens, speed, engine.finish_reason, engine.name)


def failed(error: TunesmithError) -> ChatFailed:
    return ChatFailed(error.code, error.message, error.hint)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
