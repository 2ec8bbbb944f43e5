"""A hub on the loopback that sends blobs of any length and does what networks and hubs do wrong, when told to.

`python tests/fakes/flaky_hub.py --bytes N` is one in a process of its own: its first line of output says where it is,
each `served` on its standard input how many bytes it has sent; it ends with its input.
"""

from __future__ import annotations

import argparse
import json
import socket
import struct
import sys
import threading
import time
from collections import Counter
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler

from blob import Blob
from hub_server import COMMIT, Asked, FakeHub, handler

FILE = "model.safetensors"
AT_ONCE = 4 << 10  # bytes between two looks at the clock, where a speed is set
DRIP_S = 0.01  # a byte
RESET = struct.pack("ii", 1, 0)  # the connection ends as if a cable was pulled
# What the answer's headers say wrong, and what goes wrong in its body.
HEAD_FAULTS = (
    "whole", "wrong_range", "wrong_total", "short_length", "packed", "busy", "unavailable", "broken_server",
    "unsatisfiable", "page", "silent", "off_host",
)  # fmt: skip
BODY_FAULTS = ("cut", "ended", "flip", "black_hole", "drip")


@dataclass
class Fault:
    """What goes wrong in the first `times` answers for ranges that hold the byte `at`."""

    kind: str
    at: int
    times: int = 1
    happened: int = 0


class FlakyHub(FakeHub):
    """`served` counts bytes by path, as far as the system took them; `speed` is in bytes a second and connection.

    `unsent` are bytes of a connection that the system may take before they leave: what is served is exact to them.
    `elsewhere` is where the fault `off_host` sends to. Files that are in `etags` say so as theirs.
    """

    def __init__(self, repository: str, files: dict[str, Blob], kind: str = "model") -> None:
        super().__init__(repository, dict(files), kind)
        self.blobs = files
        self.faults: list[Fault] = []
        self.served: Counter[str] = Counter()
        self.counting = threading.Lock()
        self.speed = 0.0
        self.unsent = 0
        self.elsewhere = ""
        self.etags: dict[str, str] = {}

    def handler(self) -> type[BaseHTTPRequestHandler]:
        return flaky_handler(self)

    def fault_in(self, start: int, end: int) -> Fault | None:
        with self.counting:
            for fault in self.faults:
                if fault.happened < fault.times and start <= fault.at < end:
                    fault.happened += 1
                    return fault
        return None

    def count(self, path: str, sent: int) -> None:
        with self.counting:
            self.served[path] += sent


def flaky_handler(hub: FlakyHub) -> type[BaseHTTPRequestHandler]:
    class Flaky(handler(hub)):  # type: ignore[misc]
        def send_file(self, path: str) -> None:
            blob = hub.blobs[path]
            first, _, last = self.headers.get("Range", "bytes=0-").removeprefix("bytes=").partition("-")
            start, end = int(first), int(last) + 1 if last else len(blob)
            host = self.headers["Host"].partition(":")[0]
            hub.asked.append(Asked(path, start, host, self.headers.get("Authorization")))
            fault = hub.fault_in(start, end)
            self.answer(path, start, end, fault.kind if fault else "", fault.at if fault else 0)

        def answer(self, path: str, start: int, end: int, kind: str, at: int) -> None:
            size = len(hub.blobs[path])
            status = 206 if "Range" in self.headers else 200
            if kind == "whole":
                status, start, end = 200, 0, size
            headers = {"ETag": hub.etags.get(path, f'"{hub.blobs[path].sha256}"'), "X-Repo-Commit": COMMIT}
            match kind:
                case "busy":
                    return self.send_body(429, b"", {"Retry-After": "1"})
                case "unavailable" | "broken_server":
                    return self.send_body(503 if kind == "unavailable" else 500, b"later", {})
                case "unsatisfiable":
                    return self.send_body(416, b"", {"Content-Range": f"bytes */{size}"})
                case "page":
                    return self.send_body(200, b"<html>log in</html>", {"Content-Type": "text/html"})
                case "off_host":
                    return self.send_body(302, b"", {"Location": f"{hub.elsewhere}/cdn/{path}"})
                case "silent":
                    hub.released.wait()
                    return None
                case "packed":
                    headers["Content-Encoding"] = "gzip"
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            if status == 206:
                shift, more = int(kind == "wrong_range"), int(kind == "wrong_total")
                self.send_header("Content-Range", f"bytes {start + shift}-{end - 1 + shift}/{size + more}")
            self.send_header("Content-Length", str(end - start - (kind == "short_length")))
            self.end_headers()
            if self.command == "GET":
                self.body(path, start, end - (kind == "short_length"), kind if kind in BODY_FAULTS else "", at)
            return None

        def body(self, path: str, start: int, end: int, kind: str, at: int) -> None:
            if not kind:
                self.send_part(path, start, end)
                return
            self.send_part(path, start, at)
            match kind:
                case "cut" | "ended":
                    if kind == "cut":
                        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
                    self.close_connection = True
                case "flip":
                    self.connection.sendall(bytes([hub.blobs[path].part(at, at + 1)[0] ^ 1]))
                    hub.count(path, 1)
                    self.send_part(path, at + 1, end)
                case "black_hole":
                    hub.released.wait()
                    self.close_connection = True
                case "drip":
                    while at < end and not hub.released.wait(DRIP_S):
                        self.send_part(path, at, at + 1)
                        at += 1

        def setup(self) -> None:
            super().setup()
            if hub.unsent:
                self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, hub.unsent)

        def send_part(self, path: str, start: int, end: int) -> None:
            begun, first, speed = time.monotonic(), start, hub.speed
            while start < end:
                until = min(end, start + AT_ONCE) if speed else end
                sent = hub.blobs[path].send(self.connection, start, until)
                hub.count(path, sent)
                start += sent
                if speed:
                    time.sleep(max(0.0, (start - first) / speed - (time.monotonic() - begun)))

    return Flaky


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bytes", type=int, required=True)
    parser.add_argument("--speed", type=float, default=0.0, help="bytes a second and connection; as fast as it can")
    parser.add_argument("--unsent", type=int, default=0, help="bytes a connection that the system may hold back")
    given = parser.parse_args()
    hub = FlakyHub("owner/name", {FILE: Blob(given.bytes)})
    hub.speed, hub.unsent = given.speed, given.unsent
    with hub.serve():
        print(json.dumps({"url": hub.url, "sha256": hub.blobs[FILE].sha256}), flush=True)
        for _ in sys.stdin:
            print(hub.served[FILE], flush=True)


if __name__ == "__main__":
    main()
