"""What the doubles of vLLM, SGLang and LMDeploy have in common: a model that writes, and a small HTTP server.

The model is the starter as a GGUF, run by llama.cpp, whatever folder the double is told to serve: so that its answers
are those of our own engine, byte for byte. The environment variable `DOUBLE`, JSON, makes a double misbehave: `slow_s`
before it listens, `crash` at "start" or in an "answer", `record` a file that is told what it was started with and
asked, `keeps_end`: the token that ended an answer is not among those it tells.
"""

from __future__ import annotations

import json
import os
import queue
import socketserver
import sys
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from tunesmith.daemon.serving.lines import Sampling
from tunesmith.daemon.worker.engines import Options, Prompt, Token
from tunesmith.daemon.worker.engines.llama_cpp import Llama, Writing
from tunesmith.daemon.worker.serve import grammar
from tunesmith.recipes.data.rendering import bounds
from tunesmith.recipes.models.starter_file import starter_gguf

ASKED: dict[str, Any] = json.loads(os.environ.get("DOUBLE", "{}"))
Body = dict[str, Any]
Reply = Body | Iterator[Body]


class Refused(Exception):
    """The status and what is said."""

    def __init__(self, status: int, said: Body) -> None:
        super().__init__(status, said)
        self.status, self.said = status, said


def record(**what: Any) -> None:
    if "record" in ASKED:
        with Path(ASKED["record"]).open("a") as file:
            file.write(json.dumps(what) + "\n")


def begin(arguments: list[str]) -> None:
    """What a double does before it has a model."""
    bounds.confine()  # where grammars are made
    record(started=arguments, pid=os.getpid(), environment=dict(os.environ))
    print("INFO loading weights: 50%", file=sys.stderr, flush=True)
    time.sleep(ASKED.get("slow_s", 0))
    if ASKED.get("crash") == "start":
        print("Traceback (most recent call last):", file=sys.stderr)
        print("ValueError: Free memory on device cuda:0 (1.2/24.0 GiB) is less than desired", file=sys.stderr)
        print("RuntimeError: Engine core initialization failed. See root cause above.", file=sys.stderr)
        sys.exit(1)


class Model:
    """Writes several answers at once in a thread of its own."""

    def __init__(self, context: int, slots: int) -> None:
        self._engine = Llama(starter_gguf(), Options(context, slots, Path("unused")))
        self._lock = threading.Lock()
        self._writing: dict[Writing, queue.SimpleQueue[Token]] = {}
        self._some = threading.Event()
        threading.Thread(target=self._run, daemon=True).start()

    def _run(self) -> None:
        while self._some.wait():
            with self._lock:
                if not self._writing:
                    self._some.clear()
                    continue
                for writing, token in self._engine.step(list(self._writing)):
                    self._writing[writing].put(token)
            time.sleep(0.001)  # whoever wants the lock gets it

    def is_end(self, token: int) -> bool:
        return self._engine.is_end(token)

    def text(self, token: int) -> str:
        return self._engine.token_text(token)

    def piece(self, token: int) -> str:
        """As the vocabulary has it."""
        return self._engine._c.llama_vocab_get_text(self._engine._vocab, token).decode()

    def answer(
        self, ids: list[int], sampling: Sampling, held: str | None, scored: bool, adapter: bool
    ) -> Iterator[tuple[Token, list[Token]]]:
        """Each token with the prompt's scores; an adapter is a word more that the answer goes on from."""
        if adapter:
            ids = [*ids, *self._engine.tokenize("Arr! ", False)]
        tokens: queue.SimpleQueue[Token] = queue.SimpleQueue()
        with self._lock:
            writing = self._engine.begin(Prompt(ids, sampling, held, "", scored))
            assert writing is not None, "more answers than slots"
            self._writing[writing] = tokens
            self._some.set()
        try:
            for count in range(1, sampling.max_tokens + 1):
                token = tokens.get()
                yield token, writing.scores
                if count == 2 and ASKED.get("crash") == "answer":
                    print("torch.OutOfMemoryError: CUDA out of memory", file=sys.stderr, flush=True)
                    os._exit(9)
                if self.is_end(token.id):
                    return
        finally:
            with self._lock:
                del self._writing[writing]
                self._engine.end(writing)


def form(schema: Body) -> str:
    return grammar.of_schema(schema)


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    key, guarded = "", ("/",)
    answer: Callable[[str, Body], Reply]

    def do_GET(self) -> None:
        self._send(200 if self.path == "/health" else 404, {})

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        guarded = self.path.startswith(self.guarded)
        if guarded and self.headers["Authorization"] != f"Bearer {self.key}":
            self._send(401, {"error": "Unauthorized"})
            return
        record(asked=body, path=self.path)
        try:
            reply = type(self).answer(self.path, body)
            if isinstance(reply, dict):
                self._send(200, reply)
                return
            first = next(reply)
        except Refused as error:
            self._send(error.status, error.said)
            return
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        try:
            self._event(json.dumps(first))
            for event in reply:
                self._event(json.dumps(event))
            self._event("[DONE]")
            self.wfile.write(b"0\r\n\r\n")
        except (BrokenPipeError, ConnectionResetError):
            record(left=True)
            self.close_connection = True
        finally:
            reply.close()  # type: ignore[union-attr]

    def _event(self, text: str) -> None:
        data = f"data: {text}\n\n".encode()
        self.wfile.write(f"{len(data):x}\r\n".encode() + data + b"\r\n")

    def _send(self, status: int, body: Body) -> None:
        data = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing."""

    def address_string(self) -> str:
        return "local"


class UnixServer(socketserver.ThreadingUnixStreamServer):
    daemon_threads = True


def serve(where: str | int, key: str, guarded: tuple[str, ...], answer: Callable[[str, Body], Reply]) -> None:
    """For ever, on the socket or the port `where`; paths that begin as `guarded` says need the key."""
    Handler.key, Handler.guarded = key, guarded
    Handler.answer = staticmethod(answer)  # type: ignore[assignment]
    server: socketserver.BaseServer
    server = (
        ThreadingHTTPServer(("127.0.0.1", where), Handler) if isinstance(where, int) else UnixServer(where, Handler)
    )
    print("INFO ready", file=sys.stderr, flush=True)
    server.serve_forever()


def known(body: Body, fields: set[str], where: str) -> None:
    """The real ones leave out what they do not know; here that is a mistake of ours."""
    if unknown := set(body) - fields:
        raise Refused(400, {"error": {"message": f"no such fields of {where}: {sorted(unknown)}"}})
