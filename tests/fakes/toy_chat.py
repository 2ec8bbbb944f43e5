"""A chat child that answers with the last message's words, one a delta; `slowly` makes it take for ever."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

import msgspec

from tunesmith.daemon.api.requests import Chat, ChatDelta, ChatDone, ChatEvent


def say(event: ChatEvent) -> None:
    sys.stdout.buffer.write(msgspec.json.encode(event) + b"\n")
    sys.stdout.buffer.flush()


def main() -> None:
    model = Path(sys.argv[1])
    (model.parent / "chat-pids.txt").open("a").write(f"{os.getpid()}\n")
    for line in sys.stdin.buffer:
        chat = msgspec.json.decode(line, type=Chat)
        words = chat.messages[-1].content.split()
        if words == ["crash"]:
            os.abort()
        if words == ["linger"]:  # nothing more is said, and the process is still there
            os.close(sys.stdout.fileno())
            time.sleep(60)
        for word in words:
            say(ChatDelta(word))
        while "slowly" in words:
            say(ChatDelta("and"))
            time.sleep(0.05)
        say(ChatDone(len(words), 10.0, "stop", model.name))


if __name__ == "__main__":
    main()
