"""An engine that is a server in a process of its own: prompts go there as tokens, and tokens come back from it.

The chat template, stops, calls of tools and the text of tokens are ours, as for every engine: what the server is asked
is to go on from tokens. Its answers come in a thread that does nothing else, each on a connection that is closed when
nobody wants more of it: that is how all of these servers are told.
"""

from __future__ import annotations

import asyncio
import contextlib
import queue
import threading
from collections.abc import AsyncIterator, Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import msgspec

from tunesmith.daemon.api.engines import ENGINES
from tunesmith.daemon.api.home import Home
from tunesmith.daemon.serving.lines import Loading, Refused
from tunesmith.daemon.worker.engines import Card, Form, Options, Prompt, Token
from tunesmith.daemon.worker.serve import adapters
from tunesmith.daemon.worker.serve.folder_text import FolderText
from tunesmith.daemon.worker.serve.servers import BASE, Asked, Command, Dialect, Heard, Start
from tunesmith.daemon.worker.serve.servers.process import Server, free_port, new_key, private_folder
from tunesmith.recipes.errors import ModelError, TunesmithError
from tunesmith.recipes.models import json_file, vetted

HEARD_WITHIN_S = 0.01  # a new question is looked for as often as this while others are answered
DEATH_TOLD_WITHIN_S = 2.0  # a connection breaks before the system tells of the process behind it
DIED_HINT = "Its log, that of this model's process, has all that it said; the next question starts another."
CUT_OFF = ("length", "abort", "error")  # ends of an answer that it did not come to by itself
NO_TOKEN = -1  # stands for the one that ended an answer, where nobody says which it was
SAID_LIMIT = 300  # characters of a refusal
UNSUPPORTED = "engine_cannot"
# No connection is made by itself to anybody, by none of them.
QUIET = {"HF_HUB_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1", "DO_NOT_TRACK": "1", "PYTHONUNBUFFERED": "1"}


class Writing:
    """An answer that a server writes; `stop` closes the connection on which it comes."""

    def __init__(self, asked: Asked) -> None:
        self.asked = asked
        self.reused = 0
        self.scores: list[Token] = []
        self.stop: Callable[[], object] = lambda: None


Event = tuple[Writing, Heard | TunesmithError]


def card(dialect: Dialect) -> Card:
    """Of an engine that takes a minute to start, so that a person asks for it: it suits nothing by itself."""
    return Card(dialect.key, ENGINES[dialect.key].title, lambda path: False, partial(Remote, dialect))


