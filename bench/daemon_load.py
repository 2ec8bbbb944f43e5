"""A daemon under load: event streams, mixed requests and a worker that says a thousand events a second.

Run: python bench/daemon_load.py [--clients 1000] [--seconds 60] [--rate 200] [--events 1000] [--deaf 0]
Prints JSON lines: the slowest and the 99th percentile of /health, the daemon's memory, events per client and gaps. The
bars: every /health under 250 ms, the daemon under 150 MB, and no number left out without its `gap`.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import multiprocessing
import re
import signal
import sys
import tempfile
import time
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import psutil

sys.path.insert(0, str(Path(__file__).parents[1] / "tests/fakes"))

from daemon_process import DaemonProcess

HEALTH_EVERY_S = 0.05
READ_BYTES = 1 << 18
IDS = re.compile(rb"^id: (\d+)$", re.MULTILINE)
GAPS = re.compile(rb'^data: \{"type":"gap".*?"from":(\d+),"to":(\d+)\}', re.MULTILINE)
MIXED = ("/v1/health", "/v1/daemon", "/v1/jobs", "/v1/jobs/1", "/v1/jobs/1/log?tail=50", "/v1/jobs/999", "/v1/nothing")


def request(path: str, *headers: str) -> bytes:
    return "\r\n".join([f"GET {path} HTTP/1.1", "Host: tunesmith", *headers, "\r\n"]).encode()


class Follower(asyncio.Protocol):
    """Follows job 1 and looks at the numbers of what it is sent, cheaply: first, last and how many of each read."""

    def __init__(self, counts: dict[str, int], deaf: bool) -> None:
        self.counts = counts
        self.deaf = deaf
        self.last = 0
        self.rest = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        transport.write(request("/v1/jobs/1/events"))
        if self.deaf:
            transport.pause_reading()

    def data_received(self, data: bytes) -> None:
        data = self.rest + data
        end = data.rfind(b"\n\n") + 2
        whole, self.rest = data[:end], data[end:]
        self.counts["bytes"] += len(whole)
        if b'"type":"gap"' in whole:
            for start, to in GAPS.findall(whole):
                self.counts["gaps"] += 1
                self.counts["left_out"] += int(to) - int(start) + 1
        first = IDS.search(whole)
        if first is None:
            return
        number = int(first[1])
        count = whole.count(b"\nid: ") + whole.startswith(b"id: ")
        at = max(whole.rfind(b"\nid: ") + 5, 4)
        last = int(whole[at : whole.index(b"\n", at)])
        said = sum(int(to) - int(start) + 1 for start, to in GAPS.findall(whole)) if b'"type":"gap"' in whole else 0
        self.counts["events"] += count
        if last - self.last != count + said or number <= self.last:
            self.counts["silent_gaps"] += 1
        self.last = last

    def connection_lost(self, error: Exception | None) -> None:
        self.counts["closed"] += 1


async def followers(socket: str, clients: int, deaf: int, pipe: Connection) -> None:
    counts = dict.fromkeys(("events", "bytes", "gaps", "left_out", "silent_gaps", "closed"), 0)
    loop = asyncio.get_running_loop()
    opened = []
    for number in range(clients):
        made = await loop.create_unix_connection(lambda: Follower(counts, number < deaf), socket)  # noqa: B023
        opened.append(made)
        if number % 20 == 0:
            await asyncio.sleep(0.02)
    pipe.send(len(opened))
    await asyncio.to_thread(pipe.recv)
    pipe.send(counts | {"least": min(follower.last for _, follower in opened[deaf:] or opened)})


async def requests(socket: str, rate: float, pipe: Connection) -> None:
    """`rate` mixed requests a second over eight kept connections, and /health twenty times a second over a new one."""
    statuses: dict[str, int] = {}
    health: list[float] = []
    turn = 0
    told = asyncio.create_task(asyncio.to_thread(pipe.recv))

    async def ask(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, path: str) -> None:
        writer.write(request(path))
        head = await reader.readuntil(b"\r\n\r\n")
        length = re.search(rb"content-length: (\d+)", head, re.IGNORECASE)
        await reader.readexactly(int(length[1]) if length else 0)
        status = head[9:12].decode()
        statuses[status] = statuses.get(status, 0) + 1

    async def mixed() -> None:
        nonlocal turn
        reader, writer = await asyncio.open_unix_connection(socket, limit=READ_BYTES)
        began, asked = time.monotonic(), 0
        while not told.done():
            turn += 1
            await ask(reader, writer, MIXED[turn % len(MIXED)])
            asked += 1
            await asyncio.sleep(max(0.0, began + asked * 8 / rate - time.monotonic()))
        writer.close()

    async def look() -> None:
        while not told.done():
            began = time.monotonic()
            reader, writer = await asyncio.open_unix_connection(socket)
            await ask(reader, writer, "/v1/health")
            health.append(time.monotonic() - began)
            writer.close()
            await asyncio.sleep(HEALTH_EVERY_S)

    pipe.send(True)
    async with asyncio.TaskGroup() as group:
        for _ in range(8):
            group.create_task(mixed())
        group.create_task(look())
    pipe.send({"statuses": statuses, "health": health})


def in_process(function: Any, *arguments: Any) -> tuple[Any, Connection]:
    ours, theirs = multiprocessing.Pipe()
    context = multiprocessing.get_context("spawn")
    process = context.Process(target=_main, args=(function, *arguments, theirs), daemon=True)
    process.start()
    return process, ours


def _main(function: Any, *arguments: Any) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    asyncio.run(function(*arguments))


async def load(root: Path, clients: int, seconds: float, rate: float, events: int, deaf: int) -> dict[str, Any]:
    """What was measured; the daemon is fresh and its own."""
    daemon = DaemonProcess(root, TUNESMITH_WORKER_MODULE="steady_worker")
    await daemon.start()
    try:
        assert daemon.process is not None
        process = psutil.Process(daemon.process.pid)
        at_rest = process.memory_info().rss
        await daemon.submit(f"rate={events}")
        await daemon.until_step(1, 1)
        socket = str(daemon.home.socket)
        _, following = in_process(followers, socket, clients, deaf)
        await asyncio.to_thread(following.recv)
        _, asking = in_process(requests, socket, rate)
        await asyncio.to_thread(asking.recv)
        began, first = time.monotonic(), (await daemon.client.job(1)).last_event
        cpu, most = process.cpu_times(), 0
        while time.monotonic() - began < seconds:
            await asyncio.sleep(0.5)
            most = max(most, process.memory_info().rss)
        used = process.cpu_times()
        elapsed = time.monotonic() - began
        last = (await daemon.client.job(1)).last_event
        following.send(None)
        asking.send(None)
        followed, asked = await asyncio.to_thread(following.recv), await asyncio.to_thread(asking.recv)
        health = sorted(asked["health"])
        await daemon.client.cancel(1)
        await daemon.until(1, "cancelled")
    finally:
        await daemon.tidy()
    return {
        "clients": clients, "deaf": deaf, "seconds": round(elapsed, 1),
        "events_per_s": round((last - first) / elapsed),
        "requests_per_s": round(sum(asked["statuses"].values()) / elapsed),
        "statuses": asked["statuses"], "health_looks": len(health), "health_max_ms": round(health[-1] * 1000, 1),
        "health_p99_ms": round(health[int(len(health) * 0.99)] * 1000, 1),
        "health_median_ms": round(health[len(health) // 2] * 1000, 1),
        "memory_at_rest_mb": round(at_rest / 1e6, 1), "memory_max_mb": round(most / 1e6, 1),
        "daemon_cpu_share": round((used.user + used.system - cpu.user - cpu.system) / elapsed, 2),
        "streamed_mb_per_s": round(followed["bytes"] / 1e6 / elapsed, 1),
        "events_per_client": round(followed["events"] / max(1, clients - deaf)),
        **{name: followed[name] for name in ("gaps", "left_out", "silent_gaps", "closed", "least")},
        "last_event": last,
    }  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    for name, value in (("clients", 1000), ("seconds", 60), ("rate", 200), ("events", 1000), ("deaf", 0)):
        parser.add_argument(f"--{name}", type=int, default=value)
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        print(json.dumps(asyncio.run(load(Path(folder) / "home", **vars(chosen)))), flush=True)


if __name__ == "__main__":
    main()
