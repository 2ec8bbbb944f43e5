"""The daemon as a process: starting, being the only one, stopping, and what it does not load."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sqlite3
import stat
import subprocess
import sys
from pathlib import Path

from daemon_process import DaemonProcess

from tunesmith.daemon.server.listen import peer_uid


async def test_it_is_up_within_a_second_and_a_half(tmp_path: Path) -> None:
    daemon = DaemonProcess(tmp_path / "home")
    seconds = await daemon.start()
    await daemon.tidy()
    assert seconds < 1.5


async def test_only_its_own_user_gets_to_the_socket(daemon: DaemonProcess) -> None:
    assert stat.S_IMODE(daemon.home.socket.parent.stat().st_mode) == 0o700
    assert stat.S_IMODE(daemon.home.socket.stat().st_mode) == 0o600


def test_the_kernel_says_who_is_at_the_other_end() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        assert peer_uid(ours) == os.getuid()


async def test_status_says_who_and_where(daemon: DaemonProcess) -> None:
    await daemon.submit("steps=1")
    await daemon.until(1, "finished")
    status = await daemon.client.status()
    assert daemon.process is not None and status.pid == daemon.process.pid
    assert status.socket == str(daemon.home.socket) and status.jobs == {"finished": 1} and status.uptime_s > 0


async def test_a_second_daemon_is_refused_and_harms_nothing(daemon: DaemonProcess) -> None:
    assert daemon.process is not None
    second = daemon.spawn()
    _, said = await asyncio.to_thread(second.communicate)
    assert second.returncode == 1
    assert str(daemon.process.pid) in said and "hint:" in said and "Traceback" not in said
    assert await daemon.client.healthy()


async def test_a_socket_left_by_a_dead_daemon_is_replaced(daemon: DaemonProcess) -> None:
    daemon.end(signal.SIGKILL)
    assert daemon.home.socket.exists()
    await daemon.start()
    assert (await daemon.client.status()).jobs == {}


async def test_what_is_no_socket_is_not_removed(tmp_path: Path) -> None:
    daemon = DaemonProcess(tmp_path / "home")
    daemon.home.socket.parent.mkdir(parents=True)
    daemon.home.socket.write_text("mine")
    process = daemon.spawn()
    _, said = process.communicate(timeout=10)
    assert process.returncode == 1 and "no socket" in said
    assert daemon.home.socket.read_text() == "mine"


async def test_a_path_too_long_for_a_socket_still_works(tmp_path: Path) -> None:
    daemon = DaemonProcess(tmp_path / ("long" * 30))
    await daemon.start()
    assert await daemon.client.healthy()
    await daemon.tidy()
    daemon.home.socket.parent.rmdir()


async def test_sigterm_stops_it_cleanly_and_leaves_the_worker(daemon: DaemonProcess) -> None:
    await daemon.submit("steps=1000 step=0.05")
    await daemon.until_step(1, 1)
    assert daemon.end(signal.SIGTERM) == 0
    assert not daemon.home.socket.exists()
    assert len(daemon.workers()) == 1


async def test_stop_by_request_ends_open_streams_too(daemon: DaemonProcess) -> None:
    await daemon.submit("steps=1000 step=0.05")
    stream = daemon.client.events(1)
    await anext(stream)
    await daemon.client.stop()
    assert daemon.process is not None
    await asyncio.to_thread(daemon.process.communicate, timeout=3)
    assert daemon.process.returncode == 0 and not daemon.home.socket.exists()


async def test_after_a_stop_the_next_one_is_another(daemon: DaemonProcess) -> None:
    await daemon.client.stop()
    assert not daemon.home.socket.exists()
    following = DaemonProcess(daemon.home.root)
    await following.start()
    assert daemon.process is not None and following.process is not None
    assert (await following.client.status()).pid == following.process.pid
    assert await asyncio.to_thread(daemon.process.wait, 3) == 0
    await following.tidy()


async def test_a_newer_database_is_left_alone(daemon: DaemonProcess) -> None:
    daemon.end()
    connection = sqlite3.connect(daemon.home.database)
    connection.execute("PRAGMA user_version = 99")
    connection.close()
    before = daemon.home.database.read_bytes()
    process = daemon.spawn()
    _, said = process.communicate(timeout=10)
    assert process.returncode == 1 and "newer Tunesmith" in said
    assert daemon.home.database.read_bytes() == before


async def test_a_damaged_database_is_said_and_left_alone(daemon: DaemonProcess) -> None:
    daemon.end()
    daemon.home.database.write_bytes(b"no database" * 1000)
    process = daemon.spawn()
    _, said = process.communicate(timeout=10)
    assert process.returncode == 1 and "is damaged" in said and "--rebuild" in said
    assert daemon.home.database.read_bytes() == b"no database" * 1000


def test_no_engine_is_loaded() -> None:
    code = (
        "import sys, tunesmith.daemon.__main__;"
        "from tunesmith.recipes.spec import JobSpec, complete; complete(JobSpec());"
        "print([m for m in ('torch', 'transformers', 'peft', 'trl', 'llama_cpp', 'numpy', 'tunesmith.daemon.worker') "
        "if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