class Remote(FolderText):
    def __init__(self, dialect: Dialect, folder: Path, options: Options) -> None:
        self._dialect, self._title = dialect, ENGINES[dialect.key].title
        if not (folder / "config.json").is_file():
            raise ModelError(
                f"{self._title} is given model folders, and {folder} is none",
                "Serve the folder it was made of, or leave --engine out.", "engine",
            )  # fmt: skip
        view = options.scratch
        vetted.view(folder, view, Home.find().models)
        super().__init__(view)
        self.name, self.slots = folder.name, options.slots
        self.context_tokens = min(options.context, trained_on(view) or options.context)
        self._events: queue.SimpleQueue[Event] = queue.SimpleQueue()
        self._answered = asyncio.new_event_loop()
        with private_folder() as private:
            self._start(view, private, options)

    def _start(self, view: Path, private: Path, options: Options) -> None:
        """Raises TunesmithError."""
        self._adapters, rank = self._views(options.adapters, private)
        share = options.share
        start = Start(
            program=Path(options.program), model=view, key=new_key(), private=private, socket=private / "socket",
            port=free_port(), context=self.context_tokens, slots=options.slots, rank=rank,
            share=share if share is not None and share.device != "cpu" else None,
            adapters={name: private / name for name in self._adapters.values()},
            cache_bytes=share.cache if share is not None else 0,
        )  # fmt: skip
        self._begin(start, self._dialect.start(start), options)

    def _views(self, paths: Sequence[Path], private: Path) -> tuple[dict[str, str], int]:
        names = {str(path): f"adapter-{place}" for place, path in enumerate(paths)}
        ranks = [adapters.view(Path(path), private / name) for path, name in names.items()]
        return names, max(ranks, default=0)

    def _begin(self, start: Start, command: Command, options: Options) -> None:
        by_socket = self._dialect.by_socket
        self._server = Server(
            self._title, command.words, {**QUIET, **command.environment}, start.private, options.output,
            lambda said: options.tell(Loading(f"{self._title}: {said}")),
            lambda why: options.tell(Refused(0, "engine_died", why, DIED_HINT)),
        )  # fmt: skip
        about: dict[str, Any] = {
            "base_url": "http://tunesmith" if by_socket else f"http://127.0.0.1:{start.port}",
            "headers": {"Authorization": f"Bearer {start.key}"}, "timeout": httpx.Timeout(10, read=None),
        }  # fmt: skip
        path = str(start.socket) if by_socket else None
        with httpx.Client(**about | {"timeout": 2}, transport=httpx.HTTPTransport(uds=path)) as client:
            self._server.until_ready(client, None if by_socket else start.port)
        limits = httpx.Limits(max_connections=None, max_keepalive_connections=self.slots)
        transport = httpx.AsyncHTTPTransport(uds=path, limits=limits)
        self._client = httpx.AsyncClient(**about, transport=transport)
        threading.Thread(target=self._answered.run_forever, daemon=True).start()

    # Answers

    def held(self, form: Form) -> dict[str, Any]:
        found = self._dialect.held(form)
        if found is None:
            raise ModelError(
                f"{self._title} cannot hold an answer to that", "Serve the model as a GGUF.", "schema_unsupported"
            )
        return found

    def begin(self, prompt: Prompt) -> Writing:
        if prompt.adapter and prompt.adapter not in self._adapters:
            raise ModelError(
                f"{self._title} was started without the adapter {prompt.adapter}",
                "Serve the model again with --adapter NAME=PATH.", "adapter_not_loaded",
            )  # fmt: skip
        sampling = prompt.sampling
        most = max(1, min(sampling.max_tokens, self.context_tokens - len(prompt.ids)))
        asked = Asked(
            prompt=prompt, name=self._adapters.get(prompt.adapter, BASE), most=most, top=sampling.logprobs,
            scored=prompt.scored and sampling.logprobs is not None, ends=tuple(sorted(self.ends)),
        )  # fmt: skip
        if why := self._dialect.refuse(asked):
            raise ModelError(f"{self._title} {why}", "Leave that out, or serve with another engine.", UNSUPPORTED)
        writing = Writing(asked)
        writing.stop = asyncio.run_coroutine_threadsafe(self._hear(writing), self._answered).cancel
        return writing

    async def _hear(self, writing: Writing) -> None:
        try:
            async for heard in self._stream(writing.asked):
                self._events.put((writing, heard))
        except TunesmithError as error:
            self._events.put((writing, error))
        except (httpx.HTTPError, msgspec.MsgspecError, LookupError, TypeError, ValueError) as error:
            # Where the process is gone, this one is about to end too, and says so itself.
            if not await asyncio.to_thread(self._server.ended.wait, DEATH_TOLD_WITHIN_S):
                self._events.put((writing, self._broken(f"{type(error).__name__}: {error}")))

    async def _stream(self, asked: Asked) -> AsyncIterator[Heard]:
        """What is heard of an answer; its last part when all about it is known.

        Raises TunesmithError, and what comes of an answer that is none.
        """
        last: Heard | None = None
        count = 0
        body = self._dialect.ask(asked)
        async with self._client.stream("POST", self._dialect.path, json=body) as reply:
            if reply.status_code != 200:
                raise self._refusal(reply.status_code, await reply.aread())
            async for line in reply.aiter_lines():
                data = line.removeprefix("data:").strip() if line.startswith("data:") else ""
                if not data or data == "[DONE]":
                    continue
                event = msgspec.json.decode(data, type=dict[str, Any])
                if "error" in event:
                    raise self._broken(said_of(event))
                heard = self._dialect.hear(event, asked, count, self)
                count += len(heard.tokens)
                if heard.finish:
                    last = heard
                elif last is None:
                    yield heard
                elif heard.cached is not None:
                    last = msgspec.structs.replace(last, cached=heard.cached)
        if last is None:
            raise self._broken("its answer broke off")
        if count < asked.most:
            if last.finish in CUT_OFF:
                raise self._broken(f"it ended the answer by itself ({last.finish})")
            if not (last.tokens and self.is_end(last.tokens[-1].id)):  # it keeps that token to itself
                last = msgspec.structs.replace(last, tokens=(*last.tokens, Token(NO_TOKEN)))
        yield last

    def _refusal(self, status: int, body: bytes) -> ModelError:
        with contextlib.suppress(msgspec.MsgspecError):
            body = said_of(msgspec.json.decode(body, type=dict[str, Any])).encode()
        said = body.decode("utf-8", "replace")[:SAID_LIMIT]
        return ModelError(
            f"{self._title} does not take this question ({status}): {said}", "Ask otherwise.", UNSUPPORTED
        )

    def _broken(self, why: str) -> ModelError:
        return ModelError(f"{self._title} stopped in an answer: {why[:SAID_LIMIT]}", "Ask again.", "engine")

    def step(self, writings: Sequence[Writing]) -> list[tuple[Writing, Token | TunesmithError]]:
        """What came meanwhile; nothing when nothing does, soon enough to look for new questions."""
        found: list[tuple[Writing, Token | TunesmithError]] = []
        wait = True
        while True:
            try:
                writing, heard = self._events.get(block=wait, timeout=HEARD_WITHIN_S)
            except queue.Empty:
                return found
            wait = False
            if isinstance(heard, TunesmithError):
                found.append((writing, heard))
                continue
            writing.scores += heard.scores
            writing.reused = heard.cached or writing.reused
            found += [(writing, token) for token in heard.tokens]

    def end(self, writing: Writing) -> None:
        writing.stop()

    def is_end(self, token: int) -> bool:
        return token == NO_TOKEN or super().is_end(token)

    def embed(self, ids: list[int], adapter: str) -> list[float]:
        raise ModelError(
            f"{self._title} is started to write, and gives no vectors", "Serve the model with --engine transformers.",
            UNSUPPORTED,
        )  # fmt: skip

    def close(self) -> None:
        self._server.close()


def trained_on(view: Path) -> int | None:
    """How many tokens the model saw at once; None where its settings do not say."""
    found = json_file.read(view / "config.json").get("max_position_embeddings")
    return found if type(found) is int and found > 0 else None


def said_of(event: dict[str, Any]) -> str:
    """Of an error, in the shapes that these servers give it."""
    found = event.get("error", event)
    said = found.get("message", found) if isinstance(found, dict) else found
    return str(said)[:SAID_LIMIT]
