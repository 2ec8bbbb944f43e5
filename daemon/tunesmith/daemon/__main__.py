"""`python -m tunesmith.daemon`: the daemon in the foreground, until SIGTERM or POST /v1/daemon/stop."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import logging
import logging.handlers
import os
import resource
import signal
import socket
import stat
import sys
import time
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Any

import uvicorn

from tunesmith.daemon import settings
from tunesmith.daemon.admission import Admission, look
from tunesmith.daemon.api.home import Home, private_folder
from tunesmith.daemon.api.requests import API_VERSION, VERSION_HEADER
from tunesmith.daemon.gauges import Gauges
from tunesmith.daemon.scheduler import Scheduler
from tunesmith.daemon.server.app import build
from tunesmith.daemon.server.chat import Chats
from tunesmith.daemon.server.guard import OwnUserOnly
from tunesmith.daemon.server.parts import Parts
from tunesmith.daemon.settings import Settings
from tunesmith.daemon.store import Store
from tunesmith.daemon.supervisor import Supervisor
from tunesmith.recipes.errors import DaemonError, TunesmithError

LOG_BYTES = 2_000_000
DESCRIPTORS = 4096
CONNECTIONS = 1200  # a thousand followers and room for requests
LOCK_PATIENCE_S = 5.0  # for one without a socket: it starts, and is found, or ends, within STOP_PATIENCE_S
STOP_PATIENCE_S = 2
log = logging.getLogger("tunesmith.daemon")


class Server(uvicorn.Server):
    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        """Signals are ours: uvicorn would raise them again after stopping."""
        yield


def main() -> int:
    """0 after a clean stop, 1 when it cannot start (the reason on stderr), 2 for a mistake of ours."""
    began = time.monotonic()
    home = Home.find()
    try:
        private_folder(home.root)
        _allow_descriptors()
        with locked(home):
            _log_to(home.log)
            with listening(home.socket) as listener:
                asyncio.run(serve(home, settings.read(os.environ), listener, began))
    except TunesmithError as error:
        print(f"error: {error.message}\nhint: {error.hint}", file=sys.stderr)
        return 1
    except Exception as error:
        log.exception("the daemon ends on an error of its own")
        print(f"error: the daemon ended on {error!r}\nhint: see {home.log} and report it.", file=sys.stderr)
        return 2
    return 0


async def serve(home: Home, chosen: Settings, listener: socket.socket, began: float) -> None:
    """Until told to stop. Workers are left running."""
    store = await Store.open(home)
    machine = look(chosen.room_module)
    supervisor = Supervisor(store, chosen, machine)
    scheduler = Scheduler(store, supervisor, Admission(store, machine), chosen.admission_retry_s)
    gauges = Gauges(store, chosen.gauge_every_s)
    parts = Parts(home, chosen, store, scheduler, gauges, Chats(home, chosen), asyncio.Event(), began)
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, parts.stop)
    config = uvicorn.Config(
        build(parts), http=OwnUserOnly, ws="none", lifespan="off", log_config=None, access_log=False,
        server_header=False, headers=[(VERSION_HEADER, str(API_VERSION))], limit_concurrency=CONNECTIONS,
        timeout_graceful_shutdown=STOP_PATIENCE_S,
    )  # fmt: skip
    server = Server(config)
    serving = asyncio.create_task(server.serve([listener]))
    others = [asyncio.create_task(part) for part in (scheduler.run(), parts.chats.end_idle(), gauges.run())]
    told: asyncio.Task[Any] = asyncio.create_task(parts.stopping.wait())
    log.info("pid %d serves %s, up in %.2f s", os.getpid(), home.socket, time.monotonic() - began)
    done, _ = await asyncio.wait((told, serving, *others), return_when=asyncio.FIRST_COMPLETED)
    parts.stop()
    server.should_exit = True
    await asyncio.wait((serving,))
    for task in others:
        task.cancel()
    await asyncio.wait(others)
    await parts.chats.close()
    await store.close()
    log.info("stopped")
    for task in done:
        task.result()  # a part that ended by itself ended on an error


@contextlib.contextmanager
def locked(home: Home) -> Iterator[None]:
    """Holds the lock of the home, our pid in it. Raises DaemonError when another daemon has it."""
    handle = os.open(home.lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        until = time.monotonic() + LOCK_PATIENCE_S
        while True:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError as error:
                if home.socket.exists() or time.monotonic() > until:
                    pid = os.pread(handle, 32, 0).decode("ascii", "replace").strip() or "unknown"
                    raise DaemonError(
                        f"A daemon is running already for {home.root}: pid {pid}",
                        "Use that one, or stop it with `tunesmith daemon stop`.",
                        "daemon_running",
                    ) from error
                time.sleep(0.05)
        os.ftruncate(handle, 0)
        os.pwrite(handle, f"{os.getpid()}\n".encode(), 0)
        yield
    finally:
        os.close(handle)


@contextlib.contextmanager
def listening(path: Path) -> Iterator[socket.socket]:
    """A socket bound in a folder of ours, in place of one left by a dead daemon: only the lock's holder may do that."""
    private_folder(path.parent)
    with contextlib.suppress(FileNotFoundError):
        if not stat.S_ISSOCK(path.lstat().st_mode):
            raise DaemonError(f"{path} is in the way and is no socket", "Move it aside.", "socket_path")
        path.unlink()
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    before = os.umask(0o177)
    try:
        listener.bind(str(path))
    finally:
        os.umask(before)
    try:
        yield listener
    finally:
        listener.close()
        path.unlink(missing_ok=True)


def _allow_descriptors() -> None:
    """macOS starts a shell with 256, fewer than the connections we take."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = DESCRIPTORS if hard == resource.RLIM_INFINITY else min(DESCRIPTORS, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def _log_to(path: Path) -> None:
    handler = logging.handlers.RotatingFileHandler(path, maxBytes=LOG_BYTES, backupCount=2, encoding="utf-8")
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    logging.basicConfig(level=logging.INFO, handlers=[handler])


if __name__ == "__main__":
    sys.exit(main())
