"""Row F1: schemathesis on every route, and bytes that are no HTTP, against a real daemon: it lives and is understood.

A share runs in CI; TUNESMITH_FUZZ_SECONDS=120 makes it two minutes. TUNESMITH_FUZZ_SEED repeats a run.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import random
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import psutil
import pytest
from daemon_process import DaemonProcess

from tunesmith.daemon.api.requests import HOST, VERSION_HEADER
from tunesmith.daemon.server import openapi
from tunesmith.daemon.server.app import ENDPOINTS

SECONDS = float(os.environ.get("TUNESMITH_FUZZ_SECONDS", "20"))
SEED = int(os.environ.get("TUNESMITH_FUZZ_SEED", "6"))
STREAM_LOOK_S = 0.2  # a stream of a job that lives does not end: what it says first is looked at
JOBS = 5
STOP = "/v1/daemon/stop"  # asked last


class Raw:
    """A reply, byte for byte."""

    def __init__(self, head: bytes, body: bytes) -> None:
        lines = head.decode("latin-1").split("\r\n")
        self.status = int(lines[0].split()[1])
        self.headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines[1:])}
        self.body = body


def said(path: Path, request: bytes, seconds: float = 20) -> Raw:
    """Send `request` and read one reply; of a stream what comes in a moment."""
    with socket.socket(socket.AF_UNIX) as one:
        one.settimeout(seconds)
        one.connect(str(path))
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):  # refused before it was all sent
            one.sendall(request)
        data = b""
        while b"\r\n\r\n" not in data:
            part = one.recv(65_536)
            assert part, (request[:300], data)
            data += part
        head, _, body = data.partition(b"\r\n\r\n")
        reply = Raw(head, body)
        if "text/event-stream" in reply.headers.get("content-type", ""):
            one.settimeout(STREAM_LOOK_S)
        length = int(reply.headers.get("content-length", 1 << 60))
        with contextlib.suppress(TimeoutError, ConnectionResetError):
            while len(reply.body) < length and not reply.body.endswith(b"\r\n0\r\n\r\n"):
                if not (part := one.recv(65_536)):
                    break
                reply.body += part
        return reply


def as_bytes(method: str, path: str, headers: dict[str, str], body: bytes | None) -> bytes:
    kept = {name: value for name, value in headers.items() if name.lower() not in ("host", "content-length")}
    lines = [f"{method} {path} HTTP/1.1", f"Host: {HOST}", "Connection: close"]
    lines += [f"{name}: {value}" for name, value in kept.items() if name.lower() != "connection"]
    if body is not None:
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join(lines).encode("utf-8", "replace") + b"\r\n\r\n" + (body or b"")


@pytest.mark.slow
async def test_every_route_keeps_to_its_description(daemon: DaemonProcess) -> None:
    for how in ("steps=1", "refuse", "steps=1", "steps=100000 step=0.05", "steps=1"):
        await daemon.submit(how)
    await daemon.until_step(4, 1)
    counted = await asyncio.to_thread(fuzz_routes, daemon.home.socket, SECONDS, SEED)
    print(f"seed {SEED}: {counted}")
    assert set(counted) == {(one.method, one.path) for one in ENDPOINTS if one.path != STOP}
    assert await daemon.client.healthy()
    assert "Traceback" not in daemon.home.log.read_text()
    assert said(daemon.home.socket, as_bytes("POST", STOP, {}, b"{}")).status == 400  # it takes no body
    assert said(daemon.home.socket, as_bytes("POST", STOP, {}, None)).status == 200


def fuzz_routes(path: Path, seconds: float, seed: int) -> dict[tuple[str, str], int]:
    """How many requests each route was sent; fails on a 5xx, an undocumented status or a body not as described."""
    import hypothesis
    import requests
    import schemathesis
    from schemathesis.checks import not_a_server_error
    from schemathesis.core.transport import Response
    from schemathesis.specs.openapi.checks import (
        content_type_conformance,
        response_schema_conformance,
        status_code_conformance,
    )

    schema = schemathesis.openapi.from_dict(json.loads(openapi.encoded(ENDPOINTS)))
    counted: dict[tuple[str, str], int] = {}
    operations = [one.ok() for one in schema.get_all_operations()]
    operations = [one for one in operations if one.path != STOP]
    modes = (schemathesis.GenerationMode.POSITIVE, schemathesis.GenerationMode.NEGATIVE)
    checks = [not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance]

    def some(operation: Any, seed: int) -> None:
        """Ten requests as described and as not described, about jobs that exist and that do not."""
        cases = operation.as_strategy(generation_mode=modes[0]) | operation.as_strategy(generation_mode=modes[1])
        if "{id}" in operation.path:
            cases |= operation.as_strategy(generation_mode=modes[0], path_parameters={"id": seed % JOBS + 1})

        @hypothesis.seed(seed)
        @hypothesis.settings(
            max_examples=10, database=None, suppress_health_check=list(hypothesis.HealthCheck),
            phases=(hypothesis.Phase.generate,),
        )  # fmt: skip
        @hypothesis.given(cases)
        def ask(case: Any) -> None:
            key = (operation.method.upper(), operation.path)
            prepared = requests.Request(**case.as_transport_kwargs(base_url=f"http://{HOST}")).prepare()
            body = prepared.body.encode() if isinstance(prepared.body, str) else prepared.body
            raw = said(path, as_bytes(str(prepared.method), prepared.path_url, dict(prepared.headers), body))
            counted[key] = counted.get(key, 0) + 1
            assert raw.headers.get(VERSION_HEADER.lower()) == "1"
            headers = {name: [value] for name, value in raw.headers.items()}
            response = Response(raw.status, headers, raw.body, prepared, elapsed=0.0, verify=False)
            case.validate_response(response, checks=checks)

        ask()

    until, turn = time.monotonic() + seconds, 0
    while turn == 0 or time.monotonic() < until:
        for operation in operations:
            some(operation, seed + turn)
        turn += 1
    return counted


def mangled(dice: random.Random) -> Iterator[bytes]:
    """For ever: requests as torn, overgrown, doubled or random as `dice` wants."""
    whole = as_bytes("POST", "/v1/jobs", {"Content-Type": "application/json"}, b'{"key": "k", "spec": {}}')
    while True:
        cut = dice.randrange(len(whole))
        yield dice.choice((
            whole[:cut],
            whole[:cut] + dice.randbytes(dice.randrange(1, 50)) + whole[cut:],
            dice.randbytes(dice.randrange(1, 5000)),
            b"GET /v1/health HTTP/1.1\r\nHost: tunesmith\r\n\r\n" * dice.randrange(2, 200) + dice.randbytes(30),
            b"GET /" + b"a" * dice.choice((10, 8_000, 60_000)) + b" HTTP/1.1\r\nHost: tunesmith\r\n\r\n",
            b"GET / HTTP/1.1\r\nHost: tunesmith\r\n" + b"X: y\r\n" * dice.choice((10, 1_000, 20_000)) + b"\r\n",
            b"GET /v1/jobs/" + b"9" * dice.choice((5, 4_300, 5_000, 9_000)) + b" HTTP/1.1\r\nHost: tunesmith\r\n\r\n",
            b"POST /v1/jobs HTTP/1.1\r\nHost: tunesmith\r\nContent-Type: application/json\r\n"
            b"Transfer-Encoding: chunked\r\n\r\n" + b"ffffffff\r\n" + b"[" * dice.choice((10, 100_000)),
            b"POST /v1/jobs HTTP/1.1\r\nHost: tunesmith\r\nContent-Type: application/json\r\nContent-Length: "
            + str(dice.choice((-1, 0, 7, 10**9, 10**30))).encode() + b"\r\n\r\n{",
            b"CONNECT tunesmith:1 HTTP/1.1\r\nHost: tunesmith\r\n\r\n" + dice.randbytes(20),
            b"GET /v1/jobs/1/events HTTP/1.1\r\nHost: tunesmith\r\nLast-Event-ID: " + dice.randbytes(5) + b"\r\n\r\n",
            b"GET /v1/health HTTP/1.1\r\nHost: tunesmith\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
            urlencode({"a": "b" * dice.randrange(2000)}).encode(),
        ))  # fmt: skip


@pytest.mark.slow
async def test_what_is_no_request_harms_nobody(daemon: DaemonProcess) -> None:
    assert daemon.process is not None
    await daemon.submit("steps=1")
    await daemon.until(1, "finished")
    process = psutil.Process(daemon.process.pid)
    before, descriptors = process.memory_info().rss, process.num_fds()
    dice = random.Random(SEED)
    print(f"seed {SEED}")
    until = time.monotonic() + SECONDS / 2
    for sent, data in enumerate(mangled(dice)):
        if time.monotonic() > until and sent >= 100:
            break
        await asyncio.to_thread(throw, daemon.home.socket, data, dice.random() < 0.5)
        if sent % 20 == 0:
            assert await daemon.client.healthy(), data
    assert await daemon.client.healthy()
    log = daemon.home.log.read_text()
    assert "Traceback" not in log and len(log) < 20_000, log[-3000:]
    assert process.memory_info().rss - before < 50_000_000
    await asyncio.sleep(1)
    assert process.num_fds() <= descriptors + 20
    assert [view.id for view in await daemon.client.jobs()][-1] == 1


def throw(path: Path, data: bytes, wait: bool) -> None:
    """Send `data`, perhaps look at what comes back, and hang up."""
    with socket.socket(socket.AF_UNIX) as one, contextlib.suppress(TimeoutError, ConnectionError):
        one.settimeout(2)
        one.connect(str(path))
        one.sendall(data)
        one.settimeout(0.05)
        while wait and (reply := one.recv(65_536)):
            assert not reply.startswith(b"HTTP/1.1 5"), (data[:500], reply)
