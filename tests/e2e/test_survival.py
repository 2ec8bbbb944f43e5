"""kill -9 of the wizard and of the daemon during real training: the run goes on and is shown again."""

from __future__ import annotations

import asyncio
import fcntl
import os
import pty
import re
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

from tunesmith.daemon.api.client import Client
from tunesmith.daemon.api.events import Adopted
from tunesmith.daemon.api.find import ensure_daemon
from tunesmith.daemon.api.home import Home
from tunesmith.daemon.api.requests import Submit
from tunesmith.daemon.api.view import FINISHED, RUNNING, JobView
from tunesmith.recipes.spec import DataSpec, EvaluationSpec, JobSpec, TrainingSpec, complete

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

RUN_NAME = "survivor"


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Home]:
    monkeypatch.setenv("TUNESMITH_HOME", str(tmp_path))
    monkeypatch.setenv("LANG", "en_US.UTF-8")
    found = Home.find()
    yield found
    for process in psutil.process_iter(["cmdline", "environ"]):
        with_home = (process.info["environ"] or {}).get("TUNESMITH_HOME") == str(tmp_path)
        if with_home and process.pid != os.getpid():
            process.kill()


def spec() -> JobSpec:
    """A real run on the starter, just long enough to be interrupted."""
    return complete(
        JobSpec(
            name=RUN_NAME,
            data=DataSpec(),
            training=TrainingSpec(epochs=2, batch_size=4),
            evaluation=EvaluationSpec(answers=0, general=False),
            exports=("adapter",),
        )
    )


async def until_training(client: Client, job_id: int) -> JobView:
    """The view once two real optimizer steps are done."""
    async for view in client.watch(job_id):
        assert view.error is None, view.error
        if view.step is not None and view.step.step >= 2:
            return view
    raise AssertionError("the run ended before it was seen training")


async def until_ended(client: Client, job_id: int) -> JobView:
    views = [view async for view in client.watch(job_id)]
    return views[-1]


async def test_training_survives_kill_9_of_the_daemon_and_is_adopted_by_the_next(home: Home) -> None:
    async with await ensure_daemon(home) as client:
        job = await client.submit(Submit(key="k", spec=spec()))
        before = await until_training(client, job.id)
        daemon_pid = (await client.status()).pid
    assert before.pid is not None
    os.kill(daemon_pid, signal.SIGKILL)
    await asyncio.sleep(1)
    assert psutil.pid_exists(before.pid), "the worker does not die with the daemon"

    async with await ensure_daemon(home) as client:
        assert (await client.status()).pid != daemon_pid
        after = await until_ended(client, job.id)
        history = [numbered async for numbered in client.events(job.id)]
    assert after.state == FINISHED
    assert after.pid is None and after.attempt == before.attempt, "the same worker finished it"
    assert any(isinstance(n.event, Adopted) for n in history)
    assert [n.number for n in history] == list(range(1, len(history) + 1))
    steps = [n.event.step for n in history if n.event.__class__.__name__ == "TrainStep"]
    assert steps == list(range(1, len(steps) + 1)), "no step was lost or told twice"


@contextmanager
def wizard() -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    """The wizard in a real 100x30 terminal; yields the process and the terminal's master side."""
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 30, 100, 0, 0))
    process = subprocess.Popen(
        [sys.executable, "-c", "from tunesmith.tui.cli.main import main; main()"],
        stdin=slave,
        stdout=slave,
        stderr=slave,
        env=os.environ | {"TERM": "xterm-256color"},
        start_new_session=True,
    )
    os.close(slave)
    try:
        yield process, master
    finally:
        process.kill()
        process.wait()
        os.close(master)


def screen_shows(master: int, text: str, within_s: float) -> bool:
    """Whether `text` is painted within the time; escape sequences are cut out of what the terminal got."""
    seen = b""
    deadline = time.monotonic() + within_s
    while time.monotonic() < deadline:
        if select.select([master], [], [], 0.2)[0]:
            seen += os.read(master, 65536)
            plain = re.sub(rb"\x1b(\[[0-9;?<>=]*[a-zA-Z]|[\]P].*?(\x07|\x1b\\))", b"", seen)
            if text.encode() in plain:
                return True
    return False


async def test_the_wizard_shows_the_run_again_after_it_was_killed(home: Home) -> None:
    async with await ensure_daemon(home) as client:
        job = await client.submit(Submit(key="k", spec=spec()))
        await until_training(client, job.id)
        with wizard() as (process, master):
            assert await asyncio.to_thread(screen_shows, master, RUN_NAME, 20)
            process.send_signal(signal.SIGKILL)
            process.wait()
        assert (await client.job(job.id)).state == RUNNING
        with wizard() as (_, master):
            assert await asyncio.to_thread(screen_shows, master, RUN_NAME, 20)
        assert (await until_ended(client, job.id)).state == FINISHED
