"""`python -m tunesmith.daemon`: the daemon in the foreground, until SIGTERM or POST /v1/daemon/stop."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import logging
import os
import resource
import signal
import socket
import sys
import time
from collections.abc import Iterator
from typing import Any

import uvicorn

from tunesmith.daemon import database, settings
from tunesmith.daemon.admission import Admission, look
from tunesmith.daemon.api import disk_errors
from tunesmith.daemon.api.home import Home, private_folder
from tunesmith.daemon.api.requests import API_VERSION, VERSION_HEADER
from tunesmith.daemon.controls import Controls
from tunesmith.daemon.gauges import Gauges
from tunesmith.daemon.log import log_to
from tunesmith.daemon.restart import Restart
from tunesmith.daemon.retention import Retention
from tunesmith.daemon.scheduler import Scheduler
from tunesmith.daemon.server.acceptor import CONNECTIONS, RESERVED_DESCRIPTORS, Acceptor
from tunesmith.daemon.server.app import build, build_tcp
from tunesmith.daemon.server.broadcast import STREAMS, Streams
from tunesmith.daemon.server.connection import HEAD_LIMIT_BYTES, Connection, end_slow
from tunesmith.daemon.server.listen import listening
from tunesmith.daemon.server.parts import Parts
from tunesmith.daemon.server.tcp import STOP_PATIENCE_S, Server, Tcp
from tunesmith.daemon.serving import memory
from tunesmith.daemon.serving.engines import Engines
from tunesmith.daemon.serving.served import Served
from tunesmith.daemon.settings import Settings
from tunesmith.daemon.store import Store
from tunesmith.daemon.supervisor import Supervisor
from tunesmith.recipes.errors import DaemonError, TunesmithError

DESCRIPTORS = 4096
LOCK_PATIENCE_S = 5.0  # for one without a socket: it starts, and is found, or ends, within STOP_PATIENCE_S
REBUILD = "--rebuild"
log = logging.getLogger("tunesmith.daemon")


def main() -> int:
    """0 after a clean stop, 1 when it cannot start (the reason on stderr), 2 for a mistake of ours.

    With REBUILD it puts the database aside, says where, and ends: the next one lists the jobs from their folders.
    """
    began = time.monotonic()
    home = Home.find()
    try:
        with disk_errors.writing(home.root):
            private_folder(home.root)
        _allow_descriptors()
        with locked(home):
            if REBUILD in sys.argv[1:]:
                print(*database.set_aside(home.database), sep="\n")
                return 0
            with disk_errors.writing(home.log):
                log_to(home.log)
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
    restart = Restart(store, supervisor)
    engines = Engines(
        home, chosen, machine, lambda: memory.of_runs(store.living()), lambda: memory.on_device(store.living())
    )
    admission = Admission(store, machine, lambda: engines.unseen_bytes, lambda: engines.unseen_device_bytes)
    scheduler = Scheduler(store, supervisor, admission, restart, chosen.admission_retry_s)
    controls = Controls(store, scheduler.wake)
    gauges = Gauges(store, chosen.gauge_every_s)
    stopping = asyncio.Event()
    connections = connection_limit()
    streams = Streams(store, gauges, stopping, min(STREAMS, connections * 5 // 6))  # the rest is for requests
    served, tcp = Served(home, store, engines), Tcp(home.token)
    parts = Parts(
        home,
        chosen,
        store,
        scheduler,
        controls,
        restart,
        Retention(store),
        gauges,
        engines,
        served,
        tcp,
        streams,
        stopping,
        began,
    )
    tcp.app = lambda: build_tcp(parts)
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, parts.stop)
    config = uvicorn.Config(
        build(parts), http=Connection, ws="none", lifespan="off", log_config=None, access_log=False,
        server_header=False, headers=[(VERSION_HEADER, str(API_VERSION))],
        h11_max_incomplete_event_size=HEAD_LIMIT_BYTES, timeout_graceful_shutdown=STOP_PATIENCE_S,
    )  # fmt: skip
    server = Server(config)
    opened = server.server_state.connections
    server.acceptor = Acceptor(listener, lambda: Connection(config, server.server_state), opened, connections)
    serving = asyncio.create_task(server.serve())
    always = (scheduler.run(), engines.end_idle(), gauges.run(), end_slow(opened), end_slow(tcp.connections))
    others = [asyncio.create_task(part) for part in always]
    told: asyncio.Task[Any] = asyncio.create_task(parts.stopping.wait())
    log.info("pid %d serves %s, up in %.2f s", os.getpid(), home.socket, time.monotonic() - began)
    done, _ = await asyncio.wait((told, serving, *others), return_when=asyncio.FIRST_COMPLETED)
    parts.stop()
    server.should_exit = True
    await asyncio.wait((serving,))
    await tcp.close()
    for task in others:
        task.cancel()
    await asyncio.wait(others)
    await engines.close()
    await store.close()
    log.info("stopped")
    for task in done:
        task.result()  # a part that ended by itself ended on an error


@contextlib.contextmanager
def locked(home: Home) -> Iterator[None]:
    """Holds the lock of the home, our pid in it. Raises DaemonError when another daemon has it."""
    try:
        handle = os.open(home.lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    except OSError as error:
        raise DaemonError(
            f"The lock {home.lock} cannot be opened: {error.strerror}", "Move it aside.", "lock_path"
        ) from error
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
        with disk_errors.writing(home.lock):
            os.ftruncate(handle, 0)
            os.pwrite(handle, f"{os.getpid()}\n".encode(), 0)
        yield
    finally:
        os.close(handle)


def _allow_descriptors() -> None:
    """macOS starts a shell with 256, fewer than the connections we take."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = DESCRIPTORS if hard == resource.RLIM_INFINITY else min(DESCRIPTORS, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def connection_limit() -> int:
    """As many as we take, or as the descriptors allow beside what the daemon itself needs."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return CONNECTIONS if soft == resource.RLIM_INFINITY else max(8, min(CONNECTIONS, soft - RESERVED_DESCRIPTORS))


if __name__ == "__main__":
    sys.exit(main())
