"""The loop of an engine's process: requests are taken in turn, as many answers at once as the engine has slots."""

from __future__ import annotations

import collections
from collections.abc import Callable, Iterable
from typing import Protocol

from tunesmith.daemon.serving import lines
from tunesmith.daemon.serving.lines import Embed, Embedded, Generate, Refused, Request, Stop
from tunesmith.daemon.worker.engines import Engine, Writing
from tunesmith.daemon.worker.serve.answer import Answer
from tunesmith.daemon.worker.serve.prompts import SHORTER, Prompts
from tunesmith.recipes.errors import ModelError, TunesmithError

Say = Callable[[lines.Line], None]


class Inbox(Protocol):
    def take(self, wait: bool) -> Request | None:
        """The next request; None when there is none yet and `wait` is not asked for. Raises EOFError at the end."""
        ...


class Loop:
    def __init__(self, engine: Engine, inbox: Inbox, say: Say) -> None:
        self._engine, self._inbox, self._say = engine, inbox, say
        self._prompts = Prompts(engine)
        self._waiting: collections.deque[Answer] = collections.deque()
        self._writing: dict[Writing, Answer] = {}

    def run(self) -> None:
        """Until there are no more requests, and those that came are answered."""
        more = True
        while more or self._waiting or self._writing:
            try:
                if more:
                    self._listen()
            except EOFError:
                more = False
            self._begin()
            if self._writing:
                self._step()

    def _listen(self) -> None:
        """Waits only where there is nothing else to do."""
        while (request := self._inbox.take(wait=not (self._waiting or self._writing))) is not None:
            match request:
                case Stop(id=id):
                    self._stop(id)
                case Embed():
                    self._guarded(request.id, lambda asked=request: self._embed(asked))  # type: ignore[misc]
                case Generate():
                    self._guarded(request.id, lambda asked=request: self._queue(asked))  # type: ignore[misc]

    def _guarded(self, id: int, work: Callable[[], None]) -> bool:
        try:
            work()
            return True
        except TunesmithError as error:
            self._say(Refused(id, error.code, error.message, error.hint))
        except (RuntimeError, UnicodeError) as error:  # what the engines raise where they cannot go on
            self._say(Refused(id, "engine", f"The engine stopped: {error}", "Begin a new conversation."))
        return False

    def _queue(self, asked: Generate) -> None:
        prompt = self._prompts.of(asked)
        tools = self._prompts.tools(asked)
        names = [tool["function"]["name"] for tool in tools]
        self._waiting.append(Answer(self._engine, asked, prompt, self._prompts.form if tools else None, names))

    def _embed(self, asked: Embed) -> None:
        engine = self._engine
        ids = engine.tokenize(asked.text, True) if isinstance(asked.text, str) else list(asked.text)
        if not 0 < len(ids) <= engine.context_tokens:
            raise ModelError(
                f"The text has {len(ids)} tokens; the model's context holds {engine.context_tokens}", SHORTER,
                "context_full",
            )  # fmt: skip
        self._say(Embedded(asked.id, tuple(engine.embed(ids, asked.adapter)), len(ids)))

    def _begin(self) -> None:
        """Those that wait, in their order; one that finds no room keeps those behind it waiting, so none starves."""
        while self._waiting and len(self._writing) < self._engine.slots:
            answer = self._waiting[0]
            begun: list[Writing | None] = []
            if not self._guarded(answer.asked.id, lambda: begun.append(self._engine.begin(answer.prompt))):  # noqa: B023
                self._waiting.popleft()
                continue
            if begun[0] is None:
                return
            self._waiting.popleft()
            self._writing[begun[0]] = answer

    def _step(self) -> None:
        try:
            made = self._engine.step(list(self._writing))
        except RuntimeError as error:
            for writing, answer in list(self._writing.items()):
                self._say(Refused(answer.asked.id, "engine", f"The engine stopped: {error}", "Ask again."))
                self._done(writing)
            return
        for writing, token in made:
            if writing not in self._writing:  # it ended with a token before this one
                continue
            answer = self._writing[writing]
            if isinstance(token, TunesmithError):
                self._say(Refused(answer.asked.id, token.code, token.message, token.hint))
                self._done(writing)
                continue
            answer.reused = writing.reused
            if answer.prompt.scored and not answer.echo_told:
                answer.echo_told = True
                self._tell(answer.echoed(writing.scores))
            if not answer.over:
                self._tell(answer.take(token))
            if answer.over:
                self._done(writing)

    def _tell(self, events: Iterable[lines.Answer]) -> None:
        for event in events:
            self._say(event)

    def _done(self, writing: Writing) -> None:
        del self._writing[writing]
        self._engine.end(writing)

    def _stop(self, id: int) -> None:
        """Its slot is free before the next step."""
        self._waiting = collections.deque(one for one in self._waiting if one.asked.id != id)
        for writing, answer in list(self._writing.items()):
            if answer.asked.id == id:
                self._done(writing)
