"""An engine's process that answers with the last message's words, one a piece; some words make it misbehave.

`slowly`: it says "and" for ever. `crash`: it dies. `linger`: it says nothing more and is still there. `garbage`: it
says what is no line of ours. A model whose name has `broken` in it cannot be loaded. A picture is the word `picture`.
"""

from __future__ import annotations

import os
import queue
import sys
import threading
import time
from pathlib import Path

import msgspec

from tunesmith.daemon.serving.lines import (
    Called,
    Embed,
    Embedded,
    Ended,
    Generate,
    Line,
    Piece,
    Ready,
    Refused,
    Request,
    Score,
    Stop,
)

PAUSE_S = 0.02
SLOTS = 4


def say(line: Line) -> None:
    sys.stdout.buffer.write(msgspec.json.encode(line) + b"\n")
    sys.stdout.buffer.flush()


class Answer:
    """`words` are still to be said."""

    def __init__(self, asked: Generate) -> None:
        content = asked.messages[-1]["content"] if asked.messages else asked.text or " ".join(map(str, asked.ids))
        parts = [content] if isinstance(content, str) else [part.get("text", part["type"]) for part in content]
        text = " ".join(parts)
        self.asked, self.words, self.said = asked, text.split(), 0
        self.slowly = "slowly" in self.words
        if asked.schema is not None:
            self.words = ['{"toy":true}']

    def step(self) -> bool:
        """Whether it has ended."""
        id, sampling = self.asked.id, self.asked.sampling
        if self.asked.tools and self.asked.tool_choice != "none":
            say(Called(id, self.asked.tools[0]["function"]["name"], '{"toy": 1}'))
            say(Ended(id, "tool_calls", 3, 1, 0, 10.0))
            return True
        word = self.words.pop(0) if self.words else "and" if self.slowly else None
        if word is None or self.said >= sampling.max_tokens:
            say(Ended(id, "stop" if word is None else "length", 3, self.said, 2, 10.0))
            return True
        self.said += 1
        top = tuple((f"other{place}", -2.0) for place in range(sampling.logprobs or 0))
        scores = (Score(word, -0.5, top),) if sampling.logprobs is not None else ()
        say(Piece(id, word, scores))
        return False


def misbehave(words: list[str]) -> None:
    if words == ["crash"]:
        os.abort()
    if words == ["linger"]:
        os.close(sys.stdout.fileno())
        time.sleep(60)
    if words == ["garbage"]:
        sys.stdout.buffer.write(b"llama_says: hello\n")
        sys.stdout.buffer.flush()
        time.sleep(60)


def main() -> None:
    model = Path(sys.argv[1])
    (model.parent / "engine-pids.txt").open("a").write(f"{os.getpid()}\n")
    if "broken" in model.name:
        say(Refused(0, "model", "The toy is broken", "Mend it."))
        sys.exit(1)
    say(Ready("toy", model.stem, 4096, SLOTS))
    requests: queue.SimpleQueue[Request | None] = queue.SimpleQueue()

    def read() -> None:
        for line in sys.stdin.buffer:
            requests.put(msgspec.json.decode(line, type=Request))
        requests.put(None)

    threading.Thread(target=read, daemon=True).start()
    answers: list[Answer] = []
    while True:
        try:
            request = requests.get(block=not answers)
        except queue.Empty:
            pass
        else:
            match request:
                case None:
                    return
                case Embed(id=id, text=text):
                    say(Embedded(id, (0.6, 0.8), len(text)))
                case Generate():
                    answer = Answer(request)
                    misbehave(answer.words)
                    answers.append(answer)
                case Stop(id=id):
                    (model.parent / "stopped.txt").open("a").write(f"{id}\n")
                    answers = [one for one in answers if one.asked.id != id]
            continue
        if any(one.slowly for one in answers):
            time.sleep(PAUSE_S)
        begun, waiting = answers[:SLOTS], answers[SLOTS:]
        answers = [one for one in begun if not one.step()] + waiting


if __name__ == "__main__":
    main()
