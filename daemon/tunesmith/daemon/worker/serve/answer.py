"""One answer as it is written: tokens become text, a stop ends it, calls of tools are told apart from what is said."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence

from tunesmith.daemon.serving import lines
from tunesmith.daemon.serving.lines import Called, Ended, Generate, Piece, Score
from tunesmith.daemon.worker.engines import Engine, Prompt, Token
from tunesmith.daemon.worker.serve import calls
from tunesmith.daemon.worker.serve.calls import CallForm


class Answer:
    """`take` each token; `over` once it has ended. `form` is how calls are written, None where none are expected."""

    def __init__(
        self, engine: Engine, asked: Generate, prompt: Prompt, form: CallForm | None, names: list[str]
    ) -> None:
        self.asked, self.prompt = asked, prompt
        self.over = False
        self.echo_told = False
        self.reused = 0
        self._engine, self._form, self._names = engine, form, names
        self._reader = engine.reader(special=form is not None)
        self._most = min(asked.sampling.max_tokens, engine.context_tokens - len(prompt.ids))
        self._held = ""  # what may still become a stop or the mark of a call
        self._calling: str | None = None
        self._scores: list[Score] = []
        self._said = False
        self._tokens = 0
        self._first = 0.0

    def echoed(self, scores: Sequence[Token]) -> Iterator[lines.Answer]:
        """The prompt, and how likely each of its tokens was."""
        ids, reader = self.prompt.ids, self._engine.reader(special=True)
        text = "".join(map(reader.read, ids)) + reader.rest()
        told: tuple[Score, ...] = ()
        if self.asked.sampling.logprobs is not None:
            told = (Score(self._engine.token_text(ids[0]), None), *map(self._score, scores))
        yield Piece(self.asked.id, text, told)
        if self._most <= 0:
            yield from self._end("length")

    def take(self, token: Token) -> Iterator[lines.Answer]:
        self._first = self._first or time.monotonic()
        self._tokens += 1
        if self._engine.is_end(token.id):
            if self.prompt.scored and token.logprob is not None:  # who asks for an echo counts on a score a token
                self._scores.append(self._score(token))
            yield from self._end("stop")
            return
        if token.logprob is not None:
            self._scores.append(self._score(token))
        yield from self._say(self._reader.read(token.id))
        if not self.over and self._tokens >= self._most:
            yield from self._end("length")

    def _score(self, token: Token) -> Score:
        text = self._engine.token_text
        return Score(text(token.id), token.logprob, tuple((text(id), logprob) for id, logprob in token.top))

    def _say(self, text: str) -> Iterator[lines.Answer]:
        if self._calling is not None:
            self._calling += text
            return
        self._held += text
        stops = [place for stop in self.asked.sampling.stop if (place := self._held.find(stop)) >= 0]
        if stops:
            self._held = self._held[: min(stops)]
            yield from self._end("stop", rest=False)
            return
        if self._opens():
            return
        ready = len(self._held) - self._waiting()
        if ready or self._scores:
            yield self._piece(ready)

    def _opens(self) -> bool:
        """Whether a call begins here; what stands before its mark has been said by then, or is said at the end."""
        if self._form is None:
            return False
        mark = self._form.open.strip()
        if mark:
            before, found, after = self._held.partition(mark)
        else:  # a call without a mark is an answer that is JSON
            before, found, after = "", "{" if not self._said and self._held.lstrip().startswith("{") else "", self._held
        if not found:
            return False
        self._held, self._calling = before, found + after if mark else after
        return True

    def _waiting(self) -> int:
        """How many characters at the end may be the beginning of a stop or of a call's mark."""
        marks = [*self.asked.sampling.stop, *([self._form.open.strip()] if self._form is not None else [])]
        longest = max((len(mark) - 1 for mark in marks), default=0)
        for count in range(min(longest, len(self._held)), 0, -1):
            end = self._held[-count:]
            if any(mark.startswith(end) for mark in marks):
                return count
        return 0

    def _piece(self, ready: int) -> Piece:
        text, self._held = self._held[:ready], self._held[ready:]
        scores, self._scores = tuple(self._scores), []
        self._said = self._said or bool(text.strip())
        return Piece(self.asked.id, text, scores)

    def _end(self, reason: str, rest: bool = True) -> Iterator[lines.Answer]:
        """`rest`: a character that never became whole is told too; behind a stop nothing is."""
        self.over = True
        if rest and self._calling is None:
            self._held += self._reader.rest()
        found: list[tuple[str, str]] = []
        if self._calling is not None and self._form is not None:
            found = calls.read(self._calling, self._form, self._names)
            if not found:
                self._held += self._calling
            else:
                self._held, reason = self._held.rstrip(), "tool_calls" if reason == "stop" else reason
        if self._held or self._scores:
            yield self._piece(len(self._held))
        for name, arguments in found:
            yield Called(self.asked.id, name, arguments)
        # From the first token on: reading a long prompt is not writing speed.
        seconds = time.monotonic() - self._first if self._first else 0.0
        speed = (self._tokens - 1) / seconds if self._tokens > 1 and seconds else 0.0
        yield Ended(self.asked.id, reason, len(self.prompt.ids), self._tokens, self.reused, speed)
