"""A port on the loopback for as long as a tool runs, which speaks TCP only: its questions go on to the daemon's socket.

A token made for it alone is needed, and only the two routes that answer are known. What the server refuses is counted,
as a tool may take a refusal for an answer.
"""

from __future__ import annotations

import hmac
import http.client
import secrets
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import msgspec

from tunesmith.daemon.api.requests import HOST

LOOPBACK = "127.0.0.1"
ROUTES = ("/v1/chat/completions", "/v1/completions")
CONNECTIONS = 64  # at once; a tool has eight
BODY_BYTES = 1_000_000  # what the daemon takes at most
ANSWER_S = 1200.0  # eight long answers at once on a slow machine, and what waits before them
BACK_WITHIN_S = 120.0  # a daemon that is restarted meanwhile is up within seconds; the model is loaded anew
AGAIN_S = 0.5


class Refused(msgspec.Struct, frozen=True):
    """What the server said, with its code."""

    code: str
    message: str


class Relay(ThreadingHTTPServer):
    """`refused` counts answers 400 to 499; `refusal` is the first of them, or a failure of the server's own."""

    daemon_threads = True
    request_queue_size = CONNECTIONS  # those that come at once and are not yet taken: one more would wait seconds

    def __init__(self, daemon_socket: Path) -> None:
        super().__init__((LOOPBACK, 0), _Request)
        self.daemon_socket = daemon_socket
        self.token = secrets.token_urlsafe(32)
        self.host = f"{LOOPBACK}:{self.server_port}"
        self.url = f"http://{self.host}/v1"
        self.refused = 0
        self.refusal: Refused | None = None
        self.open = True
        self._counting = threading.Lock()
        self._room = threading.BoundedSemaphore(CONNECTIONS)

    def process_request(self, request: Any, client_address: Any) -> None:
        """In a thread of its own; one too many is hung up on."""
        if self._room.acquire(blocking=False):
            super().process_request(request, client_address)
        else:
            self.shutdown_request(request)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._room.release()

    def count(self, status: int, body: bytes) -> None:
        with self._counting:
            if status >= 400:
                self.refused += status < 500
                self.refusal = self.refusal or refusal(status, body)

    def begin(self) -> None:
        """Counts from here on."""
        self.refused, self.refusal = 0, None


class _Request(BaseHTTPRequestHandler):
    server: Relay
    protocol_version = "HTTP/1.1"
    timeout = ANSWER_S

    def do_POST(self) -> None:
        length = self.headers.get("Content-Length", "")
        if (why := self._wrong()) is not None:
            self._reply(*why)
        elif not length.isdecimal() or int(length) > BODY_BYTES:
            self._reply(413, error("too_large", f"A request has {BODY_BYTES} bytes at most, and says how many."))
        else:
            status, body = ask(self.server, self.path, self.rfile.read(int(length)))
            self.server.count(status, body)
            self._reply(status, body)

    def _wrong(self) -> tuple[int, bytes] | None:
        """Why it is not from our tool: no web page can cause a request that is."""
        given = self.headers.get_all("Authorization", [])
        if self.headers.get_all("Host") != [self.server.host] or {"Origin", "Referer"} & set(self.headers):
            return 403, error("foreign_request", "The request is not from a program of yours.")
        if len(given) != 1 or not hmac.compare_digest(given[0].encode(), f"Bearer {self.server.token}".encode()):
            return 401, error("invalid_api_key", "The token is missing or wrong.")
        return None if self.path in ROUTES else (404, error("unknown_path", "There is nothing of that name here."))

    def _reply(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        if status in (401, 403, 404, 413):
            self.send_header("Connection", "close")  # the body was not read, and shall not be
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """A line for every question is of no use."""


@contextmanager
def opened(daemon_socket: Path) -> Iterator[Relay]:
    with Relay(daemon_socket) as relay:
        serving = threading.Thread(target=relay.serve_forever, kwargs={"poll_interval": 0.1}, daemon=True)
        serving.start()
        try:
            yield relay
        finally:
            relay.open = False
            relay.shutdown()


def ask(relay: Relay, path: str, body: bytes) -> tuple[int, bytes]:
    """Status and body. A daemon that is away is waited for, and asked again: the same question has the same answer."""
    until = time.monotonic() + BACK_WITHIN_S
    while True:
        began = time.monotonic()
        try:
            return asked(relay.daemon_socket, path, body)
        except (OSError, http.client.HTTPException) as problem:
            if began > until or not relay.open:
                return 503, error("unreachable", f"The daemon does not answer: {problem}")
        time.sleep(AGAIN_S)


def asked(daemon_socket: Path, path: str, body: bytes) -> tuple[int, bytes]:
    """Raises OSError, HTTPException."""
    connection = _Connection(daemon_socket)
    try:
        connection.request("POST", path, body, {"Content-Type": "application/json"})
        response = connection.getresponse()
        return response.status, response.read()
    finally:
        connection.close()


class _Connection(http.client.HTTPConnection):
    def __init__(self, path: Path) -> None:
        super().__init__(HOST, timeout=ANSWER_S)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(str(self._path))


def error(code: str, message: str) -> bytes:
    """In OpenAI's shape."""
    return msgspec.json.encode({"error": {"message": message, "type": "invalid_request_error", "code": code}})


def refusal(status: int, body: bytes) -> Refused:
    """What the server said, in OpenAI's shape or in another."""

    class Said(msgspec.Struct):
        error: Refused

    try:
        return msgspec.json.decode(body, type=Said).error
    except msgspec.DecodeError:
        return Refused("engine", f"status {status}")
