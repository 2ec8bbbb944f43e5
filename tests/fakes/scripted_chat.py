"""An engine that gives the tuned model's answer of `histories` to its questions, and says that it heard any other."""

from __future__ import annotations

import sys
from pathlib import Path

import histories
import msgspec
from toy_engine import say

from tunesmith.daemon.serving.lines import Ended, Generate, Piece, Ready, Request

ANSWERS = {question: tuned for question, _, tuned, _ in histories.QUESTIONS}


def main() -> None:
    say(Ready("scripted", Path(sys.argv[1]).stem, 4096, 1))
    for line in sys.stdin.buffer:
        asked = msgspec.json.decode(line, type=Request)
        if not isinstance(asked, Generate):
            continue
        text = asked.messages[-1]["content"]
        words = ANSWERS.get(text, f"I heard: {text}").split()
        for at, word in enumerate(words):
            say(Piece(asked.id, f" {word}" if at else word))
        say(Ended(asked.id, "stop", len(text.split()), len(words), 0, 41.5))


if __name__ == "__main__":
    main()
