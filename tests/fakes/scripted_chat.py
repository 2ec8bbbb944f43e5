"""A chat child that gives the tuned model's answer of `live` to its questions, and says that it heard any other."""

from __future__ import annotations

import sys
from pathlib import Path

import live
import msgspec
from toy_chat import say

from tunesmith.daemon.api.requests import Chat, ChatDelta, ChatDone

ANSWERS = {question: tuned for question, _, tuned, _ in live.QUESTIONS}


def main() -> None:
    model = Path(sys.argv[1])
    for line in sys.stdin.buffer:
        asked = msgspec.json.decode(line, type=Chat).messages[-1].content
        words = ANSWERS.get(asked, f"I heard: {asked}").split()
        for at, word in enumerate(words):
            say(ChatDelta(f" {word}" if at else word))
        say(ChatDone(len(words), 41.5, "stop", model.name))


if __name__ == "__main__":
    main()
