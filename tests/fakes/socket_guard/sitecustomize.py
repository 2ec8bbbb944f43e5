"""On PYTHONPATH: every Python process writes down whom it connects to, and may only use Unix sockets."""

from __future__ import annotations

import os
import socket
import sys
from typing import Any

ALLOWED = {getattr(socket, "AF_UNIX", None)}


def watch(event: str, arguments: tuple[Any, ...]) -> None:
    if event == "socket.connect" and arguments[0].family not in ALLOWED:
        refuse(f"connect {arguments[1]}")
    elif event in ("socket.getaddrinfo", "socket.gethostbyname"):
        refuse(f"{event} {arguments[0]}")


def refuse(what: str) -> None:
    if path := os.environ.get("SOCKET_GUARD_LOG"):
        with open(path, "a", encoding="utf-8") as log:
            log.write(f"{what} by {sys.argv}\n")
    raise ConnectionRefusedError(f"the socket guard of the tests forbids: {what}")


if os.environ.get("SOCKET_GUARD_LOG"):
    sys.addaudithook(watch)
